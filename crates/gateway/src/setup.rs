//! Questions that a provider asks when it is set up.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use domain::{
    name::Ref,
    source::{Config, Source},
    token::Actor,
};
use providers::{Effect, Reply};

use crate::{
    answer::{self, Refusal},
    door::Gateway,
    source::Prepared,
};

impl Gateway {
    /// Answers a question, once what it asks for is done.
    pub(crate) async fn reply(&self, source: &Prepared, reply: Reply) -> Result<Response, Refusal> {
        match &reply.effect {
            Some(Effect::StoreSecret(secret)) => self.keep_secret(source, secret).await?,
            Some(Effect::CallUrl(url)) if !self.ring.call(url).await => {
                return Err(Refusal::Unavailable);
            }
            Some(Effect::CallUrl(_)) | None => {}
        }
        Ok(answer::reply(&reply))
    }

    /// Keeps the secret that a provider sends when it is set up. A source that has one keeps it: the
    /// question is not signed.
    async fn keep_secret(&self, source: &Prepared, secret: &str) -> Result<(), Refusal> {
        if !source.secrets.is_empty() {
            return Ok(());
        }
        let unavailable = |_| Refusal::Unavailable;
        let by = Ref::Id(source.app);
        let found = self.store.application(source.org, &by).await.map_err(unavailable)?;
        let mut application = found.ok_or(Refusal::Unknown)?;
        let mut changed = Source::clone(application.source.as_ref().ok_or(Refusal::Unknown)?);
        if changed.sent_secret.is_some() {
            return Ok(());
        }
        changed.sent_secret = Some(Config::new(secret));
        application.source = Some(Arc::new(changed));
        let expected = application.updated_at;
        application.updated_at = self.clock.now().max(expected.plus(Duration::from_micros(1)));
        let written = self.store.update_application(&Actor::System, application, expected).await;
        match written.map_err(unavailable)? {
            Ok(()) => {
                self.publisher.catalogues().application_changed(source.org, source.app, None);
                Ok(())
            }
            // Somebody else has just changed it: the provider asks again.
            Err(_) => Err(Refusal::Unavailable),
        }
    }
}
