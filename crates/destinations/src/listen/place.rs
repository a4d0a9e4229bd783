//! One listener's place: who is there, what waits for it, and what it was given.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::destination::Request;
use tokio::sync::{Notify, oneshot};

use super::{Acknowledgement, Handed};

/// Most deliveries that a listener has and has not acknowledged.
pub(super) const MAX_HANDED_OUT: usize = 64;
/// Most bytes of their bodies; one alone may be larger.
const MAX_HANDED_OUT_BYTES: usize = 8 * 1024 * 1024;
/// Most deliveries that wait for a listener, or for it to take more. The engine has bounds of its own.
pub(super) const MAX_WAITING: usize = 256;

/// Names a delivery. Of 128 random bits: an acknowledgement that was meant for another one, of before a
/// restart, must not pass for this one's.
pub(super) type Ticket = u128;

/// A delivery that came in.
pub(super) struct Entered {
    pub request: Request,
    /// When its deadline is, by the monotonic clock.
    pub by: Duration,
    pub answer: oneshot::Sender<Ended>,
}

/// How a delivery's stay ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The listener answered.
    Acknowledged(Acknowledgement),
    /// It had been handed out, and its connection is no more.
    Broken,
    /// The server stops; it had not been handed out.
    Closed,
}

/// Too much waits already.
#[derive(Debug)]
pub(super) struct Overfull;

/// See [the module](self).
#[derive(Default)]
pub(super) struct Place {
    /// The number of the connection that is served.
    pub listener: Option<u64>,
    waiting: VecDeque<(Ticket, Entered)>,
    handed_out: HashMap<Ticket, (usize, oneshot::Sender<Ended>)>,
    handed_out_bytes: usize,
    /// Tells connections that there may be something new, or that their time is over.
    wake: Arc<Notify>,
}

/// What there is for a connection.
pub(super) enum Next {
    /// A delivery.
    Delivery(Handed),
    /// Nothing now.
    Nothing,
    /// Nothing any more: another connection has taken over.
    Over,
}

impl Place {
    /// A connection takes over from whoever was there. What it was given ends with it.
    pub fn take_over(&mut self, number: u64) -> Arc<Notify> {
        self.listener = Some(number);
        self.break_off();
        self.wake.notify_waiters();
        self.wake.clone()
    }

    /// A connection is no more; `true` if it was the one that is served.
    pub fn end(&mut self, number: u64) -> bool {
        let was_served = self.listener == Some(number);
        if was_served {
            self.listener = None;
            self.break_off();
        }
        was_served
    }

    pub fn close(&mut self) {
        self.listener = None;
        self.break_off();
        for (_, entered) in self.waiting.drain(..) {
            // Whoever waited may have gone.
            let _ = entered.answer.send(Ended::Closed);
        }
        self.wake.notify_waiters();
    }

    fn break_off(&mut self) {
        self.handed_out_bytes = 0;
        for (_, (_, answer)) in self.handed_out.drain() {
            let _ = answer.send(Ended::Broken);
        }
    }

    pub fn enter(&mut self, ticket: Ticket, entered: Entered) -> Result<(), Overfull> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(Overfull);
        }
        self.waiting.push_back((ticket, entered));
        self.wake.notify_waiters();
        Ok(())
    }

    /// The next delivery for a connection, at `now` by the monotonic clock.
    pub fn next(&mut self, number: u64, now: Duration) -> Next {
        if self.listener != Some(number) {
            return Next::Over;
        }
        let Some((_, first)) = self.waiting.front() else { return Next::Nothing };
        let bytes = first.request.body.len();
        let has_room = self.handed_out.len() < MAX_HANDED_OUT
            && self.handed_out_bytes.saturating_add(bytes) <= MAX_HANDED_OUT_BYTES;
        if !has_room && !self.handed_out.is_empty() {
            return Next::Nothing;
        }
        let Some((ticket, entered)) = self.waiting.pop_front() else { return Next::Nothing };
        self.handed_out_bytes += bytes;
        self.handed_out.insert(ticket, (bytes, entered.answer));
        Next::Delivery(Handed {
            id: format!("{ticket:032x}"),
            timeout: entered.by.saturating_sub(now),
            request: entered.request,
        })
    }

    pub fn acknowledge(&mut self, ticket: Ticket, with: Acknowledgement) -> bool {
        self.take_back(ticket).is_some_and(|answer| answer.send(Ended::Acknowledged(with)).is_ok())
    }

    pub fn is_handed_out(&self, ticket: Ticket) -> bool {
        self.handed_out.contains_key(&ticket)
    }

    /// A delivery's stay is over, however it ended.
    pub fn leave(&mut self, ticket: Ticket) {
        if self.take_back(ticket).is_none() {
            self.waiting.retain(|(waits, _)| *waits != ticket);
        }
    }

    fn take_back(&mut self, ticket: Ticket) -> Option<oneshot::Sender<Ended>> {
        let (bytes, answer) = self.handed_out.remove(&ticket)?;
        self.handed_out_bytes -= bytes;
        // There is room for another one.
        self.wake.notify_waiters();
        Some(answer)
    }

    pub fn is_empty(&self) -> bool {
        self.listener.is_none() && self.waiting.is_empty() && self.handed_out.is_empty()
    }
}
