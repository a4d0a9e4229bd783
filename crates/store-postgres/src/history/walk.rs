//! How lists are walked: a chunk of rows at a time, within bounds.

use std::time::Duration;

use domain::id::EndpointId;
use store::{
    history::{MOST_PAGE_BYTES, Tenant},
    paging::Window,
};
use tokio::time::Instant;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    conn::Conn,
    error::{Error, Result},
    rows,
};

/// Most rows that one call looks at.
pub(super) const MOST_ROWS: usize = 10_000;
/// A call that has looked for this long ends where it is. One chunk takes as long as a statement may.
const MOST_TIME: Duration = Duration::from_secs(2);
/// Most rows of one chunk.
const MOST_CHUNK: usize = 500;
/// Rows of the first chunk beyond those that are wanted.
const SPARE: usize = 8;
/// How much larger each chunk is than the one before.
const GROWTH: usize = 4;

/// How much one call has looked at.
pub(super) struct Bounds {
    rows: usize,
    bytes: usize,
    chunk: usize,
    end: Instant,
}

impl Bounds {
    /// For a call that looks for so many items.
    pub(super) fn new(wanted: usize) -> Self {
        let chunk = (wanted + SPARE).min(MOST_CHUNK);
        Self { rows: 0, bytes: 0, chunk, end: Instant::now() + MOST_TIME }
    }

    /// How many rows to read next: no more than may still be looked at, if that is any.
    pub(super) fn next_chunk(&mut self) -> usize {
        let chunk = self.chunk;
        self.chunk = (chunk * GROWTH).min(MOST_CHUNK);
        match MOST_ROWS.saturating_sub(self.rows) {
            0 => chunk,
            left => chunk.min(left),
        }
    }

    /// Counts rows that were looked at.
    pub(super) fn add_rows(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// Whether no more rows are to be looked at.
    pub(super) fn are_reached(&self) -> bool {
        self.rows >= MOST_ROWS || self.end <= Instant::now()
    }

    /// Counts bytes of bodies or responses; true if that was enough.
    pub(super) fn add_bytes(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.bytes >= MOST_PAGE_BYTES
    }

    /// How many bytes may still be read.
    pub(super) fn bytes_left(&self) -> usize {
        MOST_PAGE_BYTES.saturating_sub(self.bytes)
    }
}

/// A walk along an index that ends with an id.
pub(super) struct Walk {
    above: Vec<u8>,
    below: Vec<u8>,
    descending: bool,
    /// The last id that was looked at.
    last: Option<[u8; 20]>,
    ended: bool,
    pub(super) bounds: Bounds,
}

impl Walk {
    /// Along a window of a list.
    pub(super) fn along(window: &Window) -> Self {
        let (above, below) = (window.above.clone(), window.below.clone());
        let descending = window.is_descending();
        Self { descending, ..Self::upwards(above, below, window.wanted()) }
    }

    /// From the lowest id between two, which are exclusive.
    pub(super) fn upwards(above: Vec<u8>, below: Vec<u8>, wanted: usize) -> Self {
        let bounds = Bounds::new(wanted);
        Self { above, below, descending: false, last: None, ended: false, bounds }
    }

    /// The next rows of a statement whose first column is the id. Its parameters are organization,
    /// application, the ids between which to look, how many rows to read, and then the endpoint, if
    /// there is one.
    pub(super) async fn next(
        &mut self,
        conn: &Conn,
        sql: &str,
        tenant: Tenant,
        endpoint: Option<EndpointId>,
    ) -> Result<Vec<Row>> {
        let chunk = self.bounds.next_chunk();
        let limit = i64::try_from(chunk).map_err(Error::corrupt)?;
        let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
        let endpoint = endpoint.as_ref().map(|endpoint| endpoint.raw().as_slice());
        let mut params: Vec<&(dyn ToSql + Sync)> =
            vec![&org, &app, &self.above, &self.below, &limit];
        params.extend(endpoint.as_ref().map(|endpoint| endpoint as &(dyn ToSql + Sync)));
        let found = conn.query(sql, &params).await?;
        self.bounds.add_rows(found.len());
        self.ended = found.len() < chunk;
        if let Some(row) = found.last() {
            let last = rows::bytes(row, 0)?;
            self.last = Some(last.try_into().map_err(Error::corrupt)?);
            let bound = if self.descending { &mut self.below } else { &mut self.above };
            *bound = last.to_vec();
        }
        Ok(found)
    }

    /// Whether there is no more, or no more is to be looked at.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.bounds.are_reached()
    }

    /// How far a walk that is over has come; `None` if it came to its end.
    pub(super) fn reached(&self) -> Option<[u8; 20]> {
        self.last.filter(|_| !self.ended)
    }
}
