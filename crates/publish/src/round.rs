//! One round of publishing: what is left of a request is routed by the catalogue as it is known now, and
//! stored. What comes back as stale is left for the next round; so is what was refused by a part of the
//! catalogue that may be old, and that part is loaded anew.

use std::sync::Arc;

use domain::{
    id::MessageId,
    message::{Body, Message, Origin},
    name::Ref,
    organization::SchemaMode,
};
use store::{
    StoreError, failpoint,
    history::Tenant,
    publish::{NewMessage, Published},
};

use crate::{
    catalogue::{ApplicationCatalogue, OrganizationCatalogue},
    draft::{Accepted, Draft, PublishError, Rejected},
    handover::Hot,
    publisher::Publisher,
    request::{Exact, Placed, Request},
};

/// Most messages and deliveries of a request that are stored in one act, where one message is not more.
const MAX_ROWS: usize = 2_048;

/// What a round goes by.
struct Known {
    application: Arc<ApplicationCatalogue>,
    organization: Arc<OrganizationCatalogue>,
    exact: Exact,
}

impl Publisher {
    async fn known(&self, request: &Request<'_>) -> Result<Known, PublishError> {
        let Request { org, app, exact, .. } = *request;
        let application = if exact.application {
            self.catalogues.application_now(org, app).await
        } else {
            self.catalogues.application(org, app).await
        };
        let application = application?.ok_or(PublishError::NotFound)?;
        let organization = if exact.organization {
            self.catalogues.organization_now(org).await
        } else {
            self.catalogues.organization(org).await
        };
        let organization = organization?;
        // What is revoked after this was loaded makes the message stale.
        if self.store.is_shared() && !request.permit.still_holds(&organization).await? {
            return Err(PublishError::Revoked);
        }
        Ok(Known { application, organization, exact })
    }

    /// Routes what is left by the catalogue as it is known now, and stores it.
    pub(crate) async fn round(&self, request: &mut Request<'_>) -> Result<(), PublishError> {
        let known = self.known(request).await?;
        // Few enough rows at a time, so that others get their turn between.
        let most = (MAX_ROWS / (1 + known.application.endpoints.len())).max(1);
        let mut stale = Vec::new();
        let mut waiting = std::mem::take(&mut request.left);
        while !waiting.is_empty() {
            let rest = waiting.split_off(most.min(waiting.len()));
            let some = std::mem::replace(&mut waiting, rest);
            stale.extend(self.commit(&known, some, request).await?);
        }
        if !stale.is_empty() {
            self.catalogues.outdated(&known.application, &known.organization);
            request.left.append(&mut stale);
        }
        Ok(())
    }

    /// Routes some messages, stores them, hands them over, and returns those that came back as stale.
    async fn commit(
        &self,
        known: &Known,
        some: Placed,
        request: &mut Request<'_>,
    ) -> Result<Placed, PublishError> {
        let mut batch = Vec::with_capacity(some.len());
        let mut sent = Vec::with_capacity(some.len());
        for (at, draft) in some {
            match self.route_draft(known, &draft) {
                Ok(new) => {
                    sent.push((at, draft, new.message.clone(), new.deliveries.clone()));
                    batch.push(new);
                }
                Err(rejected) => request.refuse(known.exact, at, draft, rejected),
            }
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        failpoint::pass("publish.before_commit");
        let published = self.store.publish(batch).await?;
        failpoint::pass("publish.after_commit");
        let mut hot = Vec::new();
        let mut stale = Vec::new();
        let mut repeated = Vec::new();
        for ((at, draft, message, deliveries), published) in sent.into_iter().zip(published) {
            let result = match published {
                Published::Stored => {
                    self.accepted.increment(1);
                    self.live.message(&known.application, &message, deliveries.len());
                    hot.extend(
                        deliveries
                            .into_iter()
                            .map(|delivery| Hot { delivery, message: message.clone() }),
                    );
                    Ok(Accepted { message, repeated: false })
                }
                Published::EventIdTaken(_) => Err(Rejected::EventIdTaken),
                Published::OverQuota => Err(Rejected::OverQuota),
                Published::NotFound => {
                    // Its uid may be another one's by now.
                    request.refuse(known.exact, at, draft, Rejected::NoSuchApplication);
                    continue;
                }
                Published::Repeated(id) => {
                    repeated.push((at, message, id));
                    continue;
                }
                Published::Stale => {
                    stale.push((at, draft));
                    continue;
                }
            };
            request.results[at] = Some(result);
        }
        // Before anything that may fail: what is stored is on its way.
        if !hot.is_empty() {
            self.handover.hand_over(hot);
        }
        for (at, asked, id) in repeated {
            request.results[at] = Some(self.repeated(asked, id).await.map_err(Rejected::Store));
        }
        Ok(stale)
    }

    /// Makes the message anew in each round: its application and how long it is kept may be others.
    fn route_draft(&self, known: &Known, draft: &Draft) -> Result<NewMessage, Rejected> {
        let Known { application, organization, .. } = known;
        check(organization, draft)?;
        let message = Arc::new(self.message(application, organization, draft));
        let routed = self.route(application, organization, &message, draft);
        routed.ok_or(Rejected::NoSuchEndpoint)
    }

    /// The message that an earlier request with the same key made.
    async fn repeated(&self, asked: Arc<Message>, id: MessageId) -> Result<Accepted, StoreError> {
        let tenant = Tenant { org: asked.org, app: asked.app };
        let first = self.store.message(tenant, &Ref::Id(id)).await?;
        let Some(first) = first else {
            // Its history is over, its claim is not yet: all that is left of it is its id.
            let message = Message { id, ..(*asked).clone() };
            return Ok(Accepted { message: Arc::new(message), repeated: true });
        };
        // Its headers are not the caller's words: a retry is traced anew.
        let said = |body: &Option<Body>| {
            body.as_ref().map(|body| (body.bytes.clone(), body.content_type.clone()))
        };
        if first.event_type != asked.event_type || said(&first.body) != said(&asked.body) {
            metrics::counter!("hookwright_idempotency_key_reused_total").increment(1);
            tracing::warn!(message = %id, "an idempotency key was used again with another body");
        }
        Ok(Accepted { message: Arc::new(first), repeated: true })
    }
}

/// Whether a payload may be sent, by the schema of its event type.
fn check(organization: &OrganizationCatalogue, draft: &Draft) -> Result<(), Rejected> {
    // Who sends what a source receives cannot mend it, and would only send it again.
    if draft.origin == Origin::Source {
        return Ok(());
    }
    let Some((mode, schema)) = organization.schema(&draft.event_type) else { return Ok(()) };
    // The caller is told what it said itself; the log is not.
    let quote = mode == SchemaMode::Reject;
    let faults = match serde_json::from_slice(&draft.body.bytes) {
        Ok(payload) => schema.faults(&payload, quote).iter().map(ToString::to_string).collect(),
        Err(_) => vec!["the payload is not JSON".to_owned()],
    };
    if faults.is_empty() {
        return Ok(());
    }
    if mode == SchemaMode::Reject {
        return Err(Rejected::Schema(faults));
    }
    metrics::counter!("hookwright_schema_mismatches_total").increment(1);
    tracing::warn!(event_type = %draft.event_type, ?faults, "payload does not match its schema");
    Ok(())
}
