//! Several nodes over one database: who owns what, whose writes count, what they tell each other.

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{CLUSTER, Database};
use domain::{
    delivery::Next,
    shard::{SHARDS, Shard, ShardSet},
};
use hookwright_store_postgres::PostgresStore;
use store::{
    Deliveries, History, Nodes, Publish, Tokens,
    deliveries::{LaneHead, LaneKey, Settled},
    nodes::{News, Ownership},
    publish::Published,
    suite::{
        fixture::{Fixture, at},
        traffic::DELIVERED,
    },
};

/// How long news may take.
const SOON: Duration = Duration::from_secs(5);

fn superseded() -> Settled {
    Settled { superseded: true, ..Settled::default() }
}

async fn beat(node: &PostgresStore) -> Ownership {
    node.heartbeat(false).await.expect("a heartbeat")
}

fn shards(ownership: &Ownership) -> ShardSet {
    ownership.shards.iter().map(|(shard, _)| *shard).collect()
}

/// Gives back what is over.
async fn settle_down(node: &PostgresStore) -> usize {
    let owned = beat(node).await;
    let surplus: ShardSet =
        owned.shards.iter().skip(owned.share).map(|(shard, _)| *shard).collect();
    node.release(&surplus).await.expect("a release");
    owned.shards.len() - surplus.len()
}

/// As if the node had not been heard of for so long.
fn silence(database: &Database, node: &str) {
    let name = database.url.rsplit('/').next().expect("a name");
    let sql = format!(
        "UPDATE node SET beat_at = beat_at - interval '9 seconds' WHERE encode(id, 'hex') = '{node}'"
    );
    CLUSTER.sql(name, &sql);
}

async fn id(store: &PostgresStore, other_than: &[&str]) -> String {
    let nodes = store.nodes().await.expect("nodes");
    let new = nodes.iter().find(|node| !other_than.contains(&node.id.as_str()));
    new.expect("a new node").id.clone()
}

#[tokio::test]
async fn share_out_the_shards() {
    let database = Database::new();
    let one = database.open(1).await;
    let alone = beat(&one).await;
    assert_eq!((alone.shards.len(), alone.share), (1_024, 1_024));
    assert!(alone.shards.iter().all(|(_, epoch)| *epoch == 1));

    let (two, three) = (database.open(2).await, database.open(3).await);
    for node in [&two, &three] {
        // Nothing is free yet.
        assert_eq!(beat(node).await.shards, []);
    }
    for node in [&one, &two, &three, &one, &two, &three] {
        settle_down(node).await;
    }
    let mut all = ShardSet::NONE;
    let mut counts = BTreeSet::new();
    for node in [&one, &two, &three] {
        let owned = beat(node).await;
        counts.insert(owned.shards.len());
        assert_eq!(owned.shards.len(), owned.share);
        for shard in shards(&owned).iter() {
            assert!(!all.contains(shard), "{shard:?} has two owners");
            all.insert(shard);
        }
    }
    assert_eq!(all.len(), usize::from(SHARDS));
    assert_eq!(counts, [341, 342].into());

    // Whoever leaves is given nothing, and what it gives back goes to the others.
    let leaving = three.heartbeat(true).await.expect("a heartbeat");
    three.release(&shards(&leaving)).await.expect("a release");
    assert_eq!(three.heartbeat(true).await.expect("a heartbeat").shards, []);
    assert_eq!(beat(&one).await.shards.len() + beat(&two).await.shards.len(), 1_024);
}

#[tokio::test]
async fn take_over_from_the_dead() {
    let database = Database::new();
    let (one, two) = (database.open(1).await, database.open(2).await);
    beat(&one).await;
    let dead = id(&one, &[]).await;
    assert_eq!(beat(&two).await.shards, []);
    silence(&database, &dead);
    let taken = beat(&two).await;
    assert_eq!(taken.shards.len(), 1_024);
    assert!(taken.shards.iter().all(|(_, epoch)| *epoch == 2), "a later owner has a higher epoch");
    // It comes back, with nothing of what it had.
    assert_eq!(beat(&one).await.shards, []);
    let nodes = one.nodes().await.expect("nodes");
    assert_eq!(nodes.iter().map(|node| node.shards).sum::<usize>(), 1_024);
}

/// A deposed owner's outcome changes nothing, though it is on record.
#[tokio::test]
async fn refuse_the_deposed() {
    let database = Database::new();
    let (one, two) = (database.open(1).await, database.open(2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    beat(&one).await;
    let dead = id(&one, &[]).await;
    let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    let mut outcome = f.outcome(&delivery, Some(500), Next::Retry(at(60)), at(2));
    outcome.epoch = 1;
    silence(&database, &dead);
    beat(&two).await;
    assert_eq!(one.settle(vec![outcome.clone()]).await, Ok(vec![superseded()]));
    assert_eq!(f.pending(&endpoint).await, std::slice::from_ref(&delivery));

    // Nor does another node's, under the epoch that is not its own.
    let mut stolen = f.outcome(&delivery, Some(200), DELIVERED, at(3));
    stolen.epoch = 2;
    assert_eq!(one.settle(vec![stolen.clone()]).await, Ok(vec![superseded()]));
    assert_eq!(two.settle(vec![stolen]).await, Ok(vec![Settled::default()]));
    assert_eq!(f.pending(&endpoint).await, []);
}

/// What is posted to one node with one idempotency key, and to another at the same moment, is one
/// message; and a change through one is obeyed by the other.
#[tokio::test]
async fn agree_on_what_is_there() {
    let database = Database::new();
    let nodes = [database.open(1).await, database.open(2).await];
    let f = Fixture::new(&nodes[0]);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    for round in 0..50_u8 {
        let claim = store::publish::Claim {
            key: domain::claim::ClaimKey::new(
                domain::claim::ClaimKind::IdempotencyKey,
                &[&[round]],
            ),
            expires_at: at(1_000),
        };
        let new = || {
            let routed = f.routed(versions, f.message(&app, at(1)), &[&endpoint]);
            store::publish::NewMessage { idempotency: Some(claim), ..routed }
        };
        let (one, two) = (new(), new());
        let ids = [one.message.id, two.message.id];
        let (a, b) = tokio::join!(nodes[0].publish(vec![one]), nodes[1].publish(vec![two]));
        let published = [a.expect("published")[0], b.expect("published")[0]];
        let won = published.iter().position(|p| *p == Published::Stored).expect("one is stored");
        assert_eq!(published[1 - won], Published::Repeated(ids[won]), "round {round}");
    }
    assert_eq!(f.pending(&endpoint).await.len(), 50);

    f.update_endpoint(&endpoint, |e| e.description = "changed".into()).await;
    let stale = f.routed(versions, f.message(&app, at(2)), &[&endpoint]);
    assert_eq!(nodes[1].publish(vec![stale]).await, Ok(vec![Published::Stale]));
}

/// Owners that share an application's rate are given attempts that follow one another, and never more.
#[tokio::test]
async fn share_a_rate() {
    let database = Database::new();
    let nodes = [database.open(1).await, database.open(2).await];
    let f = Fixture::new(&nodes[0]);
    let app = f.application().await;
    let rate = 100;
    let begun = beat(&nodes[0]).await.time.expect("the store's clock");
    let mut given = Vec::new();
    let mut refused = 0;
    for i in 0..40 {
        let slice = nodes[i % 2].reserve(app.org, app.id, rate, 10).await.expect("a slice");
        match slice.attempts {
            0 => refused += 1,
            attempts => given.push((slice.from, attempts)),
        }
    }
    let ended = beat(&nodes[0]).await.time.expect("the store's clock");
    assert!(refused > 0, "nobody takes attempts of the far future");
    for pair in given.windows(2) {
        let end = pair[0].0.plus(Duration::from_millis(10 * u64::from(pair[0].1)));
        assert!(pair[1].0 >= end, "{pair:?} overlap");
    }
    let attempts: u32 = given.iter().map(|(_, attempts)| attempts).sum();
    // What is given out reaches at most three tenths of a second ahead.
    let most = (ended.since(begun).as_secs_f64() + 0.3) * f64::from(rate) + 1.0;
    assert!(f64::from(attempts) <= most, "{attempts} of {most}");
}

/// News of one node reach the other, the catalogue's also if no notification does.
#[tokio::test]
async fn tell_each_other() {
    let database = Database::new();
    let (one, two) = (database.open(1).await, database.open(2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let lane = LaneKey {
        shard: Shard::of(&app.org, &app.id, &endpoint.id),
        org: app.org,
        app: app.id,
        endpoint: endpoint.id,
    };
    let head = LaneHead { lane, next_due: at(7) };
    let until = async |wanted: fn(&News, LaneHead) -> bool| {
        let told = async {
            loop {
                let news = two.news().await;
                if wanted(&news, head) {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, told).await.expect("it is told in time");
    };
    // Told again and again: who has not begun to listen yet hears nothing.
    let telling = async {
        loop {
            one.wake(vec![head]);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = telling => {}
        () = until(|news, head| news.lanes.contains(&head)) => {}
    }
    beat(&one).await;
    let one_of_them = ShardSet::from_iter([Shard(7)]);
    one.release(&one_of_them).await.expect("a release");
    until(|news, _| news.shards).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let tenant = store::history::Tenant { org: app.org, app: app.id };
    assert_eq!(one.expunge_message(tenant, sent.message.id, at(2)).await, Ok(true));
    until(|news, head| {
        news.expunged.iter().any(|(org, app, _)| (*org, *app) == (head.lane.org, head.lane.app))
    })
    .await;
    f.update_endpoint(&endpoint, |e| e.description = "changed".into()).await;
    until(|news, head| news.applications.contains(&(head.lane.org, head.lane.app))).await;
    let revocation = domain::token::Revocation {
        what: domain::token::Revoked::Token([7; 32]),
        issued_until: at(1),
        at: at(1),
        forget_at: at(100),
    };
    one.revoke(&domain::token::Actor::System, app.org, None, revocation).await.expect("revoked");
    until(|news, head| news.revocations && news.organizations.contains(&head.lane.org)).await;
}
