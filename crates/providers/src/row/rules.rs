//! A row, understood.

use std::collections::BTreeMap;

use super::{
    Algorithm, Challenge, Code, Encoding, Expression, Hash, JwtAlgorithm, KeyForm, Places,
    Template, TimeUnit, UrlVariant,
};

/// What the engine does for one provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How it tells a genuine request.
    pub rule: Rule,
    /// Where the event's id is.
    pub event_id: Option<Expression>,
    /// Where the event's type is.
    pub event_type: Option<Expression>,
    /// What the sender asks first.
    pub challenge: Option<Challenge>,
}

/// How a genuine request is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `hmac` and `asym`.
    Signed(Box<SignedRule>),
    /// `jwt`.
    Jwt(Box<JwtRule>),
    /// `token`: what stands there is the secret.
    Token(Places),
    /// `basic`.
    Basic,
    /// `bearer`.
    Bearer,
    /// `none`.
    Open,
    /// `code`.
    Code {
        /// Which.
        code: Code,
        /// How far its timestamp may be from now, in seconds, where it has one.
        tolerance_s: Option<u32>,
    },
}

/// A signature over a template.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedRule {
    /// Where it is.
    pub places: Places,
    /// How that text is taken apart.
    pub shape: Shape,
    /// How each signature is written.
    pub encoding: Encoding,
    /// How it is made.
    pub mac: Mac,
    /// Over what.
    pub template: Template,
    /// How the key is written.
    pub key: KeyForm,
    /// Where `{id}` is.
    pub message_id: Option<Places>,
    /// Where `{ts}` is.
    pub time: Option<TimeRule>,
    /// Spellings of the URL to try beside the one given.
    pub url_variants: Vec<UrlVariant>,
    /// The query parameter with the body's hash.
    pub body_hash_query: Option<String>,
}

/// How the text of a signature is taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What stands before it.
    pub prefix: Option<String>,
    /// Whether that may be missing.
    pub prefix_optional: bool,
    /// Between sets of items.
    pub groups: Option<String>,
    /// Between items.
    pub items: Option<String>,
    /// Between an item's name and value.
    pub kv: Option<String>,
    /// The name of signatures.
    pub version: Option<String>,
    /// Without names: the first item that is a signature.
    pub first: usize,
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    /// HMAC.
    Hmac(Hash),
    /// A plain hash with the secret among the bytes.
    Plain(Hash),
    /// With a key pair.
    Pair(Algorithm),
}

/// The timestamp of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRule {
    /// Where it is.
    pub places: Places,
    /// How it is written.
    pub unit: TimeUnit,
    /// How far from now it may be, in seconds; anything goes without one.
    pub tolerance_s: Option<u32>,
}

/// A JSON Web Signature.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtRule {
    /// Where it is; none if the body is the token.
    pub places: Option<Places>,
    /// Accepted algorithms, of one family: either shared secrets or key pairs.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Where the key comes from.
    pub key: KeySource,
    /// Claims that must have these values.
    pub claims: BTreeMap<String, String>,
    /// How old the token may be, in seconds.
    pub max_age_s: Option<u32>,
    /// The claim with the body's SHA-256, and how it is written.
    pub body_claim: Option<(String, Encoding)>,
    /// The claim with the hash of method, path and query.
    pub request_claim: Option<String>,
}

/// Where the key of a token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The secret is the shared key.
    Shared,
    /// The secret is a public key in PEM.
    Pem,
    /// A key set at this address, which the row pins; or given as the secret.
    Jwks(Option<String>),
}
