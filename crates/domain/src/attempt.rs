//! One try of a delivery. It never changes.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    delivery::Trigger,
    id::{ApplicationId, AttemptId, DeliveryId, EndpointId, MessageId, OrganizationId, SecretId},
};

/// Most bytes of a response that are kept.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// How an attempt ended, in classes that decide and that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum OutcomeClass {
    /// A 2xx.
    Success = 0,
    /// Another status.
    Status = 1,
    /// No whole answer within the deadline; nothing of the request had left.
    Timeout = 2,
    /// The request left in part or whole and no whole answer came (timeout or reset): the receiver
    /// may have acted on it.
    Ambiguous = 3,
    /// The name did not resolve.
    Dns = 4,
    /// No connection.
    Connect = 5,
    /// No TLS session.
    Tls = 6,
    /// The answer was not HTTP, or over a limit.
    Protocol = 7,
    /// The address is one we do not send to.
    Blocked = 8,
    /// Could not be sent at all: our own fault or a bad setting of the endpoint.
    Invalid = 9,
}

impl OutcomeClass {
    /// For metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::Ambiguous => "ambiguous",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Blocked => "blocked",
            Self::Invalid => "invalid",
        }
    }

    /// From what is stored; `None` if it is of a newer version.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::Status,
            2 => Self::Timeout,
            3 => Self::Ambiguous,
            4 => Self::Dns,
            5 => Self::Connect,
            6 => Self::Tls,
            7 => Self::Protocol,
            8 => Self::Blocked,
            9 => Self::Invalid,
            _ => return None,
        })
    }
}

/// What came of one try: what a destination reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its class.
    pub class: OutcomeClass,
    /// The HTTP status, where there was one.
    pub status_code: Option<u16>,
    /// The first [`MAX_RESPONSE_BYTES`] of the answer, or, without one, what went wrong in plain
    /// words.
    pub response: Bytes,
    /// From the start of the attempt until its end.
    pub duration: Duration,
    /// How long the receiver asked us to wait.
    pub retry_after: Option<Duration>,
    /// Whether it ran into the deadline (class `Timeout` or `Ambiguous`).
    pub timed_out: bool,
}

/// What is kept of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Time-ordered.
    pub id: AttemptId,
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
    /// Where to.
    pub endpoint: EndpointId,
    /// What.
    pub message: MessageId,
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// The how-manieth try of its delivery, from 1.
    pub number: u16,
    /// Why it was made.
    pub trigger: Trigger,
    /// Where it was sent, credentials hidden.
    pub url: String,
    /// What came of it.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: Timestamp,
    /// The endpoint's revision it was made with.
    pub endpoint_revision: u32,
    /// The secrets it was signed with.
    pub secrets: Vec<SecretId>,
    /// First 16 bytes of the SHA-256 of the body sent.
    pub body_hash: [u8; 16],
    /// Its delivery had moved on when this outcome came: it changed no state.
    pub superseded: bool,
}
