//! Reading a body: all of it, in bounds of bytes and time, and of the bytes of all bodies together.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::answer::Refusal;

/// What room is counted in, in bytes.
const UNIT: usize = 4 * 1024;

/// Room for the bodies that are under way.
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Room for a body: as much as it says that it has, or as much as it may have. There is none for
    /// it if others take all there is.
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        self.0.clone().try_acquire_many_owned(units).map_err(|_| Refusal::Unavailable)
    }

    /// Reads a body, of at most `most` bytes. It has its room until the permit is dropped.
    pub(crate) async fn read(
        &self,
        body: Body,
        most: usize,
        within: Duration,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
        let hint = body.size_hint();
        if hint.lower() > most as u64 {
            return Err(Refusal::TooLarge);
        }
        if body.is_end_stream() {
            return Ok((Bytes::new(), None));
        }
        let expected = hint.exact().map_or(most, |bytes| usize::try_from(bytes).unwrap_or(most));
        let room = self.take(expected)?;
        let whole = match timeout(within, Limited::new(body, most).collect()).await {
            Ok(Ok(whole)) => whole.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge),
            Ok(Err(_)) => return Err(Refusal::Broken),
            Err(_) => return Err(Refusal::Slow),
        };
        Ok((whole, Some(room)))
    }
}
