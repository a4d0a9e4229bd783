//! A walk over the pages of a table: it finds what no index leads to, a bounded part at a time.

use crate::{conn::Conn, error::Result, rows};

/// Most pages, of 8 KiB, that retention looks at in one step.
pub(crate) const MOST_PAGES: i64 = 4_096;

/// How far it has come; at the end it begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    next: i64,
}

/// The part of a table that is looked at in one step: rows with `$1 <= ctid < $2`.
pub(crate) struct Part {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Where the next part begins.
    pub(crate) next: Pages,
}

impl Part {
    /// Whether this is the last part of the table.
    pub(crate) fn is_last(&self) -> bool {
        self.next == Pages::default()
    }
}

impl Pages {
    /// The next part of a table, of up to `most` pages.
    pub(crate) async fn part(self, conn: &Conn, table: &str, most: i64) -> Result<Part> {
        let sql = "/* pages */ SELECT pg_relation_size(to_regclass($1))
                   / current_setting('block_size')::bigint";
        // No answer: it was dropped.
        let pages = rows::get::<Option<i64>>(&conn.query_one(sql, &[&table]).await?, 0)?;
        Ok(self.of(pages.unwrap_or(0), most))
    }

    fn of(self, pages: i64, most: i64) -> Part {
        let from = if self.next < pages { self.next } else { 0 };
        let to = from + most;
        Part {
            from: format!("({from},0)"),
            to: format!("({to},0)"),
            next: Self { next: if to < pages { to } else { 0 } },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_sees_every_page_and_begins_anew() {
        let mut at = Pages::default();
        for (from, to, last) in [
            ("(0,0)", "(4096,0)", false),
            ("(4096,0)", "(8192,0)", false),
            ("(8192,0)", "(12288,0)", true),
            ("(0,0)", "(4096,0)", false),
        ] {
            let part = at.of(10_000, MOST_PAGES);
            assert_eq!((&*part.from, &*part.to, part.is_last()), (from, to, last));
            at = part.next;
        }
        assert_eq!(at.of(0, MOST_PAGES).from, "(0,0)", "it has become smaller");
        assert!(at.of(0, MOST_PAGES).is_last());
    }
}
