//! Who sends webhooks, and how to tell their requests from anyone else's.

pub mod catalogue;
pub mod doctor;
pub mod row;
pub mod vectors;

mod body;
mod challenge;
mod code;
mod encoding;
mod keys;
mod moment;
mod provider;
mod request;
mod sample;
mod secret;
mod verdict;
mod verify;
mod view;

pub use challenge::{Effect, Reply};
pub use keys::{KeyKind, KeyUrl, Keys, LONGEST_KEY};
pub use provider::Provider;
pub use request::{LONGEST_HEADER, Request};
pub use row::RowError;
pub use sample::{Sample, SignError, SignedRequest};
pub use secret::Secret;
pub use verdict::{Genuine, Reason, Verdict};
