//! What is left after the process is gone, and who may open it.

mod common;

use std::{fs, path::Path, time::Duration};

use common::Dir;
use domain::{
    analytics::{Unaccepted, Unit},
    claim::{ClaimKey, ClaimKind},
    clock::Timestamp,
    endpoint::Endpoint,
    id::MessageId,
    name::Ref,
};
use hookwright_store_embedded::{DATABASE_FILE, EmbeddedStore, OpenError};
use rusqlite::Connection;
use store::{
    Analytics, Catalog, Deliveries, History, Housekeeping, Publish,
    analytics::{Of, RollupLimits, Span, UnacceptedCount},
    publish::{Claim, NewMessage, Published},
    suite::{
        fixture::{Fixture, at},
        traffic::{DELIVERED, lane, tenant, until},
    },
};

/// The files as they are on disk at this moment: what a process that is killed leaves behind.
fn crash(from: &Path, to: &Path) {
    for name in [DATABASE_FILE.to_owned(), format!("{DATABASE_FILE}-wal")] {
        fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
}

async fn due(store: &EmbeddedStore, endpoint: &Endpoint) -> usize {
    let page = store.due(lane(endpoint), until(Timestamp::MAX), Vec::new()).await;
    page.expect("due").due.len()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let (one, two) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let mut sent = Vec::new();
    for i in 0..50 {
        sent.push(f.send(&app, &[&one, &two], at(i)).await);
        let after = Dir::new();
        crash(dir.path(), after.path());
        let recovered = after.open();
        let page = recovered.due(lane(&one), until(Timestamp::MAX), Vec::new()).await;
        let found: Vec<_> = page.expect("due").due.into_iter().map(|due| due.delivery).collect();
        let left = sent.iter().skip(sent.len() / 2);
        let wanted: Vec<_> = left.map(|sent| sent.deliveries[0].clone()).collect();
        assert_eq!(found, wanted, "after {i}");
        assert_eq!(recovered.check().await.expect("check").problems, [""; 0], "after {i}");
        if sent.len() % 2 == 1 {
            let done = &sent[sent.len() / 2].deliveries[0];
            f.tried(done, 200, DELIVERED, at(i)).await;
        }
    }
    drop(store);
    let again = dir.open();
    assert_eq!(due(&again, &one).await, 25);
    assert_eq!(due(&again, &two).await, 50);
    for sent in &sent {
        let found = again.message(tenant(&app), &Ref::Id(sent.message.id)).await;
        assert_eq!(found, Ok(Some(sent.message.clone())));
    }
    assert_eq!(again.stats().await.expect("stats").pending, 75);
}

#[tokio::test]
async fn a_torn_log_loses_only_what_was_not_acknowledged() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let wal = format!("{DATABASE_FILE}-wal");
    let mut ends = Vec::new();
    for i in 0..10 {
        f.send(&app, &[&endpoint], at(i)).await;
        ends.push(fs::metadata(dir.path().join(&wal)).expect("a log").len());
    }
    let last = *ends.last().expect("ten");
    for cut in (ends[0]..=last).step_by(997) {
        let after = Dir::new();
        crash(dir.path(), after.path());
        let log = fs::File::options().write(true).open(after.path().join(&wal)).expect("a log");
        log.set_len(cut).expect("cut");
        let recovered = after.open();
        let acknowledged = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(due(&recovered, &endpoint).await, acknowledged, "{cut} of {last} bytes");
        assert_eq!(recovered.check().await.expect("check").problems, [""; 0]);
    }
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = Dir::new();
    let store = dir.open();
    let Err(refused) = dir.try_open(&[[1; 32]]) else { panic!("opened twice") };
    assert!(matches!(refused, OpenError::InUse { .. }));
    let text = refused.to_string();
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    drop(store);
    assert!(dir.try_open(&[[1; 32]]).is_ok(), "free again");
}

#[tokio::test]
async fn files_of_others_and_of_later_releases_are_refused() {
    let dir = Dir::new();
    let path = dir.path().join(DATABASE_FILE);
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("CREATE TABLE mine (x)").expect("written");
    drop(other);
    let refused = dir.try_open(&[[1; 32]]).err();
    assert!(matches!(refused, Some(OpenError::Foreign { .. })), "{refused:?}");

    fs::remove_file(&path).expect("removed");
    fs::write(&path, b"this is no database at all, but it is long enough").expect("written");
    let refused = dir.try_open(&[[1; 32]]).err();
    assert!(matches!(refused, Some(OpenError::Foreign { .. })), "{refused:?}");

    fs::remove_file(&path).expect("removed");
    drop(dir.open());
    let later = Connection::open(&path).expect("opens");
    later.pragma_update(None, "user_version", 99).expect("written");
    drop(later);
    let refused = dir.try_open(&[[1; 32]]).err();
    assert!(matches!(refused, Some(OpenError::Newer { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn secrets_are_sealed_and_open_only_with_their_key() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let mut endpoint = f.new_endpoint(&app, at(0));
    endpoint.url = "https://user:pass-in-the-url@example.com/hook".parse().expect("a URL");
    endpoint.headers.insert("authorization".into(), "value-of-the-header".into());
    f.create_endpoint(&endpoint).await;
    let secret = endpoint.secrets[0].secret.expose();
    let key = ClaimKey([9; 16]);
    let answer =
        store::publish::SavedResponse { status: 409, body: b"text-of-the-answer".to_vec() };
    store::Publish::save_response(&store, f.org, key, answer.clone(), at(100))
        .await
        .expect("saved");
    drop(store);

    let bytes = fs::read(dir.path().join(DATABASE_FILE)).expect("read");
    let holds = |needle: &str| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
    for hidden in [&secret, "pass-in-the-url", "value-of-the-header", "text-of-the-answer"] {
        assert!(!holds(hidden), "{hidden} is in the file");
    }
    assert!(holds("https://user:****@example.com/hook"), "what is shown is there");

    let refused = dir.try_open(&[[2; 32]]).err();
    assert!(matches!(refused, Some(OpenError::WrongKey { .. })), "{refused:?}");

    // Both keys open; after sealing anew the new one is enough.
    let store = dir.try_open(&[[1; 32], [2; 32]]).expect("opens");
    assert_eq!(f_endpoint(&store, &endpoint).await, endpoint);
    assert_eq!(store.reseal().await, Ok(2));
    assert_eq!(store.reseal().await, Ok(0), "nothing is left to do");
    drop(store);
    let store = dir.try_open(&[[2; 32]]).expect("opens with the new key");
    assert_eq!(f_endpoint(&store, &endpoint).await, endpoint);
    assert_eq!(store::Publish::saved_response(&store, app.org, key, at(1)).await, Ok(Some(answer)));
    drop(store);
    let refused = dir.try_open(&[[1; 32]]).err();
    assert!(matches!(refused, Some(OpenError::WrongKey { .. })), "{refused:?}");
}

async fn f_endpoint(store: &EmbeddedStore, endpoint: &Endpoint) -> Endpoint {
    let found = store.endpoint(endpoint.org, endpoint.app, &Ref::Id(endpoint.id)).await;
    found.expect("endpoint").expect("it is there")
}

#[tokio::test]
async fn every_write_of_the_catalogue_is_on_audit() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    f.update_endpoint(&endpoint, |e| e.disabled = true).await;
    let actor = domain::token::Actor::Token(Some(domain::id::TokenId::from_raw([5; 20])));
    let deleted = store.delete_endpoint(&actor, f.org, app.id, endpoint.id, at(5)).await;
    assert_eq!(deleted, Ok(Ok(())));
    drop(store);
    let conn = Connection::open(dir.path().join(DATABASE_FILE)).expect("opens");
    let mut audit = conn.prepare("SELECT action, actor FROM audit ORDER BY no").expect("audit");
    let rows = audit.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let rows: Vec<(String, String)> = rows.map(|row| row.expect("a row")).collect();
    let token = domain::id::TokenId::from_raw([5; 20]).to_string();
    let wanted = [
        ("application.create", "system"),
        ("endpoint.create", "system"),
        ("endpoint.update", "system"),
        ("endpoint.delete", &token),
    ];
    let wanted: Vec<_> = wanted.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(rows, wanted);
}

#[tokio::test]
async fn claims_hold_while_and_after_they_are_carried_over() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let versions = f.versions(&app).await;
    let key = |n: u64| ClaimKey::new(ClaimKind::IdempotencyKey, &[&n.to_le_bytes()]);
    let keyed = |n: u64| {
        let claim = Claim { key: key(n), expires_at: at(1_000) };
        NewMessage { idempotency: Some(claim), ..f.routed(versions, f.message(&app, at(1)), &[]) }
    };
    let repeat = async |store: &EmbeddedStore, n: u64, first: MessageId| {
        let repeated = store.publish(vec![keyed(n)]).await;
        assert_eq!(repeated, Ok(vec![Published::Repeated(first)]), "key {n}");
    };
    let mut firsts = Vec::new();
    // Carried over from 32,768 on, 4,000 at a time: what is copied ends in the middle of it.
    for batch in 0..40 {
        let messages: Vec<_> = (batch * 1_000..(batch + 1) * 1_000).map(keyed).collect();
        firsts.extend(messages.iter().map(|new| new.message.id));
        let published = store.publish(messages).await.expect("published");
        assert!(published.iter().all(|p| *p == Published::Stored));
    }
    let after = Dir::new();
    crash(dir.path(), after.path());
    let recovered = after.open();
    for store in [&store, &recovered] {
        for n in (0..40_000).step_by(499) {
            repeat(store, n, firsts[n as usize]).await;
        }
        assert_eq!(store.check().await.expect("check").problems, [""; 0]);
    }
    // To the end, and on.
    for batch in 40..200 {
        let messages: Vec<_> = (batch * 1_000..(batch + 1) * 1_000).map(keyed).collect();
        firsts.extend(messages.iter().map(|new| new.message.id));
        store.publish(messages).await.expect("published");
    }
    for n in (0..200_000).step_by(1_997) {
        repeat(&store, n, firsts[n as usize]).await;
    }
    drop(store);
    let conn = Connection::open(dir.path().join(DATABASE_FILE)).expect("opens");
    let count = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count");
    let (young, old) =
        (count("SELECT count(*) FROM claim_recent"), count("SELECT count(*) FROM claim"));
    // However many come, the young ones stay few.
    assert!(young < 60_000, "{young} young, {old} old");
    assert!(young + old >= 200_000, "{young} young, {old} old");
}

#[tokio::test]
async fn what_was_not_written_of_the_counts_is_counted_anew() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let unaccepted =
        UnacceptedCount { tenant: tenant(&app), at: at(0), why: Unaccepted::Duplicate, count: 3 };
    store.count_unaccepted(vec![unaccepted]).await.expect("counted");
    let mut crashes = Vec::new();
    for i in 0..6 {
        let sent = f.send(&app, &[&endpoint], at(40 * i)).await;
        f.tried(&sent.deliveries[0], 200, DELIVERED, at(40 * i)).await;
        if i == 2 {
            store.flush_rollups(&[]).await.expect("flushed");
        }
        let after = Dir::new();
        crash(dir.path(), after.path());
        crashes.push(after);
    }
    let from = Unit::Minute.floor(at(0));
    let span = Span { unit: Unit::Minute, from, until: from.plus(Duration::from_secs(600)) };
    for (i, crashed) in crashes.iter().enumerate() {
        crashed.clock.advance(Duration::from_secs(600));
        let mut attempts = Vec::new();
        // A second start finds it as the first one left it.
        for _ in 0..2 {
            let recovered = crashed.open();
            let rollups = recovered.rollups(app.org, Of::Application(app.id), span, 100);
            let mut rows = rollups.await.expect("rollups");
            let duplicates = &mut rows[0].rollup.unaccepted[Unaccepted::Duplicate as usize];
            // Of these nothing but the rollup knows.
            if i >= 2 {
                assert_eq!(std::mem::take(duplicates), 3, "after {i}");
                if rows[0].rollup.is_empty() {
                    rows.remove(0);
                }
            }
            assert_eq!(recovered.recount(tenant(&app), span).await, Ok(rows), "after {i}");
            let counts = recovered.application_counts(app.org, span).await.expect("counts");
            attempts.push(counts[0].1.attempts);
            let types = recovered.rollups(app.org, Of::EventTypes, span, 100).await;
            let types = types.expect("rollups");
            attempts.push(types.iter().map(|row| row.rollup.counts().attempts).sum());
            let report = recovered.check().await.expect("check");
            assert_eq!(report.problems, [""; 0], "after {i}");
            let compared = format!("compared with {0} messages and {0} attempts", i + 1);
            assert!(report.facts.iter().any(|fact| fact.ends_with(&compared)), "{report:?}");
        }
        assert_eq!(attempts, [i as u64 + 1; 4]);
    }
}

#[tokio::test]
async fn a_check_finds_counts_that_were_changed() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for i in 0..3 {
        let sent = f.send(&app, &[&endpoint], at(i)).await;
        f.attempted(&sent.message, &sent.deliveries[0], (Some(200), DELIVERED), at(i)).await;
    }
    drop(store);
    dir.clock.advance(Duration::from_secs(2 * 86_400));
    let roll_up = async |store: &EmbeddedStore| {
        let none = Timestamp::EPOCH;
        let (now, minutes_before) = (at(2 * 86_400), none);
        let limits = RollupLimits { now, minutes_before, quarters_before: none, days_before: none };
        while store.roll_up(limits).await.expect("a step") {}
    };
    roll_up(&dir.open()).await;
    let problems = async |change: &str| {
        let after = Dir::new();
        fs::copy(dir.path().join(DATABASE_FILE), after.path().join(DATABASE_FILE)).expect("copied");
        after.clock.advance(Duration::from_secs(2 * 86_400));
        let conn = Connection::open(after.path().join(DATABASE_FILE)).expect("opens");
        assert_eq!(conn.execute(change, []).expect(change), 1, "{change}");
        drop(conn);
        after.open().check().await.expect("check").problems
    };
    assert_eq!(problems("UPDATE rolled_up SET id = 0").await, [""; 0]);
    let (counts, sums) =
        ("counts differ from a recount of messages and attempts", "sums of counts differ");
    for (change, wanted) in [
        ("UPDATE rollup SET messages = messages + 1 WHERE unit = 0 AND endpoint_no = 0", counts),
        ("UPDATE rollup SET bytes = bytes - 1 WHERE unit = 1 AND endpoint_no = 0", counts),
        ("UPDATE rollup SET retries = 1 WHERE unit = 2 AND endpoint_no > 0", counts),
        ("DELETE FROM rollup WHERE unit = 0 AND endpoint_no > 0", counts),
        ("UPDATE rollup_app SET attempts = attempts + 1 WHERE unit = 1", sums),
        ("DELETE FROM rollup_type WHERE unit = 2", sums),
    ] {
        let problems = problems(change).await;
        assert!(problems.iter().any(|line| line.contains(wanted)), "{change}: {problems:?}");
    }
}
