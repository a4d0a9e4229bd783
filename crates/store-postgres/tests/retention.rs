//! Retention by partitions: what is made, what goes, and that nothing is lost on the way.

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::Database;
use domain::{delivery::Next, message::Message, name::Ref};
use hookwright_store_postgres::PostgresStore;
use store::{
    History, Housekeeping,
    housekeeping::{RetentionLimits, Swept},
    suite::{
        fixture::{Fixture, assert_clean, at},
        traffic::{DELIVERED, Sent, tenant},
    },
};

impl Database {
    /// The partitions of a table, by the second from which they are after the suite's time zero.
    fn partitions(&self, table: &str) -> Vec<i64> {
        let sql = format!(
            "SELECT split_part(inhrelid::regclass::text, '_', 2) FROM pg_inherits
             WHERE inhparent = '{table}'::regclass ORDER BY 1"
        );
        let secs = |name: &str| name.parse::<i64>().ok().map(|from| from - at(0).as_secs());
        self.sql(&sql).lines().filter_map(secs).collect()
    }
}

async fn step(store: &PostgresStore, now: u64, history_before: u64, rows: usize) -> Swept {
    let limits = RetentionLimits { now: at(now), history_before: at(history_before), rows };
    store.sweep(limits).await.expect("a sweep")
}

/// All steps until there is nothing more to do.
async fn sweep(store: &PostgresStore, now: u64, history_before: u64, rows: usize) -> Swept {
    let mut all = Swept::default();
    for _ in 0..50 {
        let swept = step(store, now, history_before, rows).await;
        all += Swept { more: false, ..swept };
        if !swept.more {
            return all;
        }
    }
    panic!("sweeping comes to no end");
}

#[tokio::test]
async fn partitions_are_made_ahead_once() {
    let database = Database::empty();
    let (one, two) = tokio::join!(database.open(1), database.open(2));
    for table in ["message", "delivery", "attempt"] {
        assert_eq!(database.partitions(table), [0, 100, 200], "{table}");
    }
    assert_eq!(database.partitions("payload"), [0, 100, 200, 300, 400, 500, 600, 700]);
    let options = "SELECT reloptions FROM pg_class WHERE relname = 'delivery_1790000000'";
    assert_eq!(database.sql(options), "{fillfactor=80}");

    let (by_one, by_two) = tokio::join!(step(&one, 250, 0, 100), step(&two, 250, 0, 100));
    assert_eq!(by_one.messages + by_two.messages, 0);
    assert_eq!(database.partitions("message"), [0, 100, 200, 300, 400]);
    assert_eq!(database.partitions("attempt"), [0, 100, 200, 300, 400]);
}

#[tokio::test]
async fn rows_of_the_default_partition_move_into_their_own() {
    let database = Database::new();
    let store = database.open(1).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    // There is no partition so far ahead.
    let sent = f.send(&app, &[&endpoint], at(450)).await;
    f.tried(&sent.deliveries[0], 500, Next::Retry(at(900)), at(460)).await;
    let places = "SELECT DISTINCT tableoid::regclass FROM message
        UNION ALL SELECT DISTINCT tableoid::regclass FROM delivery
        UNION ALL SELECT DISTINCT tableoid::regclass FROM attempt";
    assert_eq!(database.sql(places), "message_default\ndelivery_default\nattempt_default");
    step(&store, 400, 0, 100).await;
    let moved = ["message", "delivery", "attempt"].map(|table| format!("{table}_1790000400"));
    assert_eq!(database.sql(places), moved.join("\n"));
    assert_eq!(f.pending(&endpoint).await.len(), 1);
    assert_eq!(f.record(&sent.deliveries[0]).await.attempts, 1);
    let id = Ref::Id(sent.message.id);
    assert_eq!(store.message(tenant(&app), &id).await, Ok(Some(sent.message)));
    assert_clean(&store).await;
}

/// Two nodes at once take away what one would, and each row is counted once.
#[tokio::test]
async fn two_nodes_do_no_harm() {
    let database = Database::new();
    let (one, two) = (database.open(1).await, database.open(2).await);
    let f = Fixture::new(&one);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut busy = Vec::new();
    for i in 0..40 {
        let message = Message { expires_at: at(2_000), ..f.message(&app, at(i * 10)) };
        let sent = f.send_message(message, &app, &[&endpoint]).await;
        if i % 4 == 0 {
            busy.push(sent);
        } else {
            f.tried(&sent.deliveries[0], 200, DELIVERED, at(i * 10 + 1)).await;
        }
    }
    // Each may stop because the other one is at it: then one of them comes again, after a rest.
    let both = async |now| {
        let both = tokio::join!(sweep(&one, now, 400, 3), sweep(&two, now, 400, 3));
        let mut all = sweep(&one, now + 200, 400, 3).await;
        all += both.0;
        all += both.1;
        all
    };
    let all = both(450).await;
    assert_eq!((all.messages, all.deliveries, all.attempts, all.expired), (30, 30, 30, 0));
    let left: BTreeSet<_> = busy.iter().map(|sent| sent.deliveries[0].id).collect();
    let pending = f.pending(&endpoint).await;
    assert_eq!(pending.iter().map(|delivery| delivery.id).collect::<BTreeSet<_>>(), left);
    assert_clean(&one).await;

    // Then their time is over as well.
    let all = both(2_500).await;
    assert_eq!((all.messages, all.deliveries, all.expired), (10, 10, 10));
    assert_eq!(database.sql("SELECT count(*) FROM message"), "0");
    assert_eq!(database.sql("SELECT count(*) FROM payload"), "0");
    assert_clean(&one).await;
}

/// Somebody reads for long: nobody waits for that, and it goes on later.
#[tokio::test]
async fn what_is_in_use_goes_later() {
    let database = Database::new();
    let store = database.open(1).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(2)).await;
    let (reader, connection) =
        tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await.expect("connects");
    let body = async {
        reader.batch_execute("BEGIN; SELECT count(*) FROM message").await.expect("reads");
        for now in [600, 610] {
            assert_eq!(sweep(&store, now, 400, 100).await, Swept::default());
        }
        f.send(&app, &[&endpoint], at(500)).await;
        reader.batch_execute("ROLLBACK").await.expect("ends");
        assert_eq!(sweep(&store, 620, 400, 100).await, Swept::default(), "it rests");
        let swept = sweep(&store, 800, 400, 100).await;
        assert_eq!((swept.messages, swept.deliveries, swept.attempts), (1, 1, 1));
        assert_clean(&store).await;
    };
    tokio::select! {
        ended = connection => panic!("{ended:?}"),
        () = body => {}
    }
}

/// Somebody asks for old messages once more at the moment when they go: each stays with its work, or is
/// gone with all that belongs to it.
#[tokio::test]
async fn work_that_is_added_late_is_not_lost() {
    let database = Database::new();
    let (one, two) = (database.open(1).await, database.open(2).await);
    let (f, g) = (Fixture::new(&one), Fixture::new(&two));
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut old = Vec::new();
    for i in 0..60 {
        let sent = f.send(&app, &[&endpoint], at(i * 5)).await;
        f.tried(&sent.deliveries[0], 200, DELIVERED, at(i * 5 + 1)).await;
        old.push(sent);
    }
    let resend = async |sent: &Sent| {
        g.resend(&sent.message, &endpoint, at(600)).await;
    };
    let resends = async {
        for sent in &old {
            resend(sent).await;
        }
    };
    let (swept, ()) = tokio::join!(sweep(&one, 600, 400, 5), resends);
    let left: usize = database.sql("SELECT count(*) FROM message").parse().expect("a number");
    assert_eq!(swept.messages + left, 60);
    assert_eq!(f.pending(&endpoint).await.len(), left);
    assert_clean(&one).await;
}

/// To move much would keep everybody waiting: history stays until less of it has work left.
#[tokio::test]
async fn a_partition_with_much_work_left_stays() {
    let database = Database::new();
    let store = database.open(1).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    f.send(&app, &[&endpoint], at(1)).await;
    // Thousands like it, with ids of their own.
    for (table, id) in
        [("message", "id"), ("payload", "message"), ("delivery", "message"), ("due", "message")]
    {
        let own = match table {
            "delivery" | "due" => ", delivery = overlay(delivery PLACING int4send(n) FROM 17)",
            _ => "",
        };
        database.sql(&format!(
            "CREATE TEMP TABLE more AS SELECT t.*, n FROM {table} t, generate_series(1, 5000) n;
             UPDATE more SET {id} = overlay({id} PLACING int4send(n) FROM 17){own};
             ALTER TABLE more DROP COLUMN n;
             INSERT INTO {table} SELECT * FROM more; DROP TABLE more"
        ));
    }
    database.sql("UPDATE pending SET count = count + 5000");
    database.sql("UPDATE traffic SET messages = messages * 5001, bytes = bytes * 5001");
    assert_clean(&store).await;
    for now in [600, 700] {
        assert_eq!(sweep(&store, now, 400, 100).await, Swept::default());
    }
    assert_eq!(database.partitions("message")[0], 0);
    let tried = f.pending(&endpoint).await;
    assert_eq!(tried.len(), 1_000, "a page");
    for delivery in &tried[..2] {
        f.tried(delivery, 200, DELIVERED, at(710)).await;
    }
    let swept = sweep(&store, 1_300, 400, 100).await;
    assert_eq!((swept.messages, swept.deliveries), (2, 2));
    assert_eq!(database.sql("SELECT count(*) FROM message_default"), "4999");
    assert_clean(&store).await;
}

/// Whoever publishes and settles waits for a moment at most while partitions come and go.
#[tokio::test]
async fn traffic_goes_on_meanwhile() {
    let database = Database::new();
    let (one, two) = (database.open(1).await, database.open(2).await);
    let (f, g) = (Fixture::new(&one), Fixture::new(&two));
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut swept = Swept::default();
    for round in 1..=6 {
        let now = round * 100;
        let traffic = async {
            for i in 0..30 {
                let sent = g.send(&app, &[&endpoint], at(now + 3 * i)).await;
                g.tried(&sent.deliveries[0], 200, DELIVERED, at(now + 3 * i + 1)).await;
            }
        };
        let sweeps = sweep(&one, now, now.saturating_sub(150), 10);
        let ((), some) = tokio::join!(traffic, sweeps);
        swept += some;
    }
    swept += sweep(&one, 900, 700, 10).await;
    assert_eq!((swept.messages, swept.deliveries, swept.attempts), (180, 180, 180));
    assert_clean(&one).await;
}

/// What is pending of bodies that have expired ends in steps, before the bodies' partition goes.
#[tokio::test]
async fn what_is_pending_of_expired_bodies_ends_in_steps() {
    let database = Database::new();
    let store = database.open(1).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for i in 0..25 {
        // Half of them are in no partition of their own.
        let expires_at = if i % 2 == 0 { at(150) } else { at(30_000) };
        let message = Message { expires_at, ..f.message(&app, at(i)) };
        f.send_message(message, &app, &[&endpoint]).await;
    }
    assert_eq!(step(&store, 149, 0, 5).await, Swept { more: false, ..Swept::default() });
    for (expired, payloads) in [(5, 0), (5, 0), (3, 13)] {
        let swept = step(&store, 260, 0, 5).await;
        assert_eq!((swept.expired, swept.payloads), (expired, payloads));
    }
    assert_eq!(f.pending(&endpoint).await.len(), 12);
    let swept = sweep(&store, 30_160, 0, 5).await;
    assert_eq!((swept.expired, swept.payloads), (12, 12));
    assert_eq!(database.sql("SELECT sum(count) FROM pending"), "0");
    assert_clean(&store).await;
}

/// Work is vacuumed beside the sweeps, and not at each of them.
#[tokio::test]
async fn work_is_vacuumed() {
    let database = Database::new();
    let store = database.open(1).await;
    for _ in 0..3 {
        step(&store, 0, 0, 100).await;
    }
    let vacuums =
        "SELECT vacuum_count FROM pg_stat_user_tables WHERE relname IN ('due', 'pending')";
    let done = async {
        while database.sql(vacuums) != "1\n1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done).await.expect("both are vacuumed");
}

/// What a check has to find.
#[tokio::test]
async fn a_check_finds_what_is_wrong() {
    let database = Database::new();
    let store = database.open(1).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for i in 0..4 {
        f.send(&app, &[&endpoint], at(i)).await;
    }
    assert_clean(&store).await;
    let first = "(SELECT message FROM due ORDER BY message LIMIT 1)";
    for (damage, found) in [
        (
            format!("UPDATE delivery SET attempts = 3 WHERE message = {first}"),
            vec!["1 pending deliveries are not scheduled"],
        ),
        (
            format!("UPDATE delivery SET state = 0 WHERE message = {first}"),
            vec!["1 scheduled deliveries are not on record as pending"],
        ),
        (
            format!("DELETE FROM message WHERE id = {first}"),
            vec!["1 scheduled deliveries have no message"],
        ),
        (
            format!("DELETE FROM payload WHERE message = {first}"),
            vec!["1 scheduled deliveries have lost their payload before its time"],
        ),
        (
            "UPDATE due SET shard = (shard + 1) % 1024".into(),
            vec!["1 endpoints have work in a wrong shard"],
        ),
        ("UPDATE pending SET count = count + 2".into(), vec![" are scheduled, and 6 are counted"]),
        (
            format!("UPDATE message SET routed = 2 WHERE id = {first}"),
            vec![" was routed to 2 endpoints, on record: 1"],
        ),
        (
            format!("DELETE FROM delivery WHERE message = {first}"),
            vec!["are not on record as pending", " was routed to 1 endpoints, on record: 0"],
        ),
    ] {
        let kept = ["message", "payload", "delivery", "due", "pending"];
        for table in kept {
            database.sql(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"));
        }
        database.sql(&damage);
        let mut problems = store.check().await.expect("a check").problems;
        // A message that is gone was counted.
        problems.retain(|problem| !problem.contains("counted 4, on record 3"));
        problems.retain(|problem| !problem.contains("differ from a recount"));
        assert_eq!(problems.len(), found.len(), "{damage}: {problems:?}");
        for (problem, found) in problems.iter().zip(found) {
            assert!(problem.contains(found), "{damage}: {problem}");
        }
        for table in kept {
            database.sql(&format!("DELETE FROM {table}"));
            database.sql(&format!("INSERT INTO {table} SELECT * FROM kept_{table}"));
            database.sql(&format!("DROP TABLE kept_{table}"));
        }
    }
    assert_clean(&store).await;

    database.sql(&format!("DELETE FROM due WHERE message = {first}"));
    for unscheduled in [1, 1] {
        assert_eq!(store.stats().await.expect("stats").unscheduled, unscheduled);
    }
    database.sql("DELETE FROM delivery WHERE message NOT IN (SELECT message FROM due)");
    let rounds = async || store.stats().await.expect("stats").unscheduled;
    while rounds().await > 0 {}
}

/// Small rows go when their time is over, a few at a time.
#[tokio::test]
async fn small_rows_go_a_few_at_a_time() {
    let database = Database::new();
    let store = database.open(1).await;
    let tables = ["token", "revocation", "audit", "task", "catalog_change"];
    database.sql(&format!(
        "INSERT INTO token SELECT '', int4send(n), null, null, 0, {now} FROM generate_series(1, 5) n;
         INSERT INTO token VALUES ('', '', null, null, 0, {now} + 1);
         INSERT INTO revocation SELECT int4send(n), null, null, null, null, 0, 0, {now}
             FROM generate_series(1, 5) n;
         INSERT INTO revocation VALUES ('', null, null, null, null, 0, 0, {now} + 1);
         INSERT INTO audit SELECT '', int4send(n), {now} - 1, '', '', '', ''
             FROM generate_series(1, 5) n;
         INSERT INTO audit VALUES ('', '', {now}, '', '', '', '');
         INSERT INTO task SELECT '', int4send(n), 0, '', null, '', '\"failed\"', null, 0, {now}
             FROM generate_series(1, 5) n;
         INSERT INTO task VALUES ('', '', 0, '', null, '', '\"running\"', null, 0, {now});
         INSERT INTO catalog_change (org, at) SELECT '', now() - interval '11 minutes'
             FROM generate_series(1, 5);
         INSERT INTO catalog_change (org) VALUES ('')",
        now = at(0).as_micros()
    ));
    for (left, more) in [(4, true), (2, true), (1, false), (1, false)] {
        assert_eq!(step(&store, 0, 0, 2).await, Swept { more, ..Swept::default() });
        for table in tables {
            let count = database.sql(&format!("SELECT count(*) FROM {table}"));
            assert_eq!(count, left.to_string(), "{table}");
        }
    }
}
