//! Counting by several nodes: nothing is lost or counted twice, whoever dies, is deposed or does not hear
//! what became of its commit.

mod common;

use std::{sync::Arc, time::Duration};

use common::{CLUSTER, Database};
use domain::{
    analytics::{Rollup, Unit},
    application::Application,
    clock::Timestamp,
    endpoint::Endpoint,
    entropy::SeededEntropy,
    shard::Shard,
};
use hookwright_store_postgres::{PostgresOptions, PostgresStore};
use postgres_cluster::Proxy;
use store::{
    Analytics, Deliveries, Housekeeping, Nodes, Publish,
    analytics::{Of, RollupLimits, Span},
    deliveries::{Epoch, NO_EPOCH, Settled},
    publish::Published,
    suite::{
        fixture::{Fixture, at},
        traffic::{DELIVERED, tenant},
    },
};

type Owned = Vec<(Shard, Epoch)>;

/// A shard that was taken over is recounted after twice as long.
const STATEMENT: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_millis(2_100);

async fn node_at(database: &Database, url: &str, seed: u64) -> PostgresStore {
    let options = PostgresOptions {
        statement_timeout: STATEMENT,
        url: url.into(),
        call_timeout: Duration::from_secs(2),
        ..database.options()
    };
    PostgresStore::open(options, database.ports(&[[1; 32]], seed)).await.expect("opens")
}

async fn node(database: &Database, seed: u64) -> PostgresStore {
    node_at(database, &database.url, seed).await
}

async fn beat(node: &PostgresStore) -> Owned {
    node.heartbeat(false).await.expect("a heartbeat").shards
}

async fn flush(node: &PostgresStore, owned: &Owned) {
    node.flush_rollups(owned).await.expect("a flush");
}

/// Owns its shards for long enough to count them.
async fn settled_owner(node: &PostgresStore) -> Owned {
    let owned = beat(node).await;
    flush(node, &owned).await;
    tokio::time::sleep(WAIT).await;
    flush(node, &owned).await;
    owned
}

/// As if no node had been heard of for so long.
fn silence(database: &Database) {
    database.sql("UPDATE node SET beat_at = beat_at - interval '9 seconds'");
}

/// Numbers of a node's own, for a fixture of an organization that is there.
fn numbers<'a>(f: &Fixture<'_>, node: &'a PostgresStore, seed: u64) -> Fixture<'a> {
    let entropy = Arc::new(SeededEntropy::new(seed));
    Fixture { store: node, org: f.org, entropy }
}

/// Messages and their attempts, a second apart.
async fn traffic(
    f: &Fixture<'_>,
    (app, endpoint): (&Application, &Endpoint),
    from: u64,
    count: u64,
    epoch: Epoch,
) {
    for i in from..from + count {
        let sent = f.send(app, &[endpoint], at(i)).await;
        let mut outcome = f.outcome(&sent.deliveries[0], Some(200), DELIVERED, at(i));
        (outcome.wanted_at, outcome.epoch) = (sent.message.wanted_at(), epoch);
        assert_eq!(f.settle(outcome).await, Settled::default());
    }
}

fn minutes() -> Span {
    let unit = Unit::Minute;
    Span { unit, from: unit.floor(at(0)), until: unit.floor(at(3_600)) }
}

async fn sum(node: &PostgresStore, app: &Application, of: Of, span: Span) -> Rollup {
    let mut sum = Rollup::default();
    let rows = node.rollups(app.org, of, span, 1_000).await.expect("rollups");
    rows.iter().for_each(|row| sum.merge(&row.rollup));
    sum
}

/// What is counted is the truth, in all forms.
async fn assert_true(node: &PostgresStore, app: &Application, attempts: u64) {
    let truth = node.recount(tenant(app), minutes()).await.expect("a recount");
    let of = Of::Application(app.id);
    assert_eq!(node.rollups(app.org, of, minutes(), 1_000).await, Ok(truth));
    let whole = sum(node, app, of, minutes()).await;
    assert_eq!(whole.counts().attempts, attempts);
    for of in [Of::Applications, Of::EventTypes] {
        assert_eq!(sum(node, app, of, minutes()).await, whole, "{of:?}");
    }
    let counts = node.application_counts(app.org, minutes()).await;
    assert_eq!(counts, Ok(vec![(app.id, whole.counts())]));
    assert_eq!(node.check().await.expect("a check").problems, [""; 0]);
}

/// All of it is counted, as the marks say, and a check compares it.
async fn assert_compared(
    database: &Database,
    (node, owned): (&PostgresStore, &Owned),
    app: &Application,
    records: (u64, u64),
) {
    database.clock.advance(Duration::from_secs(3_600));
    flush(node, owned).await;
    assert_true(node, app, records.1).await;
    let (messages, attempts) = records;
    let report = node.check().await.expect("a check");
    let wanted = format!("compared with {messages} messages and {attempts} attempts");
    assert!(report.facts.iter().any(|fact| fact.ends_with(&wanted)), "{report:?}");
}

/// A node ends without having written what it counted; the next one finds it, beside what it does itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_owner_finds_what_a_dead_one_counted() {
    let database = Database::new();
    let (one, two) = (node(&database, 1).await, node(&database, 2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let owned = settled_owner(&one).await;
    traffic(&f, (&app, &endpoint), 1, 5, 1).await;
    flush(&one, &owned).await;
    assert_true(&one, &app, 5).await;
    traffic(&f, (&app, &endpoint), 4, 70, 1).await;
    let g = numbers(&f, &two, 2);
    drop(one);
    silence(&database);
    let taken = beat(&two).await;
    assert_eq!(taken.len(), 1_024);
    traffic(&g, (&app, &endpoint), 30, 7, 2).await;
    flush(&two, &taken).await;
    let early = sum(&two, &app, Of::Applications, minutes()).await;
    assert_eq!(early.counts().attempts, 5, "the dead one's statements may be under way");
    tokio::time::sleep(WAIT).await;
    flush(&two, &taken).await;
    assert_true(&two, &app, 82).await;
    traffic(&g, (&app, &endpoint), 40, 3, 2).await;
    flush(&two, &taken).await;
    assert_true(&two, &app, 85).await;
    assert_compared(&database, (&two, &taken), &app, (85, 85)).await;
}

/// A check compares what is counted with what is on record, in all forms; what nobody has counted yet is
/// left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_finds_counts_that_were_changed() {
    let database = Database::new();
    let one = node(&database, 1).await;
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let owned = settled_owner(&one).await;
    traffic(&f, (&app, &endpoint), 1, 5, 1).await;
    let report = one.check().await.expect("a check");
    assert_eq!(report.problems, [""; 0], "not written");
    let none = Timestamp::EPOCH;
    let limits = RollupLimits {
        now: at(2 * 86_400),
        minutes_before: none,
        quarters_before: none,
        days_before: none,
    };
    database.clock.advance(Duration::from_secs(2 * 86_400));
    flush(&one, &owned).await;
    while one.roll_up(limits).await.expect("a step") {}
    assert_compared(&database, (&one, &owned), &app, (5, 5)).await;
    let (counts, sums) =
        ("counts differ from a recount of messages and attempts", "sums of counts differ");
    for (change, back, wanted) in [
        ("traffic SET messages = messages + 1", "traffic SET messages = messages - 1", counts),
        (
            "rollup SET bytes = bytes + 1 WHERE unit = 1 AND endpoint = ''",
            "rollup SET bytes = bytes - 1 WHERE unit = 1 AND endpoint = ''",
            counts,
        ),
        ("rollup SET retries = 1 WHERE unit = 0", "rollup SET retries = 0 WHERE unit = 0", counts),
        (
            "rollup SET at = at + 60000000 WHERE unit = 0",
            "rollup SET at = at - 60000000 WHERE unit = 0",
            counts,
        ),
        (
            "rollup_app SET attempts = attempts + 1 WHERE unit = 1",
            "rollup_app SET attempts = attempts - 1 WHERE unit = 1",
            sums,
        ),
        (
            "rollup_type SET successes = 0 WHERE unit = 2",
            "rollup_type SET successes = 5 WHERE unit = 2",
            sums,
        ),
    ] {
        database.sql(&format!("UPDATE {change}"));
        let problems = one.check().await.expect("a check").problems;
        assert!(problems.iter().any(|line| line.contains(wanted)), "{change}: {problems:?}");
        database.sql(&format!("UPDATE {back}"));
        assert_eq!(one.check().await.expect("a check").problems, [""; 0], "{back}");
    }
}

/// A new owner's clock may be behind that of the one before. What it does in a time that is counted, before
/// it has recounted anything, is found all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_may_be_behind() {
    let database = Database::new();
    let (one, two) = (node(&database, 1).await, node(&database, 2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let owned = settled_owner(&one).await;
    traffic(&f, (&app, &endpoint), 1, 5, 1).await;
    database.clock.advance(Duration::from_secs(300));
    flush(&one, &owned).await;
    let g = numbers(&f, &two, 2);
    drop(one);
    silence(&database);
    let taken = beat(&two).await;
    traffic(&g, (&app, &endpoint), 70, 5, 2).await;
    flush(&two, &taken).await;
    tokio::time::sleep(WAIT).await;
    flush(&two, &taken).await;
    assert_true(&two, &app, 10).await;
    assert_compared(&database, (&two, &taken), &app, (10, 10)).await;
}

/// What a node counted whose shards are another's by now is the other's to count.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_nodes_flush_changes_nothing() {
    let database = Database::new();
    let (one, two) = (node(&database, 1).await, node(&database, 2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let owned = settled_owner(&one).await;
    traffic(&f, (&app, &endpoint), 1, 5, 1).await;
    silence(&database);
    let taken = beat(&two).await;
    // It does not know yet.
    flush(&one, &owned).await;
    assert_eq!(sum(&one, &app, Of::Applications, minutes()).await.counts().attempts, 0);
    flush(&two, &taken).await;
    tokio::time::sleep(WAIT).await;
    flush(&two, &taken).await;
    assert_true(&two, &app, 5).await;
    flush(&one, &owned).await;
    assert_true(&two, &app, 5).await;
}

/// How far a shard is counted follows the time; what comes late takes it back, in its own transaction.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_is_found_as_well() {
    let database = Database::new();
    let (one, two) = (node(&database, 1).await, node(&database, 2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let owned = settled_owner(&one).await;
    let counted = |of: &str| {
        let sql = format!("SELECT {of}(up_to) FROM counted");
        Timestamp::from_micros(database.sql(&sql).trim().parse().expect("a time"))
    };
    traffic(&f, (&app, &endpoint), 1, 5, 1).await;
    database.clock.advance(Duration::from_secs(300));
    flush(&one, &owned).await;
    let complete = Unit::Minute.floor(at(295));
    assert_eq!((counted("min"), counted("max")), (complete, complete));
    traffic(&f, (&app, &endpoint), 70, 5, 1).await;
    assert_eq!((counted("min"), counted("max")), (Unit::Minute.floor(at(70)), complete));
    let g = numbers(&f, &two, 2);
    drop(one);
    silence(&database);
    let taken = beat(&two).await;
    flush(&two, &taken).await;
    tokio::time::sleep(WAIT).await;
    flush(&two, &taken).await;
    assert_true(&two, &app, 10).await;
    traffic(&g, (&app, &endpoint), 310, 2, 2).await;
    flush(&two, &taken).await;
    assert_true(&two, &app, 12).await;
    assert_eq!(counted("min"), complete);
}

/// Messages have no owner: whoever takes one counts it.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_count_an_applications_messages_together() {
    let database = Database::new();
    let nodes = [node(&database, 1).await, node(&database, 2).await];
    let f = Fixture::new(&nodes[0]);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    let publish = async |node: &PostgresStore, seed: u64| {
        let f = numbers(&f, node, seed);
        for i in 0..50 {
            let new = || f.routed(versions, f.message(&app, at(i)), &[&endpoint]);
            let three = vec![new(), new(), new()];
            let stored = vec![Published::Stored; 3];
            assert_eq!(node.publish(three.clone()).await, Ok(stored.clone()));
            // The same once more: nothing is counted.
            assert_eq!(node.publish(three).await, Ok(stored));
        }
    };
    tokio::join!(publish(&nodes[0], 11), publish(&nodes[1], 12), publish(&nodes[1], 13));
    for node in &nodes {
        assert_true(node, &app, 0).await;
        let counts = node.application_counts(app.org, minutes()).await.expect("counts");
        assert_eq!(counts[0].1.messages, 450);
    }
}

/// The answer to a commit is lost: of messages, of outcomes, of the counts themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_counts_once() {
    let database = Database::new();
    let proxy = Proxy::start(CLUSTER.addr());
    let one = node_at(&database, &proxy.url(&database.url), 1).await;
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    let none = Owned::new();
    traffic(&f, (&app, &endpoint), 1, 2, NO_EPOCH).await;
    flush(&one, &none).await;
    assert_true(&one, &app, 2).await;

    proxy.lose_reply_of("COMMIT", 1);
    let new = f.routed(versions, f.message(&app, at(3)), &[&endpoint]);
    assert_eq!(f.publish(new.clone()).await, Published::Stored);
    proxy.lose_reply_of("COMMIT", 1);
    let mut outcome = f.outcome(&new.deliveries[0], Some(200), DELIVERED, at(4));
    outcome.wanted_at = new.message.wanted_at();
    one.settle(vec![outcome]).await.expect("settles");
    assert_eq!(proxy.lost(), 2);
    flush(&one, &none).await;
    tokio::time::sleep(WAIT).await;
    flush(&one, &none).await;
    assert_true(&one, &app, 3).await;

    traffic(&f, (&app, &endpoint), 5, 2, NO_EPOCH).await;
    proxy.lose_reply_of("COMMIT", 1);
    one.flush_rollups(&none).await.expect_err("nobody knows");
    assert_eq!(proxy.lost(), 3);
    traffic(&f, (&app, &endpoint), 6, 2, NO_EPOCH).await;
    flush(&one, &none).await;
    tokio::time::sleep(WAIT).await;
    flush(&one, &none).await;
    assert_true(&one, &app, 7).await;
}

/// What one node counts late is in the quarters and days that another one has rolled up.
#[tokio::test(flavor = "multi_thread")]
async fn late_counts_are_rolled_up_again() {
    let database = Database::new();
    let (one, two) = (node(&database, 1).await, node(&database, 2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let none = Owned::new();
    traffic(&f, (&app, &endpoint), 1, 3, NO_EPOCH).await;
    flush(&one, &none).await;
    let limits = RollupLimits {
        now: at(2 * 86_400),
        minutes_before: Timestamp::EPOCH,
        quarters_before: Timestamp::EPOCH,
        days_before: Timestamp::EPOCH,
    };
    let rolled = async |messages: u64, attempts: u64| {
        while two.roll_up(limits).await.expect("a step") {}
        for unit in [Unit::Quarter, Unit::Day] {
            let from = unit.floor(at(0));
            let span = Span { unit, from, until: from.plus(unit.duration() * 2) };
            for of in [Of::Application(app.id), Of::Applications, Of::EventTypes] {
                let counts = sum(&two, &app, of, span).await.counts();
                assert_eq!((counts.messages, counts.attempts), (messages, attempts), "{of:?}");
            }
        }
    };
    rolled(3, 3).await;
    traffic(&f, (&app, &endpoint), 5, 2, NO_EPOCH).await;
    flush(&one, &none).await;
    rolled(5, 5).await;
    // By its own clock, without an attempt that tells it.
    database.clock.advance(Duration::from_secs(3_000));
    f.send(&app, &[], at(9)).await;
    rolled(6, 5).await;
}
