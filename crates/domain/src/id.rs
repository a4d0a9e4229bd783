//! Typed ids: a prefix and a KSUID of 20 bytes (32-bit seconds since 2014-05-13, one byte of 4 ms
//! steps, 15 random bytes) in 27 base62 characters. Byte order, text order and time order agree.

use std::{fmt, str::FromStr};

use svix_ksuid::{KsuidLike, KsuidMs};

use crate::{clock::Timestamp, entropy::Entropy};

/// Seconds between the Unix epoch and the KSUID epoch (2014-05-13T16:53:20Z).
const KSUID_EPOCH_SECS: i64 = 1_400_000_000;

/// The text is not an id of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {prefix}_ and 27 letters and digits")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// What all ids can do; lets pages and paths be written once.
pub trait Id: Copy + Ord + fmt::Display + FromStr<Err = InvalidId> + Send + Sync + 'static {
    /// The text before the underscore.
    const PREFIX: &'static str;
    /// From its 20 bytes.
    fn from_raw(raw: [u8; 20]) -> Self;
    /// Its 20 bytes.
    fn raw(&self) -> &[u8; 20];
}

fn time_bytes(at: Timestamp) -> [u8; 5] {
    let micros = at.as_micros() - KSUID_EPOCH_SECS * 1_000_000;
    let micros = micros.clamp(0, i64::from(u32::MAX) * 1_000_000 + 999_999);
    let secs = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX).to_be_bytes();
    let step = u8::try_from(micros % 1_000_000 / 4_000).unwrap_or(u8::MAX);
    [secs[0], secs[1], secs[2], secs[3], step]
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 20]);

        impl $name {
            /// A new id of the moment `now`.
            pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
                let mut raw = [0; 20];
                raw[..5].copy_from_slice(&time_bytes(now));
                entropy.fill(&mut raw[5..]);
                Self(raw)
            }

            /// The smallest id of the moment `at`: a bound for searches by time, exact to 4 ms.
            pub fn floor(at: Timestamp) -> Self {
                let mut raw = [0; 20];
                raw[..5].copy_from_slice(&time_bytes(at));
                Self(raw)
            }

            /// When it was made, exact to 4 ms.
            pub fn timestamp(&self) -> Timestamp {
                let secs = u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]);
                Timestamp::from_micros(
                    (i64::from(secs) + KSUID_EPOCH_SECS) * 1_000_000 + i64::from(self.0[4]) * 4_000,
                )
            }

            /// From its 20 bytes.
            pub const fn from_raw(raw: [u8; 20]) -> Self {
                Self(raw)
            }

            /// Its 20 bytes.
            pub const fn raw(&self) -> &[u8; 20] {
                &self.0
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn from_raw(raw: [u8; 20]) -> Self {
                Self(raw)
            }

            fn raw(&self) -> &[u8; 20] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(&KsuidMs::from_bytes(self.0).to_base62())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { prefix: $prefix };
                let tail = text.strip_prefix(concat!($prefix, "_")).ok_or(invalid)?;
                if tail.len() != 27 || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return Err(invalid);
                }
                let ksuid = KsuidMs::from_base62(tail).map_err(|_| invalid)?;
                let raw: [u8; 20] = ksuid.bytes().as_slice().try_into().map_err(|_| invalid)?;
                // 27 digits hold a little more than 20 bytes: what would wrap is refused.
                let id = Self(raw);
                if KsuidMs::from_bytes(raw).to_base62() == tail { Ok(id) } else { Err(invalid) }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An environment of one product.
    OrganizationId "org";
    /// One customer of the product: a tenant.
    ApplicationId "app";
    /// Where a customer listens.
    EndpointId "ep";
    /// One event, as it was accepted.
    MessageId "msg";
    /// One message to one endpoint.
    DeliveryId "msgep";
    /// One try of a delivery.
    AttemptId "atmpt";
    /// A background task.
    TaskId "qtask";
    /// A token, so that it can be revoked.
    TokenId "key";
    /// A signing secret; what an attempt says it was signed with.
    SecretId "sec";
    /// A request that a source refused.
    RejectedId "log";
    /// Something that was done, on the audit log.
    AuditId "audit";
    /// A rule that fires alerts.
    AlertRuleId "arule";
    /// A rule that fired.
    AlertId "alert";
}

impl OrganizationId {
    /// The default organization of a token made without one.
    pub const DEFAULT: &'static str = "org_23rb8YdGqMT0qIzpgGwdXfHirMu";

    /// The organization whose applications (uid = a tenant's organization id) receive operational
    /// webhooks.
    pub fn management() -> Self {
        "org_00000000000SvixManagement00".parse().expect("a valid id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn round_trips_and_sorts_by_time() {
        let entropy = SeededEntropy::new(1);
        let mut last = String::new();
        for i in 0..500 {
            let at = Timestamp::from_micros(1_790_000_000_000_000 + i * 4_000);
            let id = MessageId::generate(at, &entropy);
            assert_eq!(id.timestamp(), at);
            let text = id.to_string();
            assert_eq!(text.len(), 31);
            assert_eq!(text.parse(), Ok(id));
            assert!(text > last, "{text} after {last}");
            last = text;
        }
    }

    #[test]
    fn refuses_what_is_no_id() {
        for text in [
            "",
            "msg_",
            "app_23rb8YdGqMT0qIzpgGwdXfHirMu",
            "msg_23rb8YdGqMT0qIzpgGwdXfHirM",
            "msg_23rb8YdGqMT0qIzpgGwdXfHirMuu",
            "msg_23rb8YdGqMT0qIzpgGwdXfHir-u",
            "msg_zzzzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
        OrganizationId::management();
    }
}
