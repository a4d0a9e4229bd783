//! What nodes tell each other: changes of the catalogue, by a table that is polled and a notification
//! that only makes it quicker; and lanes that have new work, by notifications alone, because owners look
//! for work by themselves. A notification goes out in a transaction of its own, on a connection of its
//! own: it takes a lock at its commit that all others of the database wait for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, MessageId, OrganizationId},
    shard::Shard,
};
use parking_lot::Mutex;
use store::{
    deliveries::{LaneHead, LaneKey},
    nodes::News,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_postgres::{Client, Notification};

use crate::{
    conn::{Params, Tx},
    connect::Connector,
    error::{Error, Result},
    pace::Pace,
    quiet::Quiet,
    rows,
    spawn::spawn,
};

/// The channel of all notifications.
pub(crate) const CHANNEL: &str = "hookwright";
/// What is told when shards are given back.
pub(crate) const SHARDS: &str = "shards";
/// What a notification of an expunged message begins with: no letter of Base64.
const EXPUNGED: &str = "-";
/// How often changes are asked for, told of or not. Also how often it is seen whether the connection
/// still lives.
const POLL: Duration = Duration::from_millis(500);
/// Longest wait for an answer: a connection that takes longer is half open.
const DEADLINE: Duration = Duration::from_secs(3);
/// Wait before a lost connection is made anew.
const RECONNECT: Duration = Duration::from_millis(250);
/// Rows of changes are kept for at least this long: who was away for longer knows nothing.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Least time between two notifications while much is told: each wakes all nodes, and theirs are the
/// small readings that follow.
const BETWEEN_WAKES: Duration = Duration::from_millis(10);
/// Lanes in one notification, which has 8,000 bytes at most.
const LANES_AT_A_TIME: usize = 80;
/// Lanes that wait to be told of. The owners of what is more find it by themselves.
const MOST_LANES: usize = 20_000;
/// Bytes of a lane: organization, application, endpoint, due time.
const LANE_BYTES: usize = 68;

/// What waits to be told to others, and what others have told.
#[derive(Default)]
struct Board {
    wakes: Mutex<HashMap<LaneKey, Timestamp>>,
    wake: Notify,
    news: Mutex<News>,
    told: Notify,
}

/// Both directions, each with a connection of its own.
pub(crate) struct Feed {
    board: Arc<Board>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Feed {
    pub(crate) fn start(connector: &Connector, quiet: Arc<Quiet>) -> Self {
        let board = Arc::new(Board::default());
        let listener = Listener {
            connector: connector.clone(),
            board: board.clone(),
            quiet: quiet.clone(),
            seen: None,
        };
        let tasks = [
            spawn("store.listener", listener.run()),
            spawn("store.teller", tell(connector.clone(), board.clone(), quiet)),
        ];
        Self { board, tasks }
    }

    /// Tells the owners of these lanes, soon.
    pub(crate) fn wake(&self, lanes: Vec<LaneHead>) {
        {
            let mut wakes = self.board.wakes.lock();
            for head in lanes {
                if wakes.len() >= MOST_LANES {
                    break;
                }
                let due = wakes.entry(head.lane).or_insert(head.next_due);
                *due = head.next_due.min(*due);
            }
        }
        self.board.wake.notify_one();
    }

    /// Waits for news of others.
    pub(crate) async fn news(&self) -> News {
        loop {
            let told = self.board.told.notified();
            {
                let mut news = self.board.news.lock();
                if *news != News::default() {
                    return std::mem::take(&mut *news);
                }
            }
            told.await;
        }
    }
}

/// Notes, in the transaction of a change, that an application (or its endpoints) or, without one, an
/// organization's settings or event types are not what they were.
pub(crate) async fn note_change(
    tx: &Tx,
    org: OrganizationId,
    app: Option<ApplicationId>,
) -> Result<()> {
    let app = app.as_ref().map(|app| app.raw().as_slice());
    tx.execute(
        "/* feed */ WITH noted AS
             (INSERT INTO catalog_change (org, app) VALUES ($1, $2) RETURNING 1)
         SELECT pg_notify($3, 'catalog') FROM noted",
        &[&org.raw().as_slice(), &app, &CHANNEL],
    )
    .await?;
    Ok(())
}

/// Tells, in the transaction of it, that a message's content is taken away.
pub(crate) async fn note_expunged(
    tx: &Tx,
    org: OrganizationId,
    app: ApplicationId,
    message: MessageId,
) -> Result<()> {
    let raw = [org.raw().as_slice(), app.raw(), message.raw()].concat();
    let payload = format!("{EXPUNGED}{}", STANDARD_NO_PAD.encode(raw));
    tx.query("/* feed */ SELECT pg_notify($1, $2)", &[&CHANNEL, &payload]).await?;
    Ok(())
}

/// The message that a notification says is expunged.
fn expunged(payload: &str) -> Option<(OrganizationId, ApplicationId, MessageId)> {
    let raw = STANDARD_NO_PAD.decode(payload.strip_prefix(EXPUNGED)?).ok()?;
    let [org, app, message] = raw.as_chunks::<20>().0 else { return None };
    Some((
        OrganizationId::from_raw(*org),
        ApplicationId::from_raw(*app),
        MessageId::from_raw(*message),
    ))
}

/// What was gathered while the notification before was on its way goes out with the next one.
async fn tell(connector: Connector, board: Arc<Board>, quiet: Arc<Quiet>) {
    let mut client: Option<Client> = None;
    let mut pace = Pace::new(BETWEEN_WAKES);
    loop {
        board.wake.notified().await;
        pace.wait().await;
        let lanes: Vec<_> = board.wakes.lock().drain().collect();
        if lanes.is_empty() {
            continue;
        }
        pace.started(lanes.len());
        let payloads: Vec<String> = lanes.chunks(LANES_AT_A_TIME).map(encode).collect();
        let told = async {
            let connected = match client.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => {
                    let (client, _driver) = connector.connect_one(None).await?;
                    // Losing one costs a little time: nothing waits for a disk.
                    client.batch_execute("SET synchronous_commit = off").await?;
                    client
                }
            };
            let sql = "/* wake */ SELECT pg_notify($1, p) FROM unnest($2::text[]) p";
            let params: Params<'_> = &[&CHANNEL, &payloads];
            connected.query(sql, params).await?;
            Ok::<_, tokio_postgres::Error>(connected)
        };
        match timeout(DEADLINE, told).await {
            Ok(Ok(connected)) => client = Some(connected),
            Ok(Err(error)) => {
                quiet.warn("wake", &error.into(), "other nodes could not be told of work");
                sleep(RECONNECT).await;
            }
            Err(_) => quiet.warn("wake", &Error::Late, "other nodes could not be told of work"),
        }
    }
}

fn encode(lanes: &[(LaneKey, Timestamp)]) -> String {
    let mut raw = Vec::with_capacity(lanes.len() * LANE_BYTES);
    for (lane, due) in lanes {
        raw.extend_from_slice(lane.org.raw());
        raw.extend_from_slice(lane.app.raw());
        raw.extend_from_slice(lane.endpoint.raw());
        raw.extend_from_slice(&due.as_micros().to_be_bytes());
    }
    STANDARD_NO_PAD.encode(raw)
}

/// Lanes of a notification. One that cannot be read is of another release: its owner polls.
fn decode(payload: &str) -> Vec<LaneHead> {
    let raw = STANDARD_NO_PAD.decode(payload).unwrap_or_default();
    let lane = |raw: &[u8; LANE_BYTES]| {
        let id = |at: usize| -> [u8; 20] { std::array::from_fn(|byte| raw[20 * at + byte]) };
        let (org, app) = (OrganizationId::from_raw(id(0)), ApplicationId::from_raw(id(1)));
        let endpoint = EndpointId::from_raw(id(2));
        let due = i64::from_be_bytes(std::array::from_fn(|byte| raw[60 + byte]));
        LaneHead {
            lane: LaneKey { shard: Shard::of(&org, &app, &endpoint), org, app, endpoint },
            next_due: Timestamp::from_micros(due),
        }
    };
    raw.as_chunks::<LANE_BYTES>().0.iter().map(lane).collect()
}

/// Up to where changes were seen: all transactions before this one were over.
struct Seen {
    xmin: String,
    at: Instant,
}

struct Listener {
    connector: Connector,
    board: Arc<Board>,
    quiet: Arc<Quiet>,
    seen: Option<Seen>,
}

impl Listener {
    async fn run(mut self) {
        loop {
            if let Err(error) = self.listen().await {
                self.quiet.warn("feed", &error, "changes of other nodes cannot be seen");
            }
            sleep(RECONNECT).await;
        }
    }

    /// Listens on one connection until that is lost.
    async fn listen(&mut self) -> Result<()> {
        let (sender, mut notifications) = mpsc::unbounded_channel();
        let client = within(async {
            let (client, _driver) = self.connector.connect_one(Some(sender)).await?;
            client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
            Ok(client)
        })
        .await?;
        loop {
            self.poll(&client).await?;
            // A notification of a change ends the wait; one of work does not.
            let deadline = Instant::now() + POLL;
            loop {
                match timeout_at(deadline, notifications.recv()).await {
                    Ok(Some(notification)) if self.told(&notification) => break,
                    Ok(Some(_)) => {}
                    Ok(None) => return Err(Error::Late),
                    Err(_) => break,
                }
            }
        }
    }

    /// Takes a notification; whether it tells of a change that can be asked for.
    fn told(&self, notification: &Notification) -> bool {
        match notification.payload() {
            "catalog" | "revocations" => return true,
            SHARDS => self.board.news.lock().shards = true,
            payload => {
                let mut news = self.board.news.lock();
                if let Some(message) = expunged(payload) {
                    news.expunged.push(message);
                } else if news.lanes.len() < MOST_LANES {
                    news.lanes.extend(decode(payload));
                }
            }
        }
        self.board.told.notify_one();
        false
    }

    /// Asks for the changes of all transactions that were not over when it was last asked. Some are
    /// seen twice, none is missed.
    async fn poll(&mut self, client: &Client) -> Result<()> {
        let lost = match &self.seen {
            None => false,
            Some(seen) => seen.at.elapsed() > REMEMBERED,
        };
        let from = self.seen.as_ref().map(|seen| seen.xmin.clone());
        let asked = Instant::now();
        let rows = within(client.query(
            "/* feed */ SELECT pg_snapshot_xmin(pg_current_snapshot())::text, c.org, c.app
             FROM (SELECT 1) one LEFT JOIN catalog_change c ON c.xid >= $1::text::xid8",
            &[&from],
        ))
        .await?;
        let mut news = News { lost, ..News::default() };
        for row in &rows {
            let Some(org) = rows::opt_id(row, 1)? else { continue };
            match rows::opt_id(row, 2)? {
                Some(app) => news.applications.push((org, app)),
                None => {
                    news.organizations.push(org);
                    // Revoking counts the organization's version up.
                    news.revocations = true;
                }
            }
        }
        if let Some(first) = rows.first() {
            self.seen = Some(Seen { xmin: rows::get(first, 0)?, at: asked });
        }
        if news != News::default() {
            let mut board = self.board.news.lock();
            board.lost |= news.lost;
            board.revocations |= news.revocations;
            board.applications.extend(news.applications);
            board.organizations.extend(news.organizations);
            drop(board);
            self.board.told.notify_one();
        }
        Ok(())
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
    match timeout(DEADLINE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::Late),
    }
}

#[cfg(test)]
mod tests {
    use domain::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn lanes_come_back_and_fit() {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_secs(1_790_000_000);
        let lane = |i: i64| {
            let org = OrganizationId::generate(now, &entropy);
            let app = ApplicationId::generate(now, &entropy);
            let endpoint = EndpointId::generate(now, &entropy);
            let shard = Shard::of(&org, &app, &endpoint);
            (LaneKey { shard, org, app, endpoint }, Timestamp::from_micros(i))
        };
        let lanes: Vec<_> = (0..LANES_AT_A_TIME as i64).map(lane).collect();
        let payload = encode(&lanes);
        assert!(payload.len() < 8_000, "{}", payload.len());
        let heads: Vec<_> = decode(&payload).iter().map(|h| (h.lane, h.next_due)).collect();
        assert_eq!(heads, lanes);
        assert_eq!(decode("catalog of a newer release"), []);
    }
}
