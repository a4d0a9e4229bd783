//! Accepting messages.

use std::{sync::Arc, time::Duration};

use domain::{
    claim::ClaimKey,
    clock::Clock,
    delivery::{Delivery, Trigger},
    endpoint::Endpoint,
    entropy::Entropy,
    id::{ApplicationId, MessageId, OrganizationId},
    message::Message,
    name::Ref,
    routing,
};
use store::{
    Store, StoreError,
    catalog::Versions,
    publish::{Claim, NewMessage},
};

use crate::{
    catalogue::{ApplicationCatalogue, OrganizationCatalogue},
    catalogues::Catalogues,
    draft::{Accepted, Draft, PublishError, Rejected},
    handover::{Handover, Hot},
    live::Live,
    permit::Permit,
    request::Request,
};

/// How often a message is routed again because the catalogue changed meanwhile.
const MAX_ROUTINGS: usize = 8;
/// An event id is unique at least this long.
const MIN_EVENT_ID_WINDOW: Duration = Duration::from_secs(24 * 3_600);

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
    pub(crate) handover: Arc<dyn Handover>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    options: PublishOptions,
    pub(crate) accepted: metrics::Counter,
    pub(crate) live: Arc<Live>,
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
        let live = Arc::default();
        Self { store, catalogues, handover, clock, entropy, options, accepted, live }
    }

    /// The catalogue it routes by.
    pub fn catalogues(&self) -> &Arc<Catalogues> {
        &self.catalogues
    }

    /// Whoever delivers.
    pub fn handover(&self) -> &Arc<dyn Handover> {
        &self.handover
    }

    /// Those who watch what this node accepts and sends.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Accepts messages of one application, each by itself: one result per draft, in order. After
    /// `Ok` all that is accepted is on stable storage and on its way; after `Err` nothing is accepted,
    /// or whether it is is unknown. Of a store that is shared nothing is accepted without the caller's
    /// `permit`, nor refused by what is older than this call.
    #[tracing::instrument(level = "debug", skip_all, fields(messages = drafts.len()))]
    pub async fn publish(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
        drafts: Vec<Draft>,
        permit: &dyn Permit,
    ) -> Result<Vec<Result<Accepted, Rejected>>, PublishError> {
        let mut request = Request::new(org, app, permit, drafts, !self.store.is_shared());
        let mut failure = None;
        for _ in 0..MAX_ROUTINGS {
            if let Err(error) = self.round(&mut request).await {
                failure = Some(error);
                break;
            }
            if request.is_done() {
                break;
            }
        }
        request.finish(failure)
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
                expires_at: match draft.event_id_window {
                    Some(window) => message.created_at.plus(window),
                    None => message.expires_at.max(message.created_at.plus(MIN_EVENT_ID_WINDOW)),
                },
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
                let settings = &self.catalogues.organization_now(message.org).await?.settings;
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
