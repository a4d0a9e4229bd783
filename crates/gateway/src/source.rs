//! What is known of a source: its provider with its secrets, made ready once for each version of its
//! application.

use std::{num::NonZeroUsize, sync::Arc};

use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::Ref,
    source::{InboundToken, Source},
};
use lru::LruCache;
use parking_lot::Mutex;
use providers::{Provider, Secret};
use publish::{ApplicationCatalogue, Catalogues};
use store::StoreError;
use subtle::ConstantTimeEq;

/// Sources that are kept ready: those that were posted to last.
const READY: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// A source, ready to be posted to.
pub struct Prepared {
    /// The environment.
    pub org: OrganizationId,
    /// Its application.
    pub app: ApplicationId,
    /// As stored.
    pub source: Arc<Source>,
    /// Who posts.
    pub provider: Provider,
    /// What is verified with: the provider's own first, if it has sent one.
    pub secrets: Vec<Secret>,
    version: u64,
}

/// The sources that are in use.
pub struct Sources {
    catalogues: Arc<Catalogues>,
    ready: Mutex<LruCache<(OrganizationId, ApplicationId), Arc<Prepared>>>,
}

impl Sources {
    /// By this catalogue.
    pub fn new(catalogues: Arc<Catalogues>) -> Self {
        Self { catalogues, ready: Mutex::new(LruCache::new(READY)) }
    }

    /// The source that a token is good for. With `exact` as it is now, otherwise as far as it is known:
    /// where nodes share a store nobody is refused by that.
    pub async fn find(
        &self,
        token: &InboundToken,
        now: Timestamp,
        exact: bool,
    ) -> Result<Option<Arc<Prepared>>, StoreError> {
        let by = Ref::Id(token.app);
        let found = match exact {
            true => self.catalogues.application_now(token.org, &by).await?,
            false => self.catalogues.application(token.org, &by).await?,
        };
        let Some(found) = found else { return Ok(None) };
        let Some(source) = &found.application.source else { return Ok(None) };
        let good = source.tokens.iter().fold(false, |good, known| {
            let same = known.secret.as_str().as_bytes().ct_eq(token.secret.as_str().as_bytes());
            good | (bool::from(same) && known.is_good(now))
        });
        if !good || source.settings.disabled {
            return Ok(None);
        }
        Ok(self.prepare(&found, source))
    }

    fn prepare(&self, app: &ApplicationCatalogue, source: &Arc<Source>) -> Option<Arc<Prepared>> {
        let key = (app.application.org, app.application.id);
        let known =
            self.ready.lock().get(&key).filter(|known| known.version == app.version).cloned();
        if known.is_some() {
            return known;
        }
        // What was checked when it was written can be used: it fails only where an older release reads
        // what a newer one wrote.
        let config = serde_json::from_str(source.config.as_str()).ok()?;
        let configured = providers::source::configured(&source.kind, &config)
            .inspect_err(|error| {
                tracing::warn!(app = %key.1, %error, "a source cannot be used as it is stored");
            })
            .ok()?;
        let sent = source.sent_secret.as_ref().map(|sent| Secret::new(sent.as_str()));
        let prepared = Arc::new(Prepared {
            org: key.0,
            app: key.1,
            source: source.clone(),
            provider: configured.provider,
            secrets: sent.into_iter().chain(configured.secrets).collect(),
            version: app.version,
        });
        self.ready.lock().put(key, prepared.clone());
        Some(prepared)
    }
}
