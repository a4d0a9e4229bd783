//! What applications are made of.

use domain::{
    application::{Application, Metadata},
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::{InvalidName, Uid},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    body::{self, Patch},
    error::{ApiError, Faults},
    routes::check,
};

/// An application as it is asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationIn {
    /// For people.
    #[schema(min_length = 1, example = "My first application")]
    pub name: String,
    /// The caller's own id of it.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    pub uid: Option<String>,
    /// The caller's labels; at most 4,096 bytes as JSON.
    #[serde(default, deserialize_with = "body::null_is_default")]
    pub metadata: Metadata,
    /// Deprecated: use `throttleRate`.
    #[schema(minimum = 1, deprecated)]
    pub rate_limit: Option<u16>,
    /// Most attempts per second over all of its endpoints.
    #[schema(minimum = 1)]
    pub throttle_rate: Option<u16>,
}

/// What is changed of an application.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationPatch {
    /// For people.
    #[serde(default, deserialize_with = "body::not_null")]
    name: Option<String>,
    /// The caller's own id of it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    uid: Patch<String>,
    /// The caller's labels, replaced as a whole.
    #[serde(default, deserialize_with = "body::not_null")]
    metadata: Option<Metadata>,
    /// Deprecated: use `throttleRate`.
    #[serde(default)]
    #[schema(value_type = Option<u16>, deprecated)]
    rate_limit: Patch<u16>,
    /// Most attempts per second; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<u16>)]
    throttle_rate: Patch<u16>,
}

/// An application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationOut {
    /// The caller's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub uid: Option<Uid>,
    /// For people.
    pub name: String,
    /// Deprecated: see `throttleRate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(deprecated)]
    pub rate_limit: Option<u16>,
    /// Most attempts per second over all of its endpoints.
    pub throttle_rate: Option<u16>,
    /// Ours.
    #[schema(value_type = String, example = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: ApplicationId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// The caller's labels.
    pub metadata: Metadata,
}

impl From<Application> for ApplicationOut {
    fn from(app: Application) -> Self {
        Self {
            uid: app.uid,
            name: app.name,
            rate_limit: app.throttle_rate,
            throttle_rate: app.throttle_rate,
            id: app.id,
            created_at: app.created_at,
            updated_at: app.updated_at,
            metadata: app.metadata,
        }
    }
}

/// What an application is made of, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    name: String,
    /// The caller's own id of it.
    pub uid: Option<Uid>,
    metadata: Metadata,
    throttle_rate: Option<u16>,
}

impl ApplicationIn {
    /// Its values, checked, where it stands in another body.
    pub fn check_in_line(self) -> Result<Checked, ApiError> {
        self.check().map_err(|error| error.within("application"))
    }

    /// Its values, checked.
    pub fn check(self) -> Result<Checked, ApiError> {
        let mut faults = Faults::default();
        check_name(&mut faults, &self.name);
        check::metadata(&mut faults, &self.metadata);
        check::rate(&mut faults, self.rate_limit, self.throttle_rate);
        let uid = self.uid.map(|uid| faults.check("uid", parse_uid(&uid)));
        faults.finish()?;
        Ok(Checked {
            name: self.name,
            uid: uid.flatten(),
            metadata: self.metadata,
            throttle_rate: self.throttle_rate.or(self.rate_limit),
        })
    }
}

impl Checked {
    /// The application itself.
    pub fn application(
        self,
        org: OrganizationId,
        (id, now): (ApplicationId, Timestamp),
    ) -> Application {
        Application {
            org,
            id,
            uid: self.uid,
            name: self.name,
            throttle_rate: self.throttle_rate,
            metadata: self.metadata,
            source: None,
            created_at: now,
            updated_at: now,
        }
    }
}

fn parse_uid(uid: &str) -> Result<Uid, InvalidName> {
    Uid::parse_for::<ApplicationId>(uid)
}

fn check_name(faults: &mut Faults, name: &str) {
    if name.is_empty() {
        faults.body("name", "must not be empty");
    }
    check::text(faults, "name", name);
}

/// A change of an application, checked.
pub struct Change {
    patch: ApplicationPatch,
    uid: Patch<Uid>,
}

impl ApplicationPatch {
    /// Its values, checked.
    pub fn check(mut self) -> Result<Change, ApiError> {
        let mut faults = Faults::default();
        if let Some(name) = &self.name {
            check_name(&mut faults, name);
        }
        if let Some(metadata) = &self.metadata {
            check::metadata(&mut faults, metadata);
        }
        check::patched_rates(&mut faults, self.rate_limit, self.throttle_rate);
        let uid = std::mem::take(&mut self.uid).try_map(|uid| parse_uid(&uid));
        let uid = faults.check("uid", uid).unwrap_or_default();
        faults.finish()?;
        Ok(Change { patch: self, uid })
    }
}

impl Change {
    /// Makes it.
    pub fn apply(&self, app: &mut Application) {
        if let Some(name) = &self.patch.name {
            app.name.clone_from(name);
        }
        if let Some(metadata) = &self.patch.metadata {
            app.metadata.clone_from(metadata);
        }
        self.uid.clone().apply(&mut app.uid);
        self.patch.rate_limit.apply(&mut app.throttle_rate);
        self.patch.throttle_rate.apply(&mut app.throttle_rate);
    }
}

impl Checked {
    /// Replaces what an application is made of.
    pub fn replace(&self, app: &mut Application) {
        app.name.clone_from(&self.name);
        app.uid.clone_from(&self.uid);
        app.metadata.clone_from(&self.metadata);
        app.throttle_rate = self.throttle_rate;
    }
}
