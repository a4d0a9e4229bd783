//! When tokens were last used: kept in memory beside what is known of them, and written from there from
//! time to time, many at once. A request never waits for it; what a node has not written when it ends is
//! forgotten.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::clock::Timestamp;
use store::{
    StoreError, outage,
    tokens::{MOST_USES, TokenUse},
};

use super::{Auth, Caller};
use crate::state::ApiState;

/// How often uses are written: each token's once in this time at most.
const EVERY: Duration = Duration::from_secs(60);
/// Before there was any.
const NEVER: i64 = i64::MIN;

/// A token that was verified.
#[derive(Clone)]
pub(super) struct Verified {
    /// Whose it is.
    pub(super) caller: Arc<Caller>,
    /// When it was last used, in microseconds.
    pub(super) used: Arc<AtomicI64>,
    /// Which use was written last.
    noted: i64,
}

impl Verified {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller: Arc::new(caller), used: Arc::new(AtomicI64::new(NEVER)), noted: NEVER }
    }
}

impl Auth {
    /// Uses of tokens of ours that are not written yet, with the tokens' hashes.
    fn uses(&self) -> Vec<([u8; 32], TokenUse)> {
        let verified = self.verified.lock();
        let uses = verified.iter().filter_map(|(hash, known)| {
            let used = known.used.load(Ordering::Relaxed);
            let id = known.caller.token.filter(|_| used > known.noted)?;
            let (org, at) = (known.caller.org, Timestamp::from_micros(used));
            Some((*hash, TokenUse { org, id, at }))
        });
        uses.collect()
    }

    /// These are written.
    fn noted(&self, uses: &[([u8; 32], TokenUse)]) {
        let mut verified = self.verified.lock();
        for (hash, used) in uses {
            if let Some(known) = verified.peek_mut(hash) {
                known.noted = used.at.as_micros();
            }
        }
    }
}

impl ApiState {
    /// Writes when tokens were last used, as far as that is not written yet.
    pub async fn note_token_uses(&self) -> Result<(), StoreError> {
        for some in self.auth.uses().chunks(MOST_USES) {
            let uses = some.iter().map(|(_, used)| *used).collect();
            self.store.note_token_uses(uses).await?;
            self.auth.noted(some);
        }
        Ok(())
    }

    /// Does so once a minute, for ever. What cannot be written is written the next time.
    pub async fn keep_noting_token_uses(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.note_token_uses().await
                && outage::may_log(self.clock.now())
            {
                tracing::warn!(%error, "when tokens were last used is not written for now");
            }
        }
    }
}
