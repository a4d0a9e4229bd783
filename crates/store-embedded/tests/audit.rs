//! Who changed what: kept for as long as history is.

mod common;

use std::time::Duration;

use common::Dir;
use hookwright_store_embedded::DATABASE_FILE;
use rusqlite::Connection;
use store::{
    Housekeeping,
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
