//! One attempt, from the lane to the record.

use std::{borrow::Cow, sync::Arc, time::Duration};

use domain::{
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::Timestamp,
    delivery::{self, Cause, EndState, Health, Next, Notice, Policy, Settlement},
    id::AttemptId,
    message::Body,
    operational::{LastAttempt, OperationalEvent},
};
use store::failpoint;

use crate::{core::Start, engine::Engine};

/// A delivery younger than this, never tried, is not over age: nothing needs to be looked up to know.
const SURELY_FRESH: Duration = Duration::from_secs(60);

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
        let body = match self.sendable(&start, self.now()).await {
            Ok(body) => body,
            Err(end) => return self.end_unsent(start, end).await,
        };
        let started_at = self.wall();
        let message = &start.hot.message;
        let signed = self.requests.build(message, &body, &start.endpoint, started_at);
        failpoint::pass("attempt.before_send");
        let outcome = self.parts.destination.deliver(signed.request).await;
        failpoint::pass("attempt.after_response");
        self.metrics.attempt(&outcome);
        tracing::Span::current().record("class", outcome.class.as_str());
        let now = self.now();
        let settlement = self.judge(&start, &outcome, now).await;
        let endpoint = start.hot.delivery.endpoint;
        let probe = start.probe;
        let health = self.tell(|core, now| {
            core.answered(endpoint, settlement.pace, probe, now);
            core.once(endpoint, settlement.health)
        });
        let attempt = Attempt {
            id: AttemptId::generate(started_at, &*self.parts.entropy),
            org: message.org,
            app: message.app,
            endpoint,
            message: message.id,
            delivery: start.hot.delivery.id,
            number: start.hot.delivery.attempts.saturating_add(1),
            trigger: start.hot.delivery.trigger,
            url: start.endpoint.shown_url.as_ref().to_owned(),
            outcome,
            started_at,
            endpoint_revision: start.endpoint.endpoint.revision,
            secrets: signed.secrets,
            body_hash: signed.body_hash,
            superseded: false,
        };
        let events = events(&settlement, health, &attempt);
        self.finish(start, Some(attempt), settlement.next, health, events).await;
    }

    /// The body to send, or how the delivery ends without being sent.
    async fn sendable(&self, start: &Start, now: Timestamp) -> Result<Body, (EndState, Cause)> {
        let delivery = &start.hot.delivery;
        let fresh = delivery.attempts == 0
            && now.since(start.hot.message.created_at) < SURELY_FRESH
            && now < delivery.give_up_at;
        if !fresh && let Some(end) = delivery::overdue(delivery, &self.policy(start).await, now) {
            return Err(end);
        }
        start.hot.message.body.clone().ok_or((EndState::Cancelled, Cause::Expunged))
    }

    async fn judge(&self, start: &Start, outcome: &Outcome, now: Timestamp) -> Settlement {
        // A success asks nothing of the policy: the common case looks nothing up.
        let policy = match outcome.class {
            OutcomeClass::Success => Cow::Borrowed(&self.parts.options.policy),
            _ => Cow::Owned(self.policy(start).await),
        };
        let delivery = &start.hot.delivery;
        let since = start.first_failure_at;
        delivery::settle(delivery, outcome, since, &policy, now, &*self.parts.entropy)
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

    async fn end_unsent(self: Arc<Self>, start: Start, (state, cause): (EndState, Cause)) {
        let (endpoint, probe) = (start.hot.delivery.endpoint, start.probe);
        self.tell(|core, now| core.unstarted(endpoint, probe, now));
        self.finish(start, None, Next::End(state, cause), Health::Same, Vec::new()).await;
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
