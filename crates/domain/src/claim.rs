//! What must happen once: a claim on a key, won by the first.

use aws_lc_rs::digest;

use crate::{
    id::{ApplicationId, OrganizationId},
    name::Uid,
};

/// What a claim is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ClaimKind {
    /// An `Idempotency-Key` of a request.
    IdempotencyKey = 0,
    /// A message's `eventId` in its application.
    EventId = 1,
}

/// The key of a claim: 16 bytes of the SHA-256 over kind, scope and the caller's text. The scope
/// holds organization and application, so tenants never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimKey(pub [u8; 16]);

impl ClaimKey {
    /// Hashes `parts`, each led by its length so that they cannot run into one another.
    pub fn new(kind: ClaimKind, parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&[kind as u8]);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(key)
    }

    /// The key of an event id, unique per application: also how a message is found by it.
    pub fn event_id(org: &OrganizationId, app: &ApplicationId, event_id: &Uid) -> Self {
        Self::new(ClaimKind::EventId, &[org.raw(), app.raw(), event_id.as_str().as_bytes()])
    }
}
