//! Deliveries that are pending and have no row of work: nobody would ever send them. There must be
//! none. Beside `check`, which looks at everything at one moment and takes its time, a walk over all
//! records goes on for as long as the store is open, a page at a time, so that a fault is seen on the
//! server that has it.

use rusqlite::{Connection, params};
use store::walk;

use crate::error::Result;

/// Records of one page: some tens of milliseconds of a reader, even from a cold disk.
const PAGE_ROWS: usize = 10_000;

/// True of a row `d` of `delivery` that is pending and that no row of `due` agrees with.
macro_rules! unscheduled {
    () => {
        "d.state IS NULL AND NOT EXISTS (
             SELECT 1 FROM endpoint e JOIN due u
                 ON u.lane = e.lane AND u.due = d.next_due AND u.delivery_id = d.delivery_id
             WHERE e.no = d.endpoint_no AND u.attempts = d.attempts)"
    };
}

/// All of them, now.
pub(crate) fn count(conn: &Connection) -> Result<u64> {
    const ALL: &str = concat!("/* check */ SELECT count(*) FROM delivery d WHERE ", unscheduled!());
    Ok(conn.query_row(ALL, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// A record of a delivery, by endpoint, message and its own id: the order of the table.
type Key = (i64, Vec<u8>, Vec<u8>);

/// What one page held.
type Page = walk::Page<Key>;
/// How far the walk has come, and what it found.
pub(crate) type Walk = walk::Walk<Key>;

/// Looks at the records behind `after`. Each is compared with its work at one moment, so what is
/// found is a fault and not a delivery that moved on meanwhile.
pub(crate) fn page(conn: &Connection, after: Key) -> Result<Page> {
    page_of(conn, after, PAGE_ROWS)
}

fn page_of(conn: &Connection, after: Key, rows: usize) -> Result<Page> {
    const NEXT: &str = concat!(
        "/* stats */ SELECT d.endpoint_no, d.message_id, d.delivery_id, ",
        unscheduled!(),
        " FROM delivery d WHERE (d.endpoint_no, d.message_id, d.delivery_id) > (?1, ?2, ?3)
         ORDER BY d.endpoint_no, d.message_id, d.delivery_id LIMIT ?4"
    );
    let mut next = conn.prepare_cached(NEXT)?;
    let mut found = next.query(params![after.0, after.1, after.2, rows as i64])?;
    let (mut seen, mut last, mut unscheduled) = (0, None, 0);
    while let Some(row) = found.next()? {
        seen += 1;
        unscheduled += u64::from(row.get::<_, bool>(3)?);
        if seen == rows {
            last = Some((row.get(0)?, row.get(1)?, row.get(2)?));
        }
    }
    Ok(Page { after: after.clone(), next: last, found: unscheduled })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten deliveries to each of three endpoints, of which the even ones are pending.
    fn filled() -> Connection {
        let conn = Connection::open_in_memory().expect("a database");
        conn.execute_batch(include_str!("../migrations/0001.sql")).expect("tables");
        let filling = "
            WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3)
            INSERT INTO endpoint (no, app_no, id, lane, url, description, version, disabled,
                                  metadata, secrets, revision, created_at, updated_at)
            SELECT n, 1, n, n + 1000, 'http://x/', '', 1, 0, '{}', x'', 1, 0, 0 FROM n;
            WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 9)
            INSERT INTO delivery (endpoint_no, message_id, delivery_id, trigger, attempts, next_due,
                                  state, attempt_ids)
            SELECT e.no, CAST(n AS BLOB), x'01', 0, 0, iif(n % 2, NULL, n), iif(n % 2, 0, NULL), x''
            FROM n, endpoint e;
            INSERT INTO due (lane, due, delivery_id, app_no, message_id, trigger, attempts, give_up_at)
            SELECT e.lane, d.next_due, d.delivery_id, 1, d.message_id, 0, 0, 99
            FROM delivery d JOIN endpoint e ON e.no = d.endpoint_no WHERE d.state IS NULL;";
        conn.execute_batch(filling).expect("filled");
        conn
    }

    /// One round; how many pages it took.
    fn round(conn: &Connection, walk: &Walk) -> usize {
        for pages in 1.. {
            walk.add(page_of(conn, walk.after(), 7).expect("a page"));
            if walk.after() == Key::default() {
                return pages;
            }
        }
        unreachable!("the walk comes to the end of the table")
    }

    #[test]
    fn a_round_sees_every_record_and_finds_what_has_no_work() {
        let (conn, walk) = (filled(), Walk::default());
        assert_eq!((round(&conn, &walk), walk.found()), (5, 0));
        conn.execute("DELETE FROM due WHERE lane = 1002 AND due IN (0, 4)", []).expect("deleted");
        conn.execute("UPDATE due SET attempts = 1 WHERE lane = 1003 AND due = 8", [])
            .expect("moved");
        round(&conn, &walk);
        assert_eq!((walk.found(), count(&conn).expect("counted")), (3, 3));
        conn.execute("UPDATE delivery SET state = 0 WHERE state IS NULL", []).expect("ended");
        walk.add(page_of(&conn, walk.after(), 7).expect("a page"));
        assert_eq!(walk.found(), 3, "until a whole round was without");
        round(&conn, &walk);
        assert_eq!((walk.found(), count(&conn).expect("counted")), (0, 0));
    }

    #[test]
    fn a_page_counts_once() {
        let (conn, walk) = (filled(), Walk::default());
        conn.execute("DELETE FROM due", []).expect("deleted");
        let twice = [walk.after(), walk.after()].map(|after| page_of(&conn, after, 7));
        twice.into_iter().for_each(|page| walk.add(page.expect("a page")));
        assert_eq!(walk.found(), 4);
    }

    /// A page must not read what is before it.
    #[test]
    fn a_page_is_found_by_its_key() {
        let conn = filled();
        let plan: String = conn
            .query_row(
                "EXPLAIN QUERY PLAN SELECT 1 FROM delivery d
                 WHERE (d.endpoint_no, d.message_id, d.delivery_id) > (1, x'', x'')
                 ORDER BY d.endpoint_no, d.message_id, d.delivery_id LIMIT 7",
                [],
                |row| row.get(3),
            )
            .expect("a plan");
        assert!(
            plan.contains("USING PRIMARY KEY ((endpoint_no,message_id,delivery_id)>"),
            "{plan}"
        );
    }
}
