//! What other nodes revoke.

use std::time::Duration;

use store::{StoreError, outage};
use tokio::sync::Notify;

use crate::state::ApiState;

/// How long what another node revoked is not known here at most, besides the time that reading takes.
const EVERY: Duration = Duration::from_secs(1);

impl ApiState {
    /// Takes all that is stored by now as revoked into account. What is known stays, and stays if the
    /// store does not answer.
    pub async fn refresh_revocations(&self) -> Result<(), StoreError> {
        let read = async {
            // Before it is read: what is loaded after this may know of more.
            let loads = self.publisher.catalogues().organization_loads();
            let now = self.clock.now();
            self.auth.revoke(self.store.revocations(now).await?, now);
            self.auth.knows(loads);
            Ok(())
        };
        self.revocation_load.join(|| None, read).await
    }

    /// Keeps up with what other nodes revoke, for ever: every second, and whenever there is a `hint`. Of
    /// a store that is not shared there is nothing to keep up with.
    pub async fn watch_revocations(&self, hint: &Notify) {
        if !self.store.is_shared() {
            return;
        }
        let mut failing = false;
        loop {
            let read = self.refresh_revocations().await;
            if let (Err(error), false) = (&read, failing)
                && outage::may_log(self.clock.now())
            {
                tracing::warn!(%error, "what other nodes revoke is not known for now");
            }
            failing = read.is_err();
            tokio::select! {
                () = hint.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}
