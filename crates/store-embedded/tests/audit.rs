//! Who changed what: kept for as long as history is.

mod common;

use std::time::Duration;

use common::Dir;
use domain::delivery::{Health, Next};
use hookwright_store_embedded::DATABASE_FILE;
use rusqlite::Connection;
use store::{
    Housekeeping,
    deliveries::Settle,
    housekeeping::RetentionLimits,
    suite::fixture::{Fixture, at},
};

#[tokio::test]
async fn old_rows_go_a_few_at_a_time() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    for _ in 0..5 {
        f.application().await;
    }
    dir.clock.advance(Duration::from_secs(100));
    for _ in 0..2 {
        f.application().await;
    }
    let conn = Connection::open(dir.path().join(DATABASE_FILE)).expect("opens");
    let left = || -> i64 {
        conn.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).expect("counts")
    };
    assert_eq!(left(), 7);
    let limits = RetentionLimits { now: at(200), history_before: at(50), rows: 2 };
    for (remain, more) in [(5, true), (3, true), (2, false), (2, false)] {
        let swept = store.sweep(limits).await.expect("sweeps");
        assert_eq!((left(), swept.more), (remain, more));
    }
}

#[tokio::test]
async fn disabling_by_failure_is_on_record() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for _ in 0..2 {
        // The second one finds it disabled.
        let sent = f.send(&app, &[&endpoint], at(1)).await;
        let outcome = f.outcome(&sent.deliveries[0], Some(500), Next::Retry(at(900)), at(2));
        f.settle(Settle { health: Health::Disable { fail_since: at(1) }, ..outcome }).await;
    }
    let conn = Connection::open(dir.path().join(DATABASE_FILE)).expect("opens");
    let sql = "SELECT actor, target, detail FROM audit WHERE action = 'endpoint.disable'";
    let mut statement = conn.prepare(sql).expect("prepared");
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .and_then(|rows| rows.collect::<Result<Vec<(String, String, String)>, _>>())
        .expect("rows");
    let detail = format!(r#"{{"failingSince":"{}"}}"#, at(1));
    assert_eq!(rows, [("system".to_owned(), endpoint.id.to_string(), detail)]);
}
