use domain::clock::Timestamp;

use crate::keys::KeyUrl;

/// Whether a request is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Genuine(Genuine),
    /// It is not, or nothing says so.
    Refused(Reason),
    /// Cannot be said without this key: fetch it (its host is pinned by the provider), add it to the
    /// [`Keys`](crate::Keys), and ask again.
    NeedsKey(KeyUrl),
}

/// What is known about a genuine request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// Which of the secrets it was, as an index; none if the provider needs none.
    pub secret: Option<usize>,
    /// When the sender says that it was sent, where that is covered by the signature.
    pub sent_at: Option<Timestamp>,
    /// The event's id, at most 256 bytes, where the provider has one.
    pub event_id: Option<String>,
    /// The event's type, at most 256 bytes, where the provider has one.
    pub event_type: Option<String>,
}

/// Why a request is refused. None of them tells what would have been right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The source lacks a setting that the provider needs.
    #[error("the source lacks a setting that this provider needs")]
    NotConfigured,
    /// There is no secret to verify with.
    #[error("the source has no secret")]
    NoSecret,
    /// No secret has the form that the provider's keys have.
    #[error("no secret has the form of this provider's keys")]
    UnusableSecret,
    /// There is no signature where it belongs.
    #[error("there is no signature where this provider puts it")]
    MissingSignature,
    /// The signature has not the form that the provider gives it.
    #[error("the signature has not the form that this provider gives it")]
    MalformedSignature,
    /// More signatures than anyone sends.
    #[error("more signatures than a genuine request has")]
    TooManySignatures,
    /// There is no timestamp.
    #[error("there is no timestamp where this provider puts it")]
    MissingTimestamp,
    /// The timestamp cannot be read.
    #[error("the timestamp cannot be read")]
    MalformedTimestamp,
    /// Genuine otherwise, and too old.
    #[error("signed {seconds} s ago, longer than the {tolerance} s that are tolerated")]
    TooOld {
        /// How long ago it was signed.
        seconds: i64,
        /// How long would have been tolerated.
        tolerance: u32,
    },
    /// Genuine otherwise, and from the future.
    #[error("signed {seconds} s in the future, more than the {tolerance} s that are tolerated")]
    TooNew {
        /// How far ahead it was signed.
        seconds: i64,
        /// How far would have been tolerated.
        tolerance: u32,
    },
    /// Something else that is signed is not there.
    #[error("a part of the request that this provider signs is not there")]
    MissingPart,
    /// The body is not what the provider sends.
    #[error("the body is not of the form that this provider sends")]
    MalformedBody,
    /// The signature belongs to something else: another body, secret, time or URL.
    #[error("no signature matches this request and these secrets")]
    Mismatch,
    /// The hash that the signature covers is another body's.
    #[error("the body is not the one whose hash is signed")]
    BodyHash,
    /// No token, password or bearer where it belongs.
    #[error("there is no token where this provider puts it")]
    MissingToken,
    /// The wrong one.
    #[error("the token is not the one that was agreed on")]
    WrongToken,
    /// Not a JSON Web Signature.
    #[error("the token is no JSON Web Signature")]
    MalformedToken,
    /// With an algorithm that is not accepted.
    #[error("signed with an algorithm that is not accepted from this provider")]
    Algorithm,
    /// The key that it names is not among those known.
    #[error("signed with a key that is not among the provider's keys")]
    UnknownKey,
    /// A key or certificate that is fetched cannot be read.
    #[error("the provider's key cannot be read")]
    UnusableKey,
    /// The key's address is not the provider's.
    #[error("the key is said to be at an address that is not the provider's")]
    ForeignKeyUrl,
    /// A claim, topic or issuer is another one.
    #[error("meant for, or sent by, someone else")]
    WrongClaim,
}

/// What a verifier found out, before the event's id and type are read.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    pub(crate) secret: Option<usize>,
    pub(crate) sent_at: Option<Timestamp>,
    /// Claims of a verified token.
    pub(crate) claims: Option<serde_json::Value>,
    /// The document that the body wraps, if that is where the event is.
    pub(crate) document: Option<Vec<u8>>,
}

/// Why there is no proof.
#[derive(Debug)]
pub(crate) enum Unproven {
    Refused(Reason),
    NeedsKey(KeyUrl),
}

impl From<Reason> for Unproven {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}
