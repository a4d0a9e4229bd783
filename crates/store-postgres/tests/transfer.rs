//! Moving a store: from files to PostgreSQL, to another PostgreSQL, and back to files.

mod common;
#[path = "transfer/filling.rs"]
mod filling;
#[path = "transfer/picture.rs"]
mod picture;

use std::{sync::Arc, time::Duration};

use common::{CLUSTER, Database};
use domain::{clock::ManualClock, delivery::Next, entropy::SeededEntropy};
use filling::{Filled, fill};
use hookwright_store_postgres::PostgresStore;
use picture::Picture;
use store::{
    Housekeeping, Store, Transfer,
    suite::{
        fixture::{Fixture, assert_clean, at},
        traffic::{DELIVERED, until},
    },
    transfer::{Limits, MoveError, Mover, Part, Step, Tally, tally},
    vault::Vault,
};
use store_embedded::{DATABASE_FILE, EmbeddedOptions, EmbeddedStore, Space};

/// Small pages, so that there are many; of few bytes as well.
const LIMITS: Limits = Limits { records: 7, bytes: 100_000 };

/// A data directory with a key of its own, removed at the end.
struct Files {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    key: [u8; 32],
}

impl Files {
    fn new(key: u8) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, clock: Arc::new(ManualClock::new(at(0))), key: [key; 32] }
    }

    fn open(&self) -> EmbeddedStore {
        let entropy = Arc::new(SeededEntropy::new(77));
        let options = EmbeddedOptions {
            ballast_bytes: 0,
            cache_mib: 4,
            ..EmbeddedOptions::new(self.dir.path())
        };
        let ports = store_embedded::Ports {
            vault: Arc::new(Vault::new(&[self.key], entropy.clone()).expect("a vault")),
            clock: self.clock.clone(),
            entropy,
            free_space: Arc::new(|_| Ok(Space { free: 100 << 30, total: 200 << 30 })),
            on_fatal: Arc::new(|why| panic!("{why}")),
        };
        EmbeddedStore::open(&options, ports).expect("opens")
    }

    /// One with everything in it, claims of all ages too: as if some had been carried over since, and
    /// some of those were claimed anew.
    async fn filled() -> (Self, Filled) {
        let files = Self::new(1);
        let filled = {
            let store = files.open();
            let filled = fill(&store, &files.clock).await;
            assert_clean(&store).await;
            filled
        };
        let database = rusqlite::Connection::open(files.dir.path().join(DATABASE_FILE));
        database
            .expect("opens")
            .execute_batch(
                "REPLACE INTO claim SELECT org_no, key, message_id, expires_at FROM claim_recent
                     WHERE no <= 50 ORDER BY no;
                 DELETE FROM claim_recent WHERE no <= 20;",
            )
            .expect("carries over");
        (files, filled)
    }
}

async fn moved(source: &dyn Transfer, target: &dyn Transfer) {
    let mut mover = Mover::begin(source, target, LIMITS).await.expect("begins");
    while mover.step().await.expect("a step").is_some() {}
    target.finish().await.expect("finishes");
}

/// Of every part.
async fn tallies(store: &dyn Transfer) -> Vec<(Part, Tally)> {
    let mut tallies = Vec::new();
    for part in Part::ALL {
        let tally = tally(store, part, LIMITS, |_| {}).await.expect("a tally");
        // However large the pages are.
        let all = store::transfer::tally(store, part, Limits::default(), |_| {}).await;
        assert_eq!(all, Ok(tally), "{part:?}");
        tallies.push((part, tally));
    }
    tallies
}

async fn assert_same(
    filled: &Filled,
    one: (&dyn Store, &dyn Transfer),
    two: (&dyn Store, &dyn Transfer),
) {
    let before = Picture::of(one.0, filled).await;
    before.assert_same(&Picture::of(two.0, filled).await);
    assert_eq!(tallies(one.1).await, tallies(two.1).await);
    assert_clean(two.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_and_comes_back() {
    let (files, filled) = Files::filled().await;
    let source = files.open();
    let held = tallies(&source).await;
    for (part, tally) in &held {
        assert!(tally.count > 0, "nothing of {part:?} was filled in");
    }
    // Each with a key of its own.
    let (one, two) = (Database::empty(), Database::empty());
    one.clock.advance(Duration::from_secs(500));
    two.clock.advance(Duration::from_secs(500));
    let first = one.try_open(&[[2; 32]], 1).await.expect("opens");
    moved(&source, &first).await;
    assert_same(&filled, (&source, &source), (&first, &first)).await;
    let default = "SELECT count(*) FROM message_default";
    assert_eq!(CLUSTER.sql(one.url.rsplit('/').next().expect("a name"), default), "0");
    let second = two.try_open(&[[3; 32]], 2).await.expect("opens");
    moved(&first, &second).await;
    assert_same(&filled, (&first, &first), (&second, &second)).await;

    let back = Files::new(4);
    back.clock.advance(Duration::from_secs(500));
    let last = back.open();
    moved(&second, &last).await;
    assert_same(&filled, (&source, &source), (&last, &last)).await;
    assert_eq!(tallies(&last).await, held);
    for store in [&first as &dyn Store, &last] {
        assert_works(store, &filled).await;
    }
    // Nothing was written where it was taken from.
    assert_eq!(tallies(&source).await, held);
}

/// What was moved goes on, and new work is done beside it.
async fn assert_works(store: &dyn Store, filled: &Filled) {
    let mut left = store.stats().await.expect("stats").pending;
    let heads = store.lanes(&domain::shard::ShardSet::ALL, None, 100).await.expect("lanes");
    let f = Fixture::new(store);
    for head in heads {
        let page = store.due(head.lane, until(at(100_000)), Vec::new()).await.expect("due");
        for due in page.due {
            f.tried(&due.delivery, 200, DELIVERED, at(600)).await;
            left -= 1;
        }
    }
    assert_eq!((left, store.stats().await.expect("stats").pending), (0, 0));
    let (org, app) = filled.apps[0];
    let app = store.application(org, &domain::name::Ref::Id(app)).await.expect("an application");
    let app = app.expect("it is there");
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(610)).await;
    f.tried(&sent.deliveries[0], 500, Next::Retry(at(700)), at(611)).await;
    assert_clean(store).await;
}

/// Stopped after each batch and begun again in another process, as it were.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_goes_on_where_it_was() {
    let (files, _) = Files::filled().await;
    let wanted = tallies(&files.open()).await;
    let database = Database::new();
    let limits = Limits { records: 25, ..LIMITS };
    for stopped in 0.. {
        let (source, target) = (files.open(), database.open(stopped).await);
        let mut mover = Mover::begin(&source, &target, limits).await.expect("begins");
        let before = mover.progress().clone();
        if mover.step().await.expect("a step").is_none() {
            assert!(stopped > 20, "{stopped}");
            target.finish().await.expect("finishes");
            break;
        }
        assert_ne!(*mover.progress(), before);
    }
    let target = database.open(0).await;
    assert_eq!(tallies(&target).await, wanted);
    assert_clean(&target).await;
    let back = Files::new(2);
    for _ in 0.. {
        let target = back.open();
        let source = database.open(0).await;
        let mut mover = Mover::begin(&source, &target, limits).await.expect("begins");
        if mover.step().await.expect("a step").is_none() {
            target.finish().await.expect("finishes");
            break;
        }
    }
    assert_eq!(tallies(&back.open()).await, wanted);
    assert_clean(&back.open()).await;
}

/// Cut off in the middle of whatever it does, again and again.
async fn interrupted<S, T>(source: &S, open: impl AsyncFn() -> T)
where
    S: Transfer,
    T: Transfer,
{
    let mut patience = Duration::from_millis(1);
    loop {
        let target = open().await;
        let whole = async {
            let mut mover = Mover::begin(source, &target, LIMITS).await?;
            while mover.step().await?.is_some() {}
            Ok::<_, MoveError>(())
        };
        match tokio::time::timeout(patience, whole).await {
            Ok(done) => {
                done.expect("it comes to its end");
                return target.finish().await.expect("finishes");
            }
            Err(_) => patience = patience * 4 / 3 + Duration::from_millis(3),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_may_be_cut_off_at_any_time() {
    let (files, _) = Files::filled().await;
    let source = files.open();
    let wanted = tallies(&source).await;
    let database = Database::new();
    interrupted(&source, async || database.open(1).await).await;
    let middle = database.open(1).await;
    assert_eq!(tallies(&middle).await, wanted);
    assert_clean(&middle).await;
    let back = Files::new(2);
    interrupted(&middle, async || back.open()).await;
    let last = back.open();
    assert_eq!(tallies(&last).await, wanted);
    assert_clean(&last).await;
}

/// A batch that comes twice is taken in once, and one out of its turn not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_taken_in_once() {
    let (files, _) = Files::filled().await;
    let source = files.open();
    let (database, other) = (Database::new(), Files::new(2));
    let (postgres, embedded) = (database.open(1).await, other.open());
    for target in [&postgres as &dyn Transfer, &embedded] {
        let step = |from: Option<&str>, to: &str| Step {
            from: from.map(|from| from.as_bytes().to_vec()),
            to: to.as_bytes().to_vec(),
        };
        let import = async |from: Option<&str>, to: &str| {
            let batch = source.export(Part::Organizations, None, LIMITS).await.expect("a page");
            target.import(batch.records, step(from, to)).await
        };
        assert_eq!(target.import(Vec::new(), step(None, "begun")).await, Ok(()));
        for _ in 0..2 {
            assert_eq!(import(Some("begun"), "one").await, Ok(()));
        }
        let there = tally(target, Part::Organizations, LIMITS, |_| {}).await.expect("a tally");
        assert_eq!(there.count, 1);
        assert!(import(Some("begun"), "two").await.is_err(), "out of its turn");
        assert!(import(None, "two").await.is_err(), "out of its turn");
        assert!(import(Some("one"), "two").await.is_err(), "they are there already");
        assert_eq!(target.progress().await, Ok(Some(b"one".to_vec())));
        let after = tally(target, Part::Organizations, LIMITS, |_| {}).await;
        assert_eq!(after, Ok(there));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_must_be_empty_or_hold_a_part_of_the_same_store() {
    let (files, _) = Files::filled().await;
    let (source, other, database) = (files.open(), Files::new(2), Database::new());
    let (other, postgres) = (other.open(), database.open(1).await);
    let begin = async |source: &dyn Transfer, target: &dyn Transfer| {
        Mover::begin(source, target, LIMITS).await.map(drop)
    };
    for target in [&source as &dyn Transfer, &postgres] {
        if !target.is_empty().await.expect("an answer") {
            assert!(matches!(begin(&other, target).await, Err(MoveError::NotEmpty)));
        }
    }
    begin(&source, &postgres).await.expect("begins");
    begin(&source, &postgres).await.expect("goes on");
    assert!(matches!(begin(&other, &postgres).await, Err(MoveError::OtherSource)));
    postgres.finish().await.expect("finishes");
    begin(&other, &postgres).await.expect("it was still empty");
    assert!(postgres.is_empty().await.expect("an answer"));

    let mut mover = Mover::begin(&other, &postgres, LIMITS).await.expect("goes on");
    while mover.step().await.expect("a step").is_some() {}
    assert!(postgres.is_empty().await.expect("an answer"), "there was nothing");
    Fixture::new(&postgres).application().await;
    postgres.finish().await.expect("finishes");
    assert!(matches!(begin(&source, &postgres).await, Err(MoveError::NotEmpty)));
}

/// What is damaged is not moved as if all were well.
#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_found() {
    let (files, _) = Files::filled().await;
    let source = files.open();
    let database = Database::new();
    let target = database.open(1).await;
    moved(&source, &target).await;
    let name = database.url.rsplit('/').next().expect("a name");
    let differs = async |target: &PostgresStore| {
        let (ours, theirs) = (tallies(&source).await, tallies(target).await);
        ours.into_iter().zip(theirs).filter(|(a, b)| a != b).map(|((part, _), _)| part).collect()
    };
    assert_eq!(differs(&target).await, [] as [Part; 0]);
    for (damage, part) in [
        ("UPDATE application SET version = version + 1", Part::Applications),
        ("UPDATE endpoint SET disabled = NOT disabled", Part::Endpoints),
        ("UPDATE due SET give_up_at = give_up_at + 1", Part::Deliveries),
        ("DELETE FROM attempt WHERE superseded", Part::Attempts),
        ("UPDATE rollup SET messages = messages + 1 WHERE unit = 2", Part::Rollups),
        ("UPDATE traffic SET bytes = bytes + 1", Part::Rollups),
        ("UPDATE counted SET up_to = up_to - 1 WHERE shard = 7", Part::Rollups),
        ("UPDATE claim SET expires_at = expires_at + 1", Part::Claims),
        ("UPDATE payload SET body = 'x', codec = 0 WHERE codec = 1", Part::Messages),
    ] {
        CLUSTER.sql(name, damage);
        let found: Vec<Part> = differs(&target).await;
        assert!(found.contains(&part), "{damage}: {found:?}");
    }
    CLUSTER.sql(name, "DELETE FROM due");
    let limits = Limits::default();
    assert!(tally(&target, Part::Deliveries, limits, |_| {}).await.is_err(), "not scheduled");
    assert!(!target.check().await.expect("a check").problems.is_empty());
}
