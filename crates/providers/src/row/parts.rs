use serde::{Deserialize, Serialize};

/// The answer to an event that was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    /// 200 to 299.
    #[serde(default = "ok")]
    pub status: u16,
    /// Of the body, if there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// At most 1 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

fn ok() -> u16 {
    200
}

impl Default for Ack {
    fn default() -> Self {
        Self { status: 200, content_type: String::new(), body: String::new() }
    }
}

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// JSON, under any content type.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
    /// XML, SOAP included.
    Xml,
    /// A JWS or other text.
    Text,
    /// Nothing.
    Empty,
    /// Anything.
    Any,
}

/// Something that a source sets beside its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What it is, for people.
    pub about: String,
    /// What holds when it is not set. Without one it must be set before anything is genuine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether it is not for everyone's eyes: it is not shown again once it is set.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub hidden: bool,
    /// Whether it is the secret as well: a source that sets it needs no other.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub secret: bool,
}
