//! Requests that a source refused.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{
    id::{ApplicationId, OrganizationId, RejectedId},
    page::{Page, PageRequest},
};
use store::{
    Rejected, Result,
    history::Tenant,
    rejected::{MOST_REJECTED, RejectedRequest},
};

use crate::{MemoryStore, page::page, state::State};

impl State {
    fn rejected_of(
        &self,
        org: OrganizationId,
        app: ApplicationId,
    ) -> impl DoubleEndedIterator<Item = (RejectedId, &RejectedRequest)> {
        let of_app = self.rejected.iter().filter(move |((o, a, _), _)| (*o, *a) == (org, app));
        of_app.map(|((.., id), request)| (*id, request))
    }

    fn keep_rejected(&mut self, requests: Vec<RejectedRequest>) {
        let mut apps = BTreeSet::new();
        for request in requests {
            let RejectedRequest { org, app, id, .. } = request;
            if self.applications.contains_key(&(org, app)) {
                apps.insert((org, app));
                self.rejected.entry((org, app, id)).or_insert(request);
            }
        }
        for (org, app) in apps {
            let over = self.rejected_of(org, app).rev().skip(MOST_REJECTED);
            for id in over.map(|(id, _)| id).collect::<Vec<_>>() {
                self.rejected.remove(&(org, app, id));
            }
        }
    }
}

#[async_trait]
impl Rejected for MemoryStore {
    async fn keep_rejected(&self, requests: Vec<RejectedRequest>) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.faults.answers()?;
        inner.faults.has_room()?;
        inner.state.keep_rejected(requests);
        inner.faults.reply(())
    }

    async fn list_rejected(
        &self,
        tenant: Tenant,
        request: PageRequest<RejectedId>,
    ) -> Result<Page<RejectedRequest>> {
        self.act(|state| {
            page(&request, state.rejected_of(tenant.org, tenant.app)).map(RejectedRequest::clone)
        })
    }

    async fn rejected(&self, tenant: Tenant, id: RejectedId) -> Result<Option<RejectedRequest>> {
        self.act(|state| state.rejected.get(&(tenant.org, tenant.app, id)).cloned())
    }
}
