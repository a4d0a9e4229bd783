//! What a task sends again to its endpoint, a page at a time: the same for the steps of the task and for
//! whoever asks beforehand how much that is.

use std::{collections::HashSet, time::Duration};

use domain::{
    clock::{Clock, Timestamp},
    endpoint::Endpoint,
    filter,
    id::{AttemptId, MessageId},
    message::Message,
    page::{Cursor, MAX_PAGE, Order, Page, PageRequest},
    task::{ReplayFilter, TaskKind},
};

use crate::{
    Result, Store,
    history::{DeliveryRecord, MessageFilter, Tenant},
};

/// Most messages that are looked at to count them.
pub const MOST_COUNTED: u64 = 100_000;
/// Longest that counting may take; what was counted by then is the answer.
const MOST_COUNTING: Duration = Duration::from_secs(3);

/// What a page held.
#[derive(Debug, Default)]
pub struct Found {
    /// Those to send, without their bodies.
    pub messages: Vec<Message>,
    /// How many were looked at.
    pub scanned: u64,
    /// Behind what the next page begins ([`domain::task::Task::cursor`]); `None` at the end.
    pub next: Option<[u8; 20]>,
}

/// The next page of what a task sends to its endpoint, from behind `after` on: at most `limit` messages
/// (1..=[`MAX_PAGE`]). Messages whose time is over are left out. A page may be empty and not the last one.
pub async fn page(
    store: &dyn Store,
    kind: &TaskKind,
    endpoint: &Endpoint,
    after: Option<[u8; 20]>,
    limit: u16,
    now: Timestamp,
) -> Result<Found> {
    let tenant = Tenant { org: endpoint.org, app: endpoint.app };
    let mut found = match kind {
        TaskKind::Recover { since, until, .. } => {
            let (range, after) = ((*since, *until), after.map(AttemptId::from_raw));
            let limit = usize::from(limit);
            let failed = store.failed_messages(tenant, endpoint.id, range, after, limit).await?;
            let (ids, next) = failed;
            let scanned = ids.len() as u64;
            let messages = store.messages_by_id(tenant, ids, false).await?;
            Found { messages, scanned, next: next.map(|id| *id.raw()) }
        }
        TaskKind::Replay { since, until, .. } => {
            let range = between(*since, *until);
            let page = store.messages(tenant, range, request(after, limit), false).await?;
            let next = next(&page, |message| message.id);
            let mut messages = page.items;
            let scanned = messages.len() as u64;
            messages.retain(|m| filter::accepts(endpoint, &m.event_type, &m.channels));
            let sent = records(store, tenant, &messages, endpoint).await?;
            let sent: HashSet<MessageId> = sent.iter().map(|record| record.message).collect();
            messages.retain(|message| !sent.contains(&message.id));
            Found { messages, scanned, next }
        }
        TaskKind::BulkReplay { since, until, only, .. } => {
            let labels = MessageFilter {
                channel: only.channel.clone(),
                tag: only.tag.clone(),
                event_types: only.event_types.clone(),
                ..between(*since, *until)
            };
            let statuses = only.status.into_iter().collect();
            let page = request(after, limit);
            let id = endpoint.id;
            let page = store.endpoint_messages(tenant, id, labels, statuses, page, false).await?;
            let next = next(&page, |found| found.message.id);
            let mut messages: Vec<_> = page.items.into_iter().map(|found| found.message).collect();
            let scanned = messages.len() as u64;
            if only.status_code_class.is_some() {
                let records = records(store, tenant, &messages, endpoint).await?;
                let answered = records.iter().filter(|record| was_answered_so(only, record));
                let answered: HashSet<MessageId> = answered.map(|record| record.message).collect();
                messages.retain(|message| answered.contains(&message.id));
            }
            Found { messages, scanned, next }
        }
        TaskKind::CancelDeliveries { .. } | TaskKind::AppStats { .. } | TaskKind::EventTypes {} => {
            Found::default()
        }
    };
    found.messages.retain(|message| message.expires_at > now);
    Ok(found)
}

/// The messages whose ids tell a time in `[since, until)`.
fn between(since: Timestamp, until: Timestamp) -> MessageFilter {
    // Ids tell the time in steps: of the step that `since` falls into, all are in it.
    let step = |at: Timestamp| MessageId::floor(at).timestamp();
    let after = step(since).minus(Duration::from_micros(1));
    MessageFilter { after: Some(after), before: Some(step(until)), ..MessageFilter::default() }
}

fn request(after: Option<[u8; 20]>, limit: u16) -> PageRequest<MessageId> {
    let cursor = after.map(|id| Cursor::After(MessageId::from_raw(id)));
    PageRequest { limit, order: Order::Ascending, cursor }
}

/// Where the page behind this one begins.
fn next<T>(page: &Page<T>, key: impl Fn(&T) -> MessageId) -> Option<[u8; 20]> {
    let last = page.items.last().map(|item| *key(item).raw());
    page.reached.or(last).filter(|_| !page.done)
}

async fn records(
    store: &dyn Store,
    tenant: Tenant,
    messages: &[Message],
    endpoint: &Endpoint,
) -> Result<Vec<DeliveryRecord>> {
    let ids = messages.iter().map(|message| message.id).collect();
    store.delivery_records(tenant, ids, endpoint.id).await
}

fn was_answered_so(only: &ReplayFilter, record: &DeliveryRecord) -> bool {
    let class = record.last_status_code.map_or(0, |code| code / 100 * 100);
    record.attempts > 0 && only.status_code_class == Some(class)
}

/// How much a task would send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// So many messages.
    pub messages: u64,
    /// And maybe more: it was not looked at all of them.
    pub capped: bool,
}

impl Count {
    /// The count if it is all.
    pub fn exact(self) -> Option<u64> {
        (!self.capped).then_some(self.messages)
    }
}

/// Counts what a task would send, within [`MOST_COUNTED`] messages and a few seconds.
pub async fn count(
    store: &dyn Store,
    clock: &dyn Clock,
    kind: &TaskKind,
    endpoint: &Endpoint,
) -> Result<Count> {
    let deadline = clock.monotonic() + MOST_COUNTING;
    let (mut count, mut scanned, mut after) = (Count::default(), 0, None);
    loop {
        let found = page(store, kind, endpoint, after, MAX_PAGE, clock.now()).await?;
        count.messages += found.messages.len() as u64;
        scanned += found.scanned;
        if found.next.is_none() {
            return Ok(count);
        }
        if scanned >= MOST_COUNTED || clock.monotonic() >= deadline {
            return Ok(Count { capped: true, ..count });
        }
        after = found.next;
    }
}
