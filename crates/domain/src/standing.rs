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

impl Status {
    /// The one that the API counts as this; `None` if there is none.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Success,
            1 => Self::Pending,
            2 => Self::Fail,
            3 => Self::Sending,
            4 => Self::Canceled,
            _ => return None,
        })
    }
}

/// The classes of status codes that messages and attempts are asked for; 0 is no answer.
pub const STATUS_CODE_CLASSES: [u16; 6] = [0, 100, 200, 300, 400, 500];
