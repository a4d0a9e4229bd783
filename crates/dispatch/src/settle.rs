//! Writing what attempts came to. A finished outcome waits in memory until it is on stable storage;
//! while one waits, nothing new starts, so that the number that wait is bounded by what was in flight.

use std::{sync::Arc, time::Duration};

use domain::{
    attempt::Attempt,
    delivery::{Health, Next},
    operational::OperationalEvent,
};
use publish::Hot;
use store::{
    deliveries::{Settle, Settled},
    failpoint,
    publish::{NewMessage, Published},
};
use tokio::time::sleep;

use crate::{core::Start, engine::Engine};

/// First and longest wait before a write is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// An attempt (or an end without one) that is to be written.
pub struct Finished {
    /// As it began.
    pub start: Start,
    /// `None`: it ends without one.
    pub attempt: Option<Attempt>,
    /// For the delivery.
    pub next: Next,
    /// For the endpoint.
    pub health: Health,
    /// For the operators.
    pub events: Vec<OperationalEvent>,
}

impl Engine {
    /// Writes it, tells the core, and hands over the messages that it caused.
    pub(crate) async fn finish(self: Arc<Self>, finished: Finished) {
        let messages = self.operational_messages(&finished).await;
        let settle = finished.settle(messages.clone());
        failpoint::pass("settle.before_commit");
        let settled = self.write(settle).await;
        failpoint::pass("settle.after_commit");
        let delivery = &finished.start.hot.delivery;
        let next = match finished.next {
            Next::Retry(due) if !settled.superseded => Some(due),
            _ => None,
        };
        self.metrics.settled(finished.next, &settled);
        if settled.health_changed {
            self.health_changed(&finished);
        }
        self.tell(|core, now| {
            core.settled(delivery.endpoint, delivery.id, next, &settled.also_ended, now);
        });
        if !messages.is_empty() {
            self.hand_over_caused(&finished, messages, &settled.published).await;
        }
    }

    /// Writes until it is written; gives up only when the engine stops (the attempt is made again
    /// then, after the restart).
    async fn write(self: &Arc<Self>, settle: Settle) -> Settled {
        let mut wait = RETRY.0;
        let mut stuck = false;
        loop {
            let error = match self.parts.store.settle(vec![settle.clone()]).await {
                Ok(settled) => {
                    if stuck {
                        self.tell(|core, _| core.unwritten(false));
                    }
                    return settled.into_iter().next().unwrap_or_default();
                }
                Err(error) => error,
            };
            if !stuck {
                stuck = true;
                self.tell(|core, _| core.unwritten(true));
            }
            if self.metrics.may_log(self.now()) {
                tracing::error!(%error, "an attempt's outcome cannot be written; nothing new starts");
            }
            let mut stopping = self.stopping.subscribe();
            tokio::select! {
                () = sleep(wait) => wait = (wait * 2).min(RETRY.1),
                _ = stopping.wait_for(|stop| *stop) => {
                    self.tell(|core, _| core.unwritten(false));
                    return Settled { superseded: true, ..Settled::default() };
                }
            }
        }
    }

    async fn operational_messages(&self, finished: &Finished) -> Vec<NewMessage> {
        let mut messages = Vec::new();
        let Some(publisher) = self.publisher() else { return messages };
        let start = &finished.start;
        for event in &finished.events {
            let event_id = start.hot.message.event_id.as_ref();
            let application = &start.application.application;
            let endpoint = &start.endpoint.endpoint;
            match publisher.operational(application, endpoint, event, event_id).await {
                Ok(message) => messages.extend(message),
                Err(error) => tracing::warn!(%error, event = event.event_type(),
                    "an operational webhook could not be made"),
            }
        }
        messages
    }

    /// What was caused is stored and on its way, unless it was routed with an old catalogue: then it
    /// is published anew.
    async fn hand_over_caused(
        self: &Arc<Self>,
        finished: &Finished,
        messages: Vec<NewMessage>,
        published: &[Published],
    ) {
        let mut hot = Vec::new();
        let mut stale = false;
        for (new, published) in messages.into_iter().zip(published) {
            match published {
                Published::Stored => hot.extend(
                    new.deliveries
                        .into_iter()
                        .map(|delivery| Hot { delivery, message: new.message.clone() }),
                ),
                Published::Stale => stale = true,
                _ => {}
            }
        }
        self.tell(|core, now| core.hand_over(hot, now));
        let (true, Some(publisher)) = (stale, self.publisher()) else { return };
        let start = &finished.start;
        for event in &finished.events {
            let told = publisher
                .publish_operational(
                    &start.application.application,
                    &start.endpoint.endpoint,
                    event,
                    start.hot.message.event_id.as_ref(),
                )
                .await;
            if let Err(error) = told {
                tracing::warn!(%error, event = event.event_type(), "an operational webhook is lost");
            }
        }
    }

    /// The catalogue in memory says since when an endpoint fails and whether it is disabled.
    fn health_changed(self: &Arc<Self>, finished: &Finished) {
        let delivery = &finished.start.hot.delivery;
        self.parts.catalogues.application_changed(delivery.org, delivery.app, None);
        let since = match finished.health {
            Health::Same => return,
            Health::Failing(since) => Some(since),
            Health::Recovered => None,
            Health::Disable { fail_since } => {
                tracing::warn!(endpoint = %delivery.endpoint, since = %fail_since,
                    "endpoint disabled: it only failed");
                self.tell(|core, now| core.endpoint_changed(delivery.endpoint, now));
                return;
            }
        };
        self.tell(|core, _| core.health_written(delivery.endpoint, since));
    }
}
