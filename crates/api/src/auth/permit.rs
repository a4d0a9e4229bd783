//! Publishing as a caller whose token another node may have revoked.

use async_trait::async_trait;
use domain::{id::ApplicationId, name::Ref};
use publish::{Accepted, Draft, OrganizationCatalogue, Permit, PublishError, Rejected};
use store::StoreError;

use super::Caller;
use crate::{error::ApiError, state::ApiState};

/// A caller's right to publish.
struct OfCaller<'a> {
    state: &'a ApiState,
    caller: &'a Caller,
}

#[async_trait]
impl Permit for OfCaller<'_> {
    async fn still_holds(&self, organization: &OrganizationCatalogue) -> Result<bool, StoreError> {
        let Self { state, caller } = self;
        if state.auth.known() < organization.load {
            state.refresh_revocations().await?;
        }
        Ok(!state.auth.refuses(caller, state.clock.now()))
    }
}

impl ApiState {
    /// Accepts a caller's messages, each by itself: see [`publish::Publisher::publish`].
    pub async fn publish(
        &self,
        caller: &Caller,
        app: &Ref<ApplicationId>,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Result<Accepted, Rejected>>, PublishError> {
        let permit = OfCaller { state: self, caller };
        self.publisher.publish(caller.org, app, drafts, &permit).await
    }

    /// Accepts one.
    pub async fn publish_one(
        &self,
        caller: &Caller,
        app: &Ref<ApplicationId>,
        draft: Draft,
    ) -> Result<Accepted, ApiError> {
        let mut results = self.publish(caller, app, vec![draft]).await?;
        Ok(results.pop().ok_or(ApiError::Internal)??)
    }
}
