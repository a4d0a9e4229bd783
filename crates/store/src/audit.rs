//! Who changed what. Each write of the catalogue, of tokens, of alert rules and of what tasks are to do leaves
//! a row, in the same transaction.

use async_trait::async_trait;
use domain::{
    application::Application,
    clock::Timestamp,
    endpoint::{Endpoint, shown_url},
    event_type::EventType,
    id::{AuditId, OrganizationId, TokenId},
    organization::Organization,
    page::{Page, PageRequest},
    task::{Task, Wish},
    token::{Actor, Revocation, Revoked, Token},
};
use serde_json::{Value, json};

use crate::Result;

/// A row of the audit log, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the log, in the order of time.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who: a token's id, `token` for one that has none of ours, `system` for Hookwright itself.
    pub actor: String,
    /// What: `endpoint.update`.
    pub action: String,
    /// To what: mostly an id.
    pub target: String,
    /// More of it, as JSON text. Holds no secrets.
    pub detail: String,
}

/// From when until when to look: `since` is in it, `until` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRange {
    /// The earliest.
    pub since: Timestamp,
    /// Behind the latest.
    pub until: Timestamp,
}

impl AuditRange {
    /// All of it.
    pub const ALL: Self = Self { since: Timestamp::EPOCH, until: Timestamp::MAX };

    /// Whether a time is in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }
}

/// Reading the audit log.
#[async_trait]
pub trait Audit: Send + Sync {
    /// A page of what was done in an organization, in the order of time. Rows go with history.
    async fn audit_log(
        &self,
        org: OrganizationId,
        range: AuditRange,
        page: PageRequest<AuditId>,
    ) -> Result<Page<AuditEntry>>;
}

/// How an actor is called on the log.
pub fn actor_name(actor: &Actor) -> String {
    match actor {
        Actor::Token(Some(id)) => id.to_string(),
        Actor::Token(None) => "token".into(),
        Actor::System => "system".into(),
    }
}

/// What the log says of an application.
pub fn of_application(application: &Application) -> Value {
    json!({ "uid": application.uid, "name": application.name })
}

/// What the log says of an endpoint.
pub fn of_endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "revision": endpoint.revision,
        "url": shown_url(&endpoint.url),
        "disabled": endpoint.disabled,
    })
}

/// What the log says of an event type that was changed.
pub fn of_event_type(event_type: &EventType) -> Value {
    json!({ "archived": event_type.archived })
}

/// What the log says of an organization.
pub fn of_organization(organization: &Organization) -> Value {
    json!({ "settings": organization.settings })
}

/// What the log says of a token that was made.
pub fn of_token(token: &Token) -> Value {
    json!({
        "name": token.name,
        "app": token.app,
        "scope": token.access.as_str(),
        "sessionId": token.session_id,
        "expiresAt": token.expires_at.to_string(),
    })
}

/// What the log says of a task.
pub fn of_task(task: &Task) -> Value {
    let target = task.kind.target();
    json!({
        "task": task.kind.name(),
        "appId": target.map(|(app, _)| app),
        "endpointId": target.map(|(_, endpoint)| endpoint),
    })
}

/// How the log calls what was done to a task.
pub const fn steering(wish: Wish) -> &'static str {
    match wish {
        Wish::Pause => "background_task.pause",
        Wish::Resume => "background_task.resume",
        Wish::Cancel => "background_task.cancel",
    }
}

/// What a revocation is of, and what the log says of it. `token` is the one that is meant, where one is
/// and it has an id.
pub fn of_revocation(token: Option<TokenId>, revocation: &Revocation) -> (String, Value) {
    match &revocation.what {
        Revoked::Token(_) => {
            (token.map_or_else(|| "token".to_owned(), |id| id.to_string()), json!({}))
        }
        Revoked::Application(_, app) => {
            (app.to_string(), json!({ "issuedUntil": revocation.issued_until.to_string() }))
        }
        Revoked::Session(_, app, session) => {
            let issued_until = revocation.issued_until.to_string();
            (app.to_string(), json!({ "sessionId": session, "issuedUntil": issued_until }))
        }
    }
}
