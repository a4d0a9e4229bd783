//! How what was sent stands.

use serde::{Deserialize, Serialize};

/// How a delivery (or attempt) stands, as the API counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Status {
    /// It arrived.
    Success = 0,
    /// Not tried yet.
    Pending = 1,
    /// It failed for good (an attempt: it failed).
    Fail = 2,
    /// Tried, and will be again.
    Sending = 3,
    /// It ended because its endpoint or message is gone.
    Canceled = 4,
}
