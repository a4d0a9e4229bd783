//! A search that goes on: it reads page by page, for as long as somebody reads what it finds.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::MessageId,
    message::Message,
    page::{Cursor, MAX_PAGE, Order, Page, PageRequest},
    standing::Status,
};
use store::{
    StoreError,
    history::{MessageFilter, Tenant},
};
use tokio::{task::yield_now, time::timeout};

use super::{
    bodies::{DoneOut, Line, ProgressOut, Reason},
    slots::Slot,
    text::Needle,
};
use crate::{error::ApiError, routes::message::MessageOut, state::ApiState};

/// Messages read at a time.
const PAGE: u16 = MAX_PAGE;
/// Most messages that a search reads.
const MOST_MESSAGES: u64 = 1_000_000;
/// Most bytes of payloads that a search reads.
const MOST_BYTES: u64 = 4 << 30;
/// Longest that a search may take.
const MOST_TIME: Duration = Duration::from_secs(60);
/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(1);
/// Bytes that are looked through at a stretch; others have their turn in between.
const STRETCH: usize = 256 << 10;

/// What is looked for.
pub struct Wanted {
    /// By time and labels.
    pub filter: MessageFilter,
    /// In the payload.
    pub text: Option<Needle>,
    /// That stand so at an endpoint.
    pub status: Option<Status>,
    /// So many.
    pub limit: u64,
}

type Reading = Pin<Box<dyn Future<Output = Result<Page<Message>, StoreError>> + Send>>;

/// A search that goes on.
pub struct Scan {
    state: ApiState,
    tenant: Tenant,
    wanted: Wanted,
    /// A page that is being read.
    reading: Option<Reading>,
    /// What is left of the page that was read, and where the next one begins if there is one.
    page: std::vec::IntoIter<Message>,
    next: Option<MessageId>,
    /// The page that was read is the last one.
    last: bool,
    at: Option<Timestamp>,
    scanned: u64,
    bytes: u64,
    found: u64,
    began: Duration,
    told: Duration,
    over: bool,
    _slot: Slot,
}

impl Scan {
    /// One that begins now.
    pub fn new(state: ApiState, tenant: Tenant, wanted: Wanted, slot: Slot) -> Self {
        let began = state.clock.monotonic();
        Self {
            state,
            tenant,
            wanted,
            reading: None,
            page: Vec::new().into_iter(),
            next: None,
            last: false,
            at: None,
            scanned: 0,
            bytes: 0,
            found: 0,
            began,
            told: began,
            over: false,
            _slot: slot,
        }
    }

    /// The next line; `None` behind the last one.
    pub async fn line(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let line = match self.step().await {
            Ok(line) => line,
            Err(error) => {
                self.over = true;
                Line::error(&error)
            }
        };
        self.told = self.state.clock.monotonic();
        Some(line)
    }

    /// Goes on until there is something to say.
    async fn step(&mut self) -> Result<Bytes, ApiError> {
        let mut stretch = 0;
        loop {
            if let Some(reason) = self.ends() {
                return Ok(self.done(reason));
            }
            if self.state.clock.monotonic() >= self.told + PROGRESS {
                return Ok(self.progress());
            }
            let Some(message) = self.page.next() else {
                if self.last {
                    return Ok(self.done(Reason::End));
                }
                match self.read().await? {
                    true => continue,
                    false => return Ok(self.progress()),
                }
            };
            self.scanned += 1;
            self.at = Some(message.id.timestamp());
            let bytes = message.body.as_ref().map_or(0, |body| body.bytes.len());
            self.bytes += bytes as u64;
            stretch += bytes;
            if self.is_wanted(&message).await? {
                self.found += 1;
                return Ok(Line::Message(MessageOut::new(&message, true)).bytes());
            }
            if stretch >= STRETCH {
                stretch = 0;
                yield_now().await;
            }
        }
    }

    /// Whether it has reached one of its bounds.
    fn ends(&self) -> Option<Reason> {
        if self.found >= self.wanted.limit {
            return Some(Reason::Limit);
        }
        let spent = self.state.clock.monotonic().saturating_sub(self.began);
        let bound = self.scanned >= MOST_MESSAGES || self.bytes >= MOST_BYTES || spent >= MOST_TIME;
        bound.then_some(Reason::Bound)
    }

    /// Reads the next page; false if that takes longer than nothing may be said.
    async fn read(&mut self) -> Result<bool, ApiError> {
        let reading = self.reading.get_or_insert_with(|| {
            let (store, tenant) = (self.state.store.clone(), self.tenant);
            let filter = self.wanted.filter.clone();
            let cursor = self.next.map(Cursor::After);
            let page = PageRequest { limit: PAGE, order: Order::Descending, cursor };
            Box::pin(async move { store.messages(tenant, filter, page, true).await })
        });
        let Ok(page) = timeout(PROGRESS, reading).await else { return Ok(false) };
        self.reading = None;
        let page = page?;
        let last = page.items.last().map(|message| message.id);
        let reached = page.reached.map(MessageId::from_raw).or(last);
        self.last = page.done || reached.is_none();
        if page.items.is_empty()
            && let Some(reached) = reached
        {
            self.at = Some(reached.timestamp());
        }
        self.next = reached;
        self.page = page.items.into_iter();
        Ok(true)
    }

    async fn is_wanted(&mut self, message: &Message) -> Result<bool, ApiError> {
        if let Some(text) = &mut self.wanted.text
            && !message.body.as_ref().is_some_and(|body| text.is_in(&body.bytes))
        {
            return Ok(false);
        }
        let Some(status) = self.wanted.status else { return Ok(true) };
        let mut cursor = None;
        loop {
            let page = PageRequest { limit: PAGE, order: Order::Ascending, cursor };
            let page = self.state.store.message_endpoints(self.tenant, message.id, page).await?;
            if page.items.iter().any(|at| at.status == status) {
                return Ok(true);
            }
            match page.items.last() {
                Some(last) if !page.done => cursor = Some(Cursor::After(last.endpoint)),
                _ => return Ok(false),
            }
        }
    }

    fn progress(&self) -> Bytes {
        Line::Progress(ProgressOut { scanned: self.scanned, at: self.at }).bytes()
    }

    fn done(&mut self, reason: Reason) -> Bytes {
        self.over = true;
        Line::Done(DoneOut { scanned: self.scanned, found: self.found, reason }).bytes()
    }
}
