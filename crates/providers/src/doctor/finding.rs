use std::fmt;

use super::{BodyChange, SecretChange, UrlChange};
use crate::{Reason, Verdict};

/// What the doctor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Of the request as it is.
    pub verdict: Verdict,
    /// What was found, the likeliest first. Empty if the request is genuine.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong, or may be. Shown as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The signature fits another spelling of the body: somebody changed it on the way.
    Body(BodyChange),
    /// The signature fits if the secret is read otherwise.
    Secret {
        /// Which of the secrets given, from 0.
        index: usize,
        /// What has to be done with it.
        change: SecretChange,
    },
    /// The signature fits another spelling of the URL: that of the sender.
    Url(UrlChange),
    /// Everything fits but the time.
    Clock {
        /// How far the timestamp is from the verifier's clock, in seconds: positive if it is in the
        /// past.
        ago: i64,
        /// How far it may be.
        tolerance: u32,
    },
    /// The signature header is missing, and there is one that other providers use: their names.
    OtherProvider(Vec<String>),
    /// The body came compressed, and is not compressed here: the signature may be over other bytes.
    Decompressed,
    /// Why it is refused, where nothing that was tried helps.
    Refused(Reason),
    /// None of the secrets fits this request, however it is spelt: another secret, or a body that
    /// was changed in substance.
    NothingFits,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Genuine(_) => f.write_str("genuine"),
            Verdict::NeedsKey(key) => write!(f, "cannot be said without the key at {}", key.url),
            Verdict::Refused(_) => {
                f.write_str("not genuine")?;
                self.findings.iter().try_for_each(|finding| write!(f, "\n- {finding}"))
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(change) => write!(
                f,
                "the body was changed on the way: the signature fits it {change}; verify the bytes as \
                 received, before anything parses them"
            ),
            Self::Secret { index, change } => {
                write!(f, "secret {} is in the wrong form: it fits {change}", index + 1)
            }
            Self::Url(change) => write!(
                f,
                "the sender signed another URL: it fits {change}; set the public URL of the source"
            ),
            Self::Clock { ago, tolerance } => {
                let (by, when) = (ago.unsigned_abs(), if *ago > 0 { "ago" } else { "ahead" });
                write!(
                    f,
                    "the signature fits, but was made {by} s {when} by the verifier's clock, and \
                     {tolerance} s are tolerated: a late delivery, a replay, or a clock that is wrong"
                )
            }
            Self::OtherProvider(names) => {
                write!(f, "the request has the signature header of {}", names.join(", "))
            }
            Self::Decompressed => f.write_str(
                "the request says that its body is compressed, and the body is not: the signature \
                 may be over the compressed bytes",
            ),
            Self::Refused(reason) => write!(f, "{reason}"),
            Self::NothingFits => f.write_str(
                "the signature fits none of the secrets, however the request is spelt: another \
                 secret, or another body",
            ),
        }
    }
}
