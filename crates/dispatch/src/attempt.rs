//! One attempt, from the lane to the record.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use domain::{
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::Timestamp,
    delivery::{
        self, Cause, Delivery, EndState, Health, Next, Notice, Policy, Settlement, Trigger,
    },
    id::{AttemptId, SecretId},
    message::Body,
    operational::{LastAttempt, OperationalEvent},
};
use futures_util::FutureExt;
use publish::Signed;
use store::{deliveries::Settle, failpoint};

use crate::{core::Start, engine::Engine};

/// A delivery younger than this, never tried, is not over age: nothing needs to be looked up to know.
const SURELY_FRESH: Duration = Duration::from_secs(60);

/// Why nothing was sent.
enum Unsent {
    /// There was nothing to send: this becomes of the delivery.
    Over(Next),
    /// Its shard may be another owner's by now.
    Lost,
}

/// What was sent, what came of it, and what that means.
struct Made {
    started_at: Timestamp,
    outcome: Outcome,
    settlement: Settlement,
    secrets: Vec<SecretId>,
    body_hash: [u8; 16],
}

impl Engine {
    /// Makes one attempt and writes what came of it.
    #[tracing::instrument(
        level = "debug",
        skip_all,
        fields(
            otel.kind = "client",
            message = %start.hot.delivery.message,
            endpoint = %start.hot.delivery.endpoint,
            number = start.hot.delivery.attempts.saturating_add(1),
            class = tracing::field::Empty,
        )
    )]
    pub(crate) async fn attempt(self: Arc<Self>, start: Start) {
        let (settle, events) = match AssertUnwindSafe(self.make(&start)).catch_unwind().await {
            Ok(Ok(made)) => self.came_back(&start, made),
            Ok(Err(Unsent::Over(next))) => self.never_sent(&start, next),
            Ok(Err(Unsent::Lost)) => return self.let_go(&start),
            Err(_) => return self.panicked(&start),
        };
        self.finish(&start, settle, events).await;
    }

    /// An attempt came back: tells the core, and what to write.
    fn came_back(self: &Arc<Self>, start: &Start, made: Made) -> (Settle, Vec<OperationalEvent>) {
        tracing::Span::current().record("class", made.outcome.class.as_str());
        let (delivery, message) = (&start.hot.delivery, &start.hot.message);
        let settlement = made.settlement;
        let health = self.tell(|core, now| {
            core.answered(delivery.endpoint, settlement.pace, start.probe, now);
            core.once(delivery.endpoint, settlement.health)
        });
        let attempt = Attempt {
            id: AttemptId::generate(made.started_at, &*self.parts.entropy),
            org: message.org,
            app: message.app,
            endpoint: delivery.endpoint,
            message: message.id,
            delivery: delivery.id,
            number: delivery.attempts.saturating_add(1),
            trigger: delivery.trigger,
            url: start.endpoint.shown_url.as_ref().to_owned(),
            outcome: made.outcome,
            started_at: made.started_at,
            endpoint_revision: start.endpoint.endpoint.revision,
            secrets: made.secrets,
            body_hash: made.body_hash,
            superseded: false,
        };
        let events = events(&settlement, health, &attempt);
        let next = settlement.next;
        (settle(start, Some(attempt), next, health), events)
    }

    /// There was nothing to send: the delivery ends, or waits, without an attempt.
    fn never_sent(self: &Arc<Self>, start: &Start, next: Next) -> (Settle, Vec<OperationalEvent>) {
        let endpoint = start.hot.delivery.endpoint;
        self.tell(|core, now| core.unstarted(endpoint, start.probe, now));
        (settle(start, None, next, Health::Same), Vec::new())
    }

    /// It came too late to be sent: its delivery waits in the store, for whoever owns it.
    fn let_go(self: &Arc<Self>, start: &Start) {
        let Delivery { id, endpoint, due, .. } = start.hot.delivery;
        self.tell(|core, now| {
            core.unstarted(endpoint, start.probe, now);
            core.settled(endpoint, (id, start.held), Some(due), &[], now);
        });
    }

    fn panicked(self: &Arc<Self>, start: &Start) {
        let Delivery { id, endpoint, .. } = start.hot.delivery;
        tracing::error!(%endpoint, message = %start.hot.delivery.message,
            "an attempt panicked; its delivery is set aside until the next start");
        self.tell(|core, now| {
            core.unstarted(endpoint, start.probe, now);
            core.set_aside(endpoint, (id, start.held), now);
        });
    }

    /// Sends it and decides what the outcome means.
    async fn make(&self, start: &Start) -> Result<Made, Unsent> {
        let body = self.sendable(start).await.map_err(Unsent::Over)?;
        let started_at = self.wall();
        let (message, deadline) = (&start.hot.message, self.parts.options.request_timeout);
        let signed = self.requests.build(message, body, &start.endpoint, started_at, deadline);
        failpoint::pass("attempt.before_send");
        let Signed { request, secrets, body_hash } = signed;
        if !self.may_send(start) {
            return Err(Unsent::Lost);
        }
        let outcome = self.parts.destination.deliver(request).await;
        failpoint::pass("attempt.after_response");
        self.metrics.attempt(&outcome);
        let settlement = self.judge(start, &outcome).await;
        Ok(Made { started_at, outcome, settlement, secrets, body_hash })
    }

    /// Whether its shard is certainly ours still: it was when the attempt began, but the process may have
    /// been stopped since, or have waited for the store.
    fn may_send(&self, start: &Start) -> bool {
        let (shard, monotonic) = (start.hot.delivery.shard(), self.parts.clock.monotonic());
        self.core.lock().may_send(shard, start.epoch, monotonic)
    }

    /// The body to send, or what becomes of the delivery without being sent.
    async fn sendable<'a>(&self, start: &'a Start) -> Result<&'a Body, Next> {
        let (delivery, message) = (&start.hot.delivery, &start.hot.message);
        let wall = self.wall();
        let fresh = delivery.attempts == 0
            && wall.since(message.created_at) < SURELY_FRESH
            && wall < delivery.give_up_at;
        if !fresh
            && let Some((state, cause)) =
                delivery::overdue(delivery, &self.policy(start).await, wall)
        {
            return Err(Next::End(state, cause));
        }
        if let Some(at) = message.deliver_at
            && wall < at
            && delivery.attempts == 0
            && delivery.trigger == Trigger::Automatic
        {
            // The wall clock was set back: it is due by the engine's time, and not by the caller's.
            return Err(Next::Retry(self.now().plus(at.since(wall))));
        }
        message.body.as_ref().ok_or(Next::End(EndState::Cancelled, Cause::Expunged))
    }

    /// Ages are judged by what the wall clock shows; the next try is due by the engine's time, which
    /// is ahead of it after it was set back.
    async fn judge(&self, start: &Start, outcome: &Outcome) -> Settlement {
        // A success asks nothing of the policy: the common case looks nothing up.
        let policy = match outcome.class {
            OutcomeClass::Success => Cow::Borrowed(&self.parts.options.policy),
            _ => Cow::Owned(self.policy(start).await),
        };
        let (delivery, since) = (&start.hot.delivery, start.first_failure_at);
        let (now, wall) = (self.now(), self.wall());
        let entropy = &*self.parts.entropy;
        let mut settled = delivery::settle(delivery, outcome, since, &policy, wall, entropy);
        if let Next::Retry(due) = &mut settled.next {
            *due = due.plus(now.since(wall));
        }
        settled
    }

    /// The endpoint's schedule, or else the event type's, or else the server's.
    async fn policy(&self, start: &Start) -> Policy {
        let mut policy = self.parts.options.policy.clone();
        let message = &start.hot.message;
        if let Some(schedule) = &start.endpoint.endpoint.retry_schedule {
            policy.schedule = schedule.clone();
        } else if let Ok(organization) = self.parts.catalogues.organization(message.org).await
            && let Some(found) = organization.event_types.get(&message.event_type)
            && let Some(schedule) = &found.event_type.retry_schedule
        {
            policy.schedule = schedule.clone();
        }
        policy
    }
}

/// What to write.
fn settle(start: &Start, attempt: Option<Attempt>, next: Next, health: Health) -> Settle {
    let message = &start.hot.message;
    Settle {
        delivery: start.hot.delivery.clone(),
        attempt,
        event_type: message.event_type.clone(),
        wanted_at: message.wanted_at(),
        next,
        health,
        messages: Vec::new(),
        epoch: start.epoch,
    }
}

/// What operators are told of an attempt.
fn events(settlement: &Settlement, health: Health, attempt: &Attempt) -> Vec<OperationalEvent> {
    let last = || LastAttempt {
        id: attempt.id,
        response_status_code: attempt.outcome.status_code.unwrap_or(0),
        timestamp: attempt.started_at,
    };
    let notice = settlement.notice.map(|notice| match notice {
        Notice::Failing => OperationalEvent::AttemptFailing(attempt.message, last()),
        Notice::Exhausted => OperationalEvent::AttemptExhausted(attempt.message, last()),
        Notice::Recovered => OperationalEvent::AttemptRecovered(attempt.message, last()),
    });
    let disabled = match health {
        Health::Disable { fail_since } => {
            Some(OperationalEvent::EndpointDisabled { fail_since: Some(fail_since) })
        }
        _ => None,
    };
    notice.into_iter().chain(disabled).collect()
}
