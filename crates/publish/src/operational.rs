//! Operational webhooks go down our own road: as messages of the management organization, to the
//! application whose uid is the tenant's organization id. Where there is none, nobody listens.

use bytes::Bytes;
use domain::{
    application::Application,
    endpoint::Endpoint,
    id::{ApplicationId, OrganizationId},
    message::{Body, Origin},
    name::{Ref, Uid},
    operational::{OperationalEvent, Subject},
};
use store::{StoreError, publish::NewMessage};

use crate::{
    draft::{Draft, PublishError, Rejected},
    permit::Internal,
    publisher::Publisher,
};

impl Publisher {
    /// The message that tells of `event`, routed and ready to be committed with what caused it;
    /// `None` if nobody listens. `event_id` is that of the message it is about.
    pub async fn operational(
        &self,
        application: &Application,
        endpoint: &Endpoint,
        event: &OperationalEvent,
        event_id: Option<&Uid>,
    ) -> Result<Option<NewMessage>, StoreError> {
        let Some((org, app)) = listener(application.org) else { return Ok(None) };
        let Some(catalogue) = self.catalogues.application(org, &app).await? else {
            return Ok(None);
        };
        let organization = self.catalogues.organization(org).await?;
        let draft = draft(application, endpoint, event, event_id);
        let message = self.message(&catalogue, &organization, &draft);
        Ok(self.route(&catalogue, &organization, &message.into(), &draft))
    }

    /// Tells an organization's operators of an alert: `payload` is of type `event_type`. `event_id` tells
    /// it from any other one, so that to tell it again is to tell it once. Nobody listening is fine.
    pub async fn publish_alert(
        &self,
        org: OrganizationId,
        event_type: &'static str,
        event_id: Uid,
        payload: String,
    ) -> Result<(), Rejected> {
        let Some((management, app)) = listener(org) else { return Ok(()) };
        let draft = Draft { event_id: Some(event_id), ..operational_draft(event_type, payload) };
        let published = self.publish(management, &app, vec![draft], &Internal).await;
        match published.map(|results| results.into_iter().next()) {
            Err(PublishError::NotFound) | Ok(Some(Err(Rejected::EventIdTaken))) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(Some(Err(rejected))) => Err(rejected),
            Ok(_) => Ok(()),
        }
    }

    /// Tells of `event` now. Nobody listening is fine.
    pub async fn publish_operational(
        &self,
        application: &Application,
        endpoint: &Endpoint,
        event: &OperationalEvent,
        event_id: Option<&Uid>,
    ) -> Result<(), PublishError> {
        let Some((org, app)) = listener(application.org) else { return Ok(()) };
        let draft = draft(application, endpoint, event, event_id);
        match self.publish(org, &app, vec![draft], &Internal).await {
            Ok(_) | Err(PublishError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Where the events of an organization go. The management organization's own are told to nobody:
/// they would tell of themselves without end.
fn listener(org: OrganizationId) -> Option<(OrganizationId, Ref<ApplicationId>)> {
    let management = OrganizationId::management();
    if org == management {
        return None;
    }
    let uid: Uid = org.to_string().parse().ok()?;
    Some((management, Ref::Uid(uid)))
}

fn draft(
    application: &Application,
    endpoint: &Endpoint,
    event: &OperationalEvent,
    event_id: Option<&Uid>,
) -> Draft {
    let subject = Subject {
        app_id: application.id.to_string(),
        app_uid: application.uid.as_ref(),
        endpoint_id: endpoint.id,
        endpoint_uid: endpoint.uid.as_ref(),
        event_id,
    };
    operational_draft(event.event_type(), event.payload(&subject).to_string())
}

fn operational_draft(event_type: &'static str, payload: String) -> Draft {
    Draft {
        event_type: event_type.parse().expect("a valid name"),
        event_id: None,
        event_id_window: None,
        channels: Vec::new(),
        tags: Vec::new(),
        body: Body::json(Bytes::from(payload)),
        deliver_at: None,
        retention: None,
        origin: Origin::Operational,
        idempotency: None,
        only: None,
    }
}
