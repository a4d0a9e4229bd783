//! Sources: inbound URLs, each with what it receives and whom it passes that on to. A source is part of
//! an application of its own, so what the application's routes show of messages and attempts is shown of
//! what a source has received.

mod bodies;
mod endpoint;
mod endpoint_bodies;
mod endpoint_parts;
mod log;
mod settings;
mod source;
mod token;
mod transformation;
mod writes;

use std::{str::FromStr, sync::Arc};

use domain::{
    id::ApplicationId,
    name::{InvalidName, Ref, Uid},
    source::{SourceId, stored_uid},
};
use publish::ApplicationCatalogue;
use utoipa_axum::router::OpenApiRouter;

use crate::{auth::Caller, error::ApiError, state::ApiState};

/// What stands in a path for a source, as what its application is found by.
pub struct SourceRef(Ref<ApplicationId>);

impl FromStr for SourceRef {
    type Err = InvalidName;

    /// An id if it is one, else a uid.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.parse::<SourceId>() {
            Ok(id) => Ok(Self(Ref::Id(id.0))),
            Err(_) => {
                let uid: Uid = text.parse()?;
                stored_uid(&uid).map(|uid| Self(Ref::Uid(uid)))
            }
        }
    }
}

/// A source's application, not as it was before this call. Whoever calls is one of the organization.
async fn application_of(
    state: &ApiState,
    caller: &Caller,
    source: &SourceRef,
) -> Result<Arc<ApplicationCatalogue>, ApiError> {
    let found = state.publisher.catalogues().application_now(caller.org, &source.0).await?;
    found.filter(|app| app.application.source.is_some()).ok_or(ApiError::NOT_FOUND)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(source::router())
        .merge(token::router())
        .merge(endpoint::router())
        .merge(endpoint_parts::router())
        .merge(transformation::router())
        .merge(log::router())
}
