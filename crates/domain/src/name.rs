//! Names that callers choose: uids, event types, channels, tags.

use std::{fmt, str::FromStr, sync::Arc};

use crate::id::Id;

/// Longest uid, event id, event type, channel or feature flag, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 128;

/// Why a name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Empty or too long.
    #[error("must be 1 to {max} characters long")]
    Length {
        /// The most that is allowed.
        max: usize,
    },
    /// A character that is not allowed.
    #[error("must match `{pattern}`")]
    Characters {
        /// The characters that are, as a regular expression.
        pattern: &'static str,
    },
    /// A uid that reads like an id.
    #[error("must not start with `{prefix}_`: that is what an id looks like")]
    LooksLikeId {
        /// The prefix of the ids of this resource.
        prefix: &'static str,
    },
}

fn check(text: &str, max: usize, extra: &[u8], pattern: &'static str) -> Result<(), InvalidName> {
    if text.is_empty() || text.len() > max {
        return Err(InvalidName::Length { max });
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || extra.contains(&b);
    if text.bytes().all(allowed) { Ok(()) } else { Err(InvalidName::Characters { pattern }) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($max:expr, $extra:expr, $pattern:expr);)*) => {$(
        $(#[$doc])*
        ///
        /// Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text, $max, $extra, $pattern)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
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

names! {
    /// A caller's own id of an application or endpoint, or the `eventId` of a message.
    Uid(MAX_NAME_BYTES, b"-_.", r"^[a-zA-Z0-9\-_.]+$");
    /// The name of an event type.
    EventTypeName(MAX_NAME_BYTES, b"-_.", r"^[a-zA-Z0-9\-_.]+$");
    /// A channel: a second dimension to subscribe by.
    Channel(MAX_NAME_BYTES, b"-_.:+", r"^[a-zA-Z0-9\-_.:+]+$");
    /// A feature flag that opens event types to a portal token.
    FeatureFlag(MAX_NAME_BYTES, b"-_.", r"^[a-zA-Z0-9\-_.]+$");
    /// A label of a message, to search by.
    Tag(MAX_TAG_BYTES, br"-_./\#", r"^[a-zA-Z0-9\-_./\\#]+$");
}

impl Uid {
    /// Parses the uid of a resource whose ids are `I`: it must not look like one of them.
    pub fn parse_for<I: Id>(text: &str) -> Result<Self, InvalidName> {
        let looks_like_id = text.strip_prefix(I::PREFIX).is_some_and(|rest| rest.starts_with('_'));
        if looks_like_id {
            return Err(InvalidName::LooksLikeId { prefix: I::PREFIX });
        }
        text.parse()
    }
}

/// What stands in a path: an id, or the caller's own uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ref<I> {
    /// Our id.
    Id(I),
    /// The caller's.
    Uid(Uid),
}

impl<I: Id> FromStr for Ref<I> {
    type Err = InvalidName;

    /// An id if it is one, else a uid.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.parse::<I>() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => text.parse().map(Self::Uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ApplicationId, MessageId};

    #[test]
    fn uids() {
        for good in ["a", "A-b_c.9", &"x".repeat(256)] {
            assert!(Uid::parse_for::<ApplicationId>(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a:b", "ü", "app_x", &"x".repeat(257)] {
            assert!(Uid::parse_for::<ApplicationId>(bad).is_err(), "{bad}");
        }
        assert!(Uid::parse_for::<MessageId>("app_x").is_ok());
        assert!(Uid::parse_for::<ApplicationId>("application").is_ok());
    }

    #[test]
    fn tags_and_channels_allow_more() {
        assert!(r"a/b\c#d".parse::<Tag>().is_ok());
        assert!("a:b+c".parse::<Channel>().is_ok());
        assert!("a:b".parse::<EventTypeName>().is_err());
    }
}
