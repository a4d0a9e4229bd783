//! Accepting messages.

use std::{sync::Arc, time::Duration};

use domain::{
    claim::ClaimKey,
    clock::Clock,
    delivery::{Delivery, Trigger},
    endpoint::Endpoint,
    entropy::Entropy,
    id::{ApplicationId, MessageId, OrganizationId},
    message::{Body, Message},
    name::Ref,
    organization::SchemaMode,
    routing,
};
use store::{
    Store, StoreError,
    catalog::Versions,
    failpoint,
    history::Tenant,
    publish::{Claim, NewMessage, Published},
};

use crate::{
    catalogue::{ApplicationCatalogue, Catalogues, OrganizationCatalogue},
    draft::{Accepted, Draft, PublishError, Rejected},
    handover::{Handover, Hot},
};

/// Most messages and deliveries of a request that are stored in one act, where one message is not more.
const MAX_ROWS: usize = 2_048;
/// How often a message is routed again because the catalogue changed meanwhile.
const MAX_ROUTINGS: usize = 8;
/// An event id is unique at least this long.
const MIN_EVENT_ID_WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// Messages that are not dealt with yet, with their places in the request.
type Left = Vec<(usize, Arc<Message>, Draft)>;

/// What became of each message of a request, as far as that is known.
type Results = [Option<Result<Accepted, Rejected>>];

/// Settings of publishing.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// How long payloads are kept where neither message nor organization says.
    pub payload_retention: Duration,
    /// Most pending deliveries per application where the organization does not say.
    pub max_pending: Option<u64>,
}

/// Accepts messages: routes, stores, hands over.
pub struct Publisher {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) catalogues: Arc<Catalogues>,
    handover: Arc<dyn Handover>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    options: PublishOptions,
    accepted: metrics::Counter,
}

impl Publisher {
    /// Puts it together.
    pub fn new(
        store: Arc<dyn Store>,
        catalogues: Arc<Catalogues>,
        handover: Arc<dyn Handover>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: PublishOptions,
    ) -> Self {
        let accepted = metrics::counter!("hookwright_messages_total");
        Self { store, catalogues, handover, clock, entropy, options, accepted }
    }

    /// The catalogue it routes by.
    pub fn catalogues(&self) -> &Arc<Catalogues> {
        &self.catalogues
    }

    /// Whoever delivers.
    pub fn handover(&self) -> &Arc<dyn Handover> {
        &self.handover
    }

    /// Accepts messages of one application, each by itself: one result per draft, in order. After
    /// `Ok` all that is accepted is on stable storage and on its way; after `Err` nothing is accepted,
    /// or whether it is is unknown.
    #[tracing::instrument(level = "debug", skip_all, fields(messages = drafts.len()))]
    pub async fn publish(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Result<Accepted, Rejected>>, PublishError> {
        let mut results = vec![None; drafts.len()];
        let mut left = Left::new();
        let mut drafts = Some(drafts);
        let mut failure = PublishError::Store(StoreError::Overloaded);
        for _ in 0..MAX_ROUTINGS {
            let round = self.round(org, app, &mut drafts, &mut left, &mut results).await;
            if let Err(error) = round {
                failure = error;
                break;
            }
            if left.is_empty() {
                break;
            }
        }
        // What was stored stands, whatever became of the others.
        if (drafts.is_some() || !left.is_empty())
            && !results.iter().any(|r| matches!(r, Some(Ok(_))))
        {
            return Err(failure);
        }
        let failed = Rejected::from(failure);
        Ok(results.into_iter().map(|r| r.unwrap_or_else(|| Err(failed.clone()))).collect())
    }

    /// Routes what is left by the catalogue as it is now, and stores it.
    async fn round(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
        drafts: &mut Option<Vec<Draft>>,
        left: &mut Left,
        results: &mut Results,
    ) -> Result<(), PublishError> {
        let application =
            self.catalogues.application(org, app).await?.ok_or(PublishError::NotFound)?;
        let organization = self.catalogues.organization(org).await?;
        for (at, draft) in drafts.take().into_iter().flatten().enumerate() {
            match self.check(&organization, &draft) {
                Ok(()) => {
                    let message = self.message(&application, &organization, &draft);
                    left.push((at, Arc::new(message), draft));
                }
                Err(rejected) => results[at] = Some(Err(rejected)),
            }
        }
        // Few enough rows at a time, so that others get their turn between.
        let most = (MAX_ROWS / (1 + application.endpoints.len())).max(1);
        let mut waiting = std::mem::take(left);
        while !waiting.is_empty() {
            let rest = waiting.split_off(most.min(waiting.len()));
            let mut some = std::mem::replace(&mut waiting, rest);
            let done = self.commit(&application, &organization, &mut some, results).await;
            // What came back as stale, or was not dealt with.
            left.append(&mut some);
            done?;
        }
        if !left.is_empty() {
            self.catalogues.outdated(&application, &organization);
        }
        Ok(())
    }

    /// Routes what is left, stores it, hands it over, and takes what is done out of `left`.
    async fn commit(
        &self,
        application: &ApplicationCatalogue,
        organization: &OrganizationCatalogue,
        left: &mut Left,
        results: &mut Results,
    ) -> Result<(), PublishError> {
        let mut batch = Vec::with_capacity(left.len());
        left.retain(|(at, message, draft)| {
            match self.route(application, organization, message, draft) {
                Some(new) => {
                    batch.push(new);
                    true
                }
                None => {
                    results[*at] = Some(Err(Rejected::NoSuchEndpoint));
                    false
                }
            }
        });
        if batch.is_empty() {
            return Ok(());
        }
        let deliveries: Vec<_> = batch.iter().map(|new| new.deliveries.clone()).collect();
        failpoint::pass("publish.before_commit");
        let published = self.store.publish(batch).await?;
        failpoint::pass("publish.after_commit");
        let mut hot = Vec::new();
        let mut stale = Vec::new();
        let mut repeated = Vec::new();
        for (((at, message, draft), deliveries), published) in
            left.drain(..).zip(deliveries).zip(published)
        {
            results[at] = Some(match published {
                Published::Stored => {
                    self.accepted.increment(1);
                    hot.extend(
                        deliveries
                            .into_iter()
                            .map(|delivery| Hot { delivery, message: message.clone() }),
                    );
                    Ok(Accepted { message, repeated: false })
                }
                Published::EventIdTaken(_) => Err(Rejected::EventIdTaken),
                Published::OverQuota => Err(Rejected::OverQuota),
                Published::NotFound => Err(Rejected::NoSuchApplication),
                Published::Repeated(id) => {
                    repeated.push((at, message, id));
                    continue;
                }
                Published::Stale => {
                    stale.push((at, message, draft));
                    continue;
                }
            });
        }
        *left = stale;
        // Before anything that may fail: what is stored is on its way.
        if !hot.is_empty() {
            self.handover.hand_over(hot);
        }
        for (at, asked, id) in repeated {
            results[at] = Some(self.repeated(asked, id).await.map_err(Rejected::Store));
        }
        Ok(())
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

    fn check(&self, organization: &OrganizationCatalogue, draft: &Draft) -> Result<(), Rejected> {
        let Some((mode, schema)) = organization.schema(&draft.event_type) else { return Ok(()) };
        // The caller is told what it said itself; the log is not.
        let quote = mode == SchemaMode::Reject;
        let faults = match serde_json::from_slice(&draft.body.bytes) {
            Ok(payload) => schema.faults(&payload, quote),
            Err(_) => vec!["the payload is not JSON".to_owned()],
        };
        if faults.is_empty() {
            return Ok(());
        }
        metrics::counter!("hookwright_schema_mismatches_total").increment(1);
        if mode == SchemaMode::Reject {
            return Err(Rejected::Schema(faults));
        }
        tracing::warn!(event_type = %draft.event_type, ?faults, "payload does not match its schema");
        Ok(())
    }

    pub(crate) fn message(
        &self,
        application: &ApplicationCatalogue,
        organization: &OrganizationCatalogue,
        draft: &Draft,
    ) -> Message {
        let now = self.clock.now();
        let retention = draft
            .retention
            .or(organization.settings.payload_retention)
            .unwrap_or(self.options.payload_retention);
        Message {
            org: application.application.org,
            app: application.application.id,
            id: MessageId::generate(now, &*self.entropy),
            event_id: draft.event_id.clone(),
            event_type: draft.event_type.clone(),
            channels: draft.channels.clone(),
            tags: draft.tags.clone(),
            body: Some(draft.body.clone()),
            origin: draft.origin,
            created_at: now,
            deliver_at: draft.deliver_at,
            expires_at: draft.deliver_at.unwrap_or(now).max(now).plus(retention),
        }
    }

    pub(crate) fn route(
        &self,
        application: &ApplicationCatalogue,
        organization: &OrganizationCatalogue,
        message: &Arc<Message>,
        draft: &Draft,
    ) -> Option<NewMessage> {
        let deliveries = match draft.only {
            None => routing::route(
                message,
                application.endpoints.iter().map(|e| &e.endpoint),
                &*self.entropy,
            ),
            Some(id) => {
                let endpoint = &application.endpoint(id)?.endpoint;
                let due = message.created_at;
                vec![routing::deliver(message, endpoint, Trigger::Automatic, due, &*self.entropy)]
            }
        };
        let (org, app) = (message.org, message.app);
        Some(NewMessage {
            message: message.clone(),
            deliveries,
            versions: Versions { org: organization.version, app: application.version },
            idempotency: draft
                .idempotency
                .map(|c| Claim { key: c.key, expires_at: message.created_at.plus(c.ttl) }),
            event_id: draft.event_id.as_ref().map(|id| Claim {
                key: ClaimKey::event_id(&org, &app, id),
                expires_at: message.expires_at.max(message.created_at.plus(MIN_EVENT_ID_WINDOW)),
            }),
            max_pending: organization.settings.max_pending_deliveries.or(self.options.max_pending),
        })
    }

    /// Sends a stored message to one endpoint again: one try, beside whatever its schedule does. What
    /// somebody asks for counts against the application's quota.
    pub async fn resend(
        &self,
        message: Arc<Message>,
        endpoint: &Endpoint,
        trigger: Trigger,
    ) -> Result<Result<Delivery, Rejected>, StoreError> {
        let max_pending = match trigger {
            Trigger::Manual => {
                let settings = &self.catalogues.organization(message.org).await?.settings;
                settings.max_pending_deliveries.or(self.options.max_pending)
            }
            Trigger::Automatic | Trigger::Replay => None,
        };
        let now = self.clock.now();
        let delivery = routing::deliver(&message, endpoint, trigger, now, &*self.entropy);
        if !self.store.enqueue(vec![delivery.clone()], max_pending).await? {
            return Ok(Err(Rejected::OverQuota));
        }
        self.handover.hand_over(vec![Hot { delivery: delivery.clone(), message }]);
        Ok(Ok(delivery))
    }
}
