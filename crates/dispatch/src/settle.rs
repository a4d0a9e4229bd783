//! Writing what attempts came to. A finished outcome waits in memory until it is on stable storage;
//! while one waits, nothing new starts, so that the number that wait is bounded by what was in flight.

use std::{sync::Arc, time::Duration};

use domain::{
    delivery::{Health, Next},
    operational::OperationalEvent,
};
use publish::{Hot, PublishError};
use store::{
    StoreError,
    deliveries::{Settle, Settled},
    failpoint, outage,
    publish::{NewMessage, Published},
};
use tokio::time::sleep;

use crate::{core::Start, engine::Engine};

/// How often the messages that an outcome causes are tried to be made, before it is written without.
const MOST_UNTOLD: u32 = 5;
/// How often an outcome may be refused for its own fault, before it is given up.
const MOST_REFUSED: u32 = 8;
/// First and longest wait before a write is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

impl Engine {
    /// Writes what an attempt came to, tells the core, and hands over the messages that it caused,
    /// which tell of `events`.
    pub(crate) async fn finish(
        self: &Arc<Self>,
        start: &Start,
        mut settle: Settle,
        events: Vec<OperationalEvent>,
    ) {
        let written = self.write(start, &events, &mut settle).await;
        let (id, endpoint) = (settle.delivery.id, settle.delivery.endpoint);
        let Some(settled) = written else {
            return self.tell(|core, now| core.set_aside(endpoint, (id, start.held), now));
        };
        failpoint::pass("settle.after_commit");
        self.metrics.settled(settle.next, &settled);
        self.show(start, &settle);
        if settled.superseded {
            let owned_under = self.core.lock().shards().epoch(settle.delivery.shard());
            if owned_under != Some(settle.epoch) {
                self.metrics.fenced();
            }
        }
        self.health_settled(&settle, settled.health_changed);
        self.tell(|core, now| {
            let look = match settle.next {
                // It moved on without us: the store knows what is left of it, if that is ours at all.
                _ if settled.superseded => Some(now),
                Next::Retry(due) => Some(due),
                Next::End(..) => None,
            };
            core.settled(endpoint, (id, start.held), look, &settled.also_ended, now);
        });
        if !settle.messages.is_empty() {
            // Boxed: it is rare, and large.
            let caused = self.hand_over_caused(start, &events, settle.messages, &settled.published);
            Box::pin(caused).await;
        }
    }

    /// Writes until it is written. A process that ends before makes the attempt again. `None` if the
    /// store refuses this one for good, which must not keep the others.
    async fn write(
        self: &Arc<Self>,
        start: &Start,
        events: &[OperationalEvent],
        settle: &mut Settle,
    ) -> Option<Settled> {
        let mut wait = RETRY.0;
        let (mut untold, mut refused) = (0, 0);
        let mut stuck = false;
        let written = loop {
            // Made once: what is tried again after an unknown outcome must be the same messages.
            if settle.messages.is_empty() && !events.is_empty() && untold < MOST_UNTOLD {
                // Boxed: it is rare, and large.
                match Box::pin(self.operational_messages(start, events)).await {
                    Ok(messages) => settle.messages = messages,
                    Err(error) => {
                        untold += 1;
                        if untold == MOST_UNTOLD {
                            lost(events, &error);
                        } else {
                            sleep(wait).await;
                        }
                        continue;
                    }
                }
            }
            failpoint::pass("settle.before_commit");
            let error = match self.parts.store.settle(vec![settle.clone()]).await {
                Ok(settled) => break Some(settled.into_iter().next().unwrap_or_default()),
                Err(error) => error,
            };
            if matches!(error, StoreError::Internal(_) | StoreError::Corrupt(_)) {
                refused += 1;
                if refused == MOST_REFUSED {
                    tracing::error!(%error, delivery = %settle.delivery.id,
                        "the outcome of an attempt is refused; its delivery is set aside until the \
                         next start");
                    break None;
                }
            }
            if !stuck {
                stuck = true;
                self.tell(|core, _| core.unwritten(true));
            }
            if outage::may_log(self.wall()) {
                tracing::error!(%error, "an attempt's outcome cannot be written; nothing new starts");
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        };
        if stuck {
            self.tell(|core, _| core.unwritten(false));
        }
        written
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
                Published::Repeated(_) | Published::EventIdTaken(_) => {}
                Published::OverQuota | Published::NotFound => {
                    tracing::warn!(event = %new.message.event_type, result = ?published,
                        "an operational webhook was not taken");
                }
            }
        }
        self.hand_over(hot);
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
            if let Err(PublishError::Store(error)) = told {
                lost(std::slice::from_ref(event), &error);
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
        let catalogues = &self.parts.catalogues;
        if disabled || !as_known {
            catalogues.application_changed(delivery.org, delivery.app, None);
        } else if changed {
            catalogues.health_changed(delivery.org, delivery.app, delivery.endpoint, since);
        }
        if disabled || !as_known {
            self.tell(|core, now| core.endpoint_changed(delivery.endpoint, now));
        }
    }
}

fn lost(events: &[OperationalEvent], error: &StoreError) {
    for event in events {
        metrics::counter!("hookwright_operational_webhooks_lost_total").increment(1);
        tracing::error!(%error, event = event.event_type(), "an operational webhook is lost");
    }
}
