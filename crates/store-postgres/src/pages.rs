//! Pages of due work. What is asked for while one statement is on its way goes out with the next one,
//! for all lanes together: a node that is told of work by others asks for a few rows of many lanes.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use domain::{
    delivery::Delivery,
    id::{ApplicationId, DeliveryId, MessageId},
    message::Message,
};
use store::{
    StoreError,
    deliveries::{DueDelivery, DueLimits, DuePage, LaneKey},
    history::Tenant,
};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Row;

use crate::{Shared, conn::Conn, error::Result, pace::Pace, rows, spawn::spawn};

/// Most lanes that are read together.
const MAX_LANES: usize = 64;
/// Least time between two readings while much is asked for.
const BETWEEN: Duration = Duration::from_millis(10);
/// Bytes of payload that a statement is meant to bring. It is guessed by the size of what came before,
/// so it may be more.
const MEANT_BYTES: usize = 4 * 1024 * 1024;
/// Rows that a statement brings with their payloads, however small or large those were before.
const MESSAGES: (usize, usize) = (8, 1_024);
/// What a payload is taken for until some were seen.
const FIRST_GUESS: usize = 64 * 1024;

struct Ask {
    lane: LaneKey,
    limits: DueLimits,
    skip: Vec<DeliveryId>,
    reply: oneshot::Sender<store::Result<DuePage>>,
}

/// The way to the reader. It ends when this is dropped.
pub(crate) struct Pages {
    asks: mpsc::Sender<Ask>,
}

impl Pages {
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let (asks, asked) = mpsc::channel(MAX_LANES);
        spawn("store.pages", Reader { shared: shared.clone(), guess: FIRST_GUESS }.run(asked));
        Self { asks }
    }

    /// Reads the first rows of a lane, without those to skip.
    pub(crate) async fn read(
        &self,
        lane: LaneKey,
        limits: DueLimits,
        skip: Vec<DeliveryId>,
    ) -> store::Result<DuePage> {
        let (reply, answer) = oneshot::channel();
        let gone = || StoreError::Unavailable("it stops".into());
        self.asks.send(Ask { lane, limits, skip, reply }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

struct Reader {
    shared: Arc<Shared>,
    /// Bytes of a payload, as they were on average of late.
    guess: usize,
}

impl Reader {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        let mut asks = Vec::new();
        let mut pace = Pace::new(BETWEEN);
        while asked.recv_many(&mut asks, MAX_LANES).await > 0 {
            pace.wait().await;
            while asks.len() < MAX_LANES
                && let Ok(ask) = asked.try_recv()
            {
                asks.push(ask);
            }
            pace.started(asks.len());
            match self.read(&asks).await {
                Ok(pages) => {
                    for (ask, page) in asks.drain(..).zip(pages) {
                        // Whoever asked may have gone.
                        let _ = ask.reply.send(Ok(page));
                    }
                }
                Err(error) if asks.len() == 1 || error.is_away() => {
                    let error = StoreError::from(error);
                    for ask in asks.drain(..) {
                        let _ = ask.reply.send(Err(error.clone()));
                    }
                }
                // One lane's row that cannot be read keeps no other lane waiting.
                Err(_) => {
                    for ask in asks.drain(..) {
                        let page = self.read(std::slice::from_ref(&ask)).await;
                        let page = page.map(|mut pages| pages.pop().unwrap_or_default());
                        let _ = ask.reply.send(page.map_err(StoreError::from));
                    }
                }
            }
        }
    }

    /// One page for each, in order.
    async fn read(&mut self, asks: &[Ask]) -> Result<Vec<DuePage>> {
        let conn = self.shared.read().await?;
        let found = due(&conn, asks).await?;
        let mut pages: Vec<Page<'_>> =
            asks.iter().zip(found).map(|(ask, rows)| Page::new(ask, rows)).collect();
        loop {
            let mut room = (MEANT_BYTES / self.guess.max(1)).clamp(MESSAGES.0, MESSAGES.1);
            let mut chunks = Vec::with_capacity(pages.len());
            for page in &mut pages {
                let chunk = page.chunk(self.guess, room);
                room -= chunk.len();
                chunks.push(chunk);
            }
            if chunks.iter().all(Vec::is_empty) {
                return Ok(pages.into_iter().map(|page| page.page).collect());
            }
            let messages = messages(&conn, chunks.iter().flatten()).await?;
            let bytes: usize = messages.values().map(|message| size(message)).sum();
            self.guess = bytes / messages.len().max(1);
            for (page, chunk) in pages.iter_mut().zip(chunks) {
                page.add(chunk, &messages);
            }
        }
    }
}

type Messages = HashMap<(ApplicationId, MessageId), Arc<Message>>;

fn size(message: &Message) -> usize {
    message.body.as_ref().map_or(0, |body| body.bytes.len())
}

/// A page that is being read.
struct Page<'a> {
    ask: &'a Ask,
    /// The lane's rows that are not in it yet, the first one last.
    rest: Vec<Delivery>,
    page: DuePage,
    bytes: usize,
}

impl<'a> Page<'a> {
    fn new(ask: &'a Ask, mut rows: Vec<Delivery>) -> Self {
        let skip: HashSet<&DeliveryId> = ask.skip.iter().collect();
        rows.retain(|delivery| !skip.contains(&delivery.id));
        rows.reverse();
        Self { ask, rest: rows, page: DuePage::default(), bytes: 0 }
    }

    /// Whether the row after those that it has belongs to it.
    fn wants(&self, delivery: &Delivery) -> bool {
        let limits = &self.ask.limits;
        self.page.due.len() < limits.rows
            && self.bytes <= limits.bytes
            && delivery.due <= limits.until
    }

    /// The rows to read messages for next: so many that they may be expected to fill the page.
    fn chunk(&mut self, guess: usize, room: usize) -> Vec<Delivery> {
        match self.rest.last() {
            Some(next) if !self.wants(next) => {
                self.page.next_due = Some(next.due);
                self.rest.clear();
            }
            _ => {}
        }
        let expected = ((self.ask.limits.bytes - self.bytes.min(self.ask.limits.bytes))
            / guess.max(1))
        .saturating_add(1);
        let most = (self.ask.limits.rows - self.page.due.len()).min(expected).min(room);
        let due = |delivery: &&Delivery| delivery.due <= self.ask.limits.until;
        let count = self.rest.iter().rev().take(most).take_while(due).count();
        self.rest.drain(self.rest.len() - count..).rev().collect()
    }

    fn add(&mut self, chunk: Vec<Delivery>, messages: &Messages) {
        for delivery in chunk {
            if !self.wants(&delivery) {
                self.page.next_due = Some(delivery.due);
                self.rest.clear();
                return;
            }
            // One whose message is not there cannot be sent; a check tells of it.
            let Some(message) = messages.get(&(delivery.app, delivery.message)) else { continue };
            self.bytes += size(message);
            self.page.due.push(DueDelivery { delivery, message: message.clone() });
        }
    }
}

/// The first rows of each lane. As many more than are wanted as are in memory already, and one.
const DUE: &str = "/* due */ SELECT r.nr, q.due, q.delivery, q.message, q.trigger, q.attempts,
        q.give_up_at
    FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bigint[])
        WITH ORDINALITY AS r (shard, endpoint, org, app, rows, nr)
    CROSS JOIN LATERAL (SELECT * FROM due d WHERE d.shard = r.shard AND d.endpoint = r.endpoint
        AND d.org = r.org AND d.app = r.app ORDER BY d.due, d.delivery LIMIT r.rows) q
    ORDER BY r.nr, q.due, q.delivery";

async fn due(conn: &Conn, asks: &[Ask]) -> Result<Vec<Vec<Delivery>>> {
    let lanes = || asks.iter().map(|ask| &ask.lane);
    let shards: Vec<i16> = lanes().map(|lane| lane.shard.0.cast_signed()).collect();
    let endpoints: Vec<&[u8]> = lanes().map(|lane| lane.endpoint.raw().as_slice()).collect();
    let orgs: Vec<&[u8]> = lanes().map(|lane| lane.org.raw().as_slice()).collect();
    let apps: Vec<&[u8]> = lanes().map(|lane| lane.app.raw().as_slice()).collect();
    let wanted = |ask: &Ask| ask.limits.rows.saturating_add(ask.skip.len()).saturating_add(1);
    let counts: Vec<i64> =
        asks.iter().map(|ask| i64::try_from(wanted(ask)).unwrap_or(i64::MAX)).collect();
    let found = conn.query(DUE, &[&shards, &endpoints, &orgs, &apps, &counts]).await?;
    let mut rows: Vec<Vec<Delivery>> = asks.iter().map(|_| Vec::new()).collect();
    for row in &found {
        let at = rows::get::<i64>(row, 0)? - 1;
        let Some(at) = usize::try_from(at).ok().filter(|at| *at < asks.len()) else { continue };
        rows[at].push(delivery(row, asks[at].lane)?);
    }
    Ok(rows)
}

fn delivery(row: &Row, lane: LaneKey) -> Result<Delivery> {
    Ok(Delivery {
        id: rows::id(row, 2)?,
        org: lane.org,
        app: lane.app,
        endpoint: lane.endpoint,
        message: rows::id(row, 3)?,
        trigger: rows::trigger(row, 4)?,
        attempts: rows::int(row, 5)?,
        due: rows::time(row, 1)?,
        give_up_at: rows::time(row, 6)?,
    })
}

/// Each is found by the whole of its key, which stands in each row: by the tenant alone, all messages of
/// an application would be read.
static FIND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "/* due */ SELECT {}, {}, m.org, m.app
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS u (org, app, id)
         JOIN message m ON m.org = u.org AND m.app = u.app AND m.id = u.id {}",
        rows::MESSAGE,
        rows::PAYLOAD,
        rows::join_payload("AND p.expires_at BETWEEN $4 AND $5")
    )
});
/// Columns before the tenant in [`FIND`].
const TENANT: usize = rows::MESSAGE_COLUMNS + 2;

/// Messages with their bodies, which go when their deliveries are given up.
async fn messages<'a>(
    conn: &Conn,
    some: impl Iterator<Item = &'a Delivery> + Clone,
) -> Result<Messages> {
    // One that goes to many endpoints is read once.
    let wanted: HashSet<_> = some.clone().map(|d| (d.org, d.app, d.message)).collect();
    let orgs: Vec<&[u8]> = wanted.iter().map(|(org, ..)| org.raw().as_slice()).collect();
    let apps: Vec<&[u8]> = wanted.iter().map(|(_, app, _)| app.raw().as_slice()).collect();
    let ids: Vec<&[u8]> = wanted.iter().map(|(.., id)| id.raw().as_slice()).collect();
    let expiry = || some.clone().map(|delivery| delivery.give_up_at.as_micros());
    let (soonest, latest) = (expiry().min().unwrap_or(0), expiry().max().unwrap_or(0));
    let found = conn.query(&FIND, &[&orgs, &apps, &ids, &soonest, &latest]).await?;
    let message = |row: &Row| {
        let tenant = Tenant { org: rows::id(row, TENANT)?, app: rows::id(row, TENANT + 1)? };
        let message = rows::message_with_body(row, tenant)?;
        Ok(((tenant.app, message.id), Arc::new(message)))
    };
    found.iter().map(message).collect()
}
