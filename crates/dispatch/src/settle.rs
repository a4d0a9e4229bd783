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
    StoreError,
    deliveries::{Settle, Settled},
    failpoint,
    publish::{NewMessage, Published},
};
use tokio::time::sleep;

use crate::{core::Start, engine::Engine};

/// First and longest wait before a write is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

impl Engine {
    /// Writes what an attempt came to (`None`: the delivery ends without one), tells the core, and
    /// hands over the messages that it caused, which tell of `events`.
    pub(crate) async fn finish(
        self: Arc<Self>,
        start: Start,
        attempt: Option<Attempt>,
        next: Next,
        health: Health,
        events: Vec<OperationalEvent>,
    ) {
        let delivery = start.hot.delivery.clone();
        let mut settle = Settle { delivery, attempt, next, health, messages: Vec::new() };
        let settled = self.write(&start, &events, &mut settle).await;
        failpoint::pass("settle.after_commit");
        self.metrics.settled(next, &settled);
        self.health_settled(&settle, settled.health_changed);
        self.tell(|core, now| {
            let look = match next {
                // It moved on without us: the store knows what is left of it.
                _ if settled.superseded => Some(now),
                Next::Retry(due) => Some(due),
                Next::End(..) => None,
            };
            let Settle { delivery, .. } = &settle;
            core.settled(delivery.endpoint, delivery.id, look, &settled.also_ended, now);
        });
        if !settle.messages.is_empty() {
            self.hand_over_caused(&start, &events, settle.messages, &settled.published).await;
        }
    }

    /// Writes until it is written. A process that ends before makes the attempt again.
    async fn write(
        self: &Arc<Self>,
        start: &Start,
        events: &[OperationalEvent],
        settle: &mut Settle,
    ) -> Settled {
        let mut wait = RETRY.0;
        let mut stuck = false;
        loop {
            let error = match self.try_write(start, events, settle).await {
                Ok(settled) => {
                    if stuck {
                        self.tell(|core, _| core.unwritten(false));
                    }
                    return settled;
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
            sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    async fn try_write(
        &self,
        start: &Start,
        events: &[OperationalEvent],
        settle: &mut Settle,
    ) -> Result<Settled, StoreError> {
        // Made once: what is tried again after an unknown outcome must be the same messages.
        if settle.messages.is_empty() && !events.is_empty() {
            settle.messages = self.operational_messages(start, events).await?;
        }
        failpoint::pass("settle.before_commit");
        let settled = self.parts.store.settle(vec![settle.clone()]).await?;
        Ok(settled.into_iter().next().unwrap_or_default())
    }

    async fn operational_messages(
        &self,
        start: &Start,
        events: &[OperationalEvent],
    ) -> Result<Vec<NewMessage>, StoreError> {
        let mut messages = Vec::new();
        let Some(publisher) = self.publisher() else { return Ok(messages) };
        let event_id = start.hot.message.event_id.as_ref();
        let (application, endpoint) = (&start.application.application, &start.endpoint.endpoint);
        for event in events {
            messages.extend(publisher.operational(application, endpoint, event, event_id).await?);
        }
        Ok(messages)
    }

    /// What was caused is stored and on its way, unless it was routed with an old catalogue: then it
    /// is published anew.
    async fn hand_over_caused(
        self: &Arc<Self>,
        start: &Start,
        events: &[OperationalEvent],
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
        for event in events {
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
    fn health_settled(self: &Arc<Self>, settle: &Settle, changed: bool) {
        let delivery = &settle.delivery;
        let since = match settle.health {
            Health::Same => return,
            Health::Failing(since) => Some(since),
            Health::Recovered => None,
            Health::Disable { fail_since } => {
                if changed {
                    tracing::warn!(endpoint = %delivery.endpoint, since = %fail_since,
                        "endpoint disabled: it only failed");
                }
                Some(fail_since)
            }
        };
        let disabled = matches!(settle.health, Health::Disable { .. });
        let as_known = self.tell(|core, _| core.health_written(delivery.endpoint, since, changed));
        if changed || disabled || !as_known {
            self.parts.catalogues.application_changed(delivery.org, delivery.app, None);
        }
        if disabled || !as_known {
            self.tell(|core, now| core.endpoint_changed(delivery.endpoint, now));
        }
    }
}
