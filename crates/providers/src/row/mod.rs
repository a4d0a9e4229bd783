//! One provider as it is written: a row of the catalogue (TOML), or a custom provider (JSON). The
//! same types are read by the build script, so that a wrong row fails the build, and at run time.
//!
//! [`Row`] is the text; [`Row::parse`] turns it into [`Rules`], which the engine follows.

mod challenge;
mod check;
mod error;
mod parts;
mod places;
mod rules;
mod schemes;
mod settings;
mod template;
mod words;

pub use challenge::Challenge;
pub use error::RowError;
pub use parts::{Ack, Content, Setting};
pub use places::{Place, Places, Pointer};
pub use rules::{JwtRule, KeySource, Mac, Rule, Rules, Shape, SignedRule, TimeRule};
pub use template::{Expression, Piece, Template};
pub use words::{
    Algorithm, Category, Code, Dedupe, Encoding, Evidence, Hash, JwtAlgorithm, KeyForm, MacKind,
    Scheme, TimeUnit, UrlVariant,
};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A provider as data. What a field may hold, and what it means together with others, is in
/// `docs/adding/provider.md`; [`Row::parse`] holds to it.
///
/// Texts that name a place in a request are *places*: `h:Name` a header, `q:name` a query parameter,
/// `f:name` a form field, `j:/pointer` a value in a JSON body (RFC 6901), `c:/pointer` a claim of a
/// verified token, `xml:Element/Child` an element's text, `sig:name` a field of the signature header,
/// `key:name` the first member of a JSON object that is not `name`. `a|b` means "or else".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What sources and commands call it: 1 to 64 of `a-z 0-9 -`.
    pub id: String,
    /// Other ids that lead to this row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What people call it, at most 100 characters.
    #[serde(default)]
    pub name: String,
    /// Where it is listed.
    #[serde(default)]
    pub category: Category,
    /// The sender's own page about its webhooks, an `https` address.
    #[serde(default)]
    pub docs: String,
    /// Where the facts come from.
    #[serde(default)]
    pub evidence: Evidence,
    /// How a request is told to be genuine.
    pub scheme: Scheme,
    /// For scheme `code`: which of the named verifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Places of the signature; all that are there count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What stands before the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Whether the prefix may be missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub prefix_optional: bool,
    /// What separates whole sets of items, each with its own timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// What separates the items of a signature header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// What separates an item's name from its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<String>,
    /// The name of items that are signatures; `*` is any. Others are fields (`sig:name`), and items
    /// of other versions are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Without `kv`: which item is the first signature, from 0; those before it are `sig:0`, ….
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first: usize,
    /// How the signature is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The hash of the HMAC, or the plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    /// `hmac`, or `hash` if the secret is part of the hashed bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mac: MacKind,
    /// For scheme `asym`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The signed bytes: text with `{body}`, `{ts}`, `{id}`, `{url}`, `{method}`, `{secret}`,
    /// `{form_sorted_kv}` and any place in braces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// How the key is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key: KeyForm,
    /// The place of `{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The place of `{ts}`, which stands for the text as received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// How the timestamp is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timestamp_unit: TimeUnit,
    /// How far the timestamp may be from now, before or after, in seconds: 1 to 86,400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance_s: Option<u32>,
    /// Other spellings of the URL that are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub url_variants: Vec<UrlVariant>,
    /// The query parameter that holds the hex SHA-256 of a body which is not a form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_hash_query: Option<String>,
    /// Scheme `token`: places of the token. Scheme `jwt`: places of the JWS, or `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Scheme `jwt`: which algorithms are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<JwtAlgorithm>,
    /// Scheme `jwt` with key `jwks`: where the keys are. Without it they are given as the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Claims that must be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
    /// How long ago the token may have been issued, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u32>,
    /// The claim that holds the SHA-256 of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_claim: Option<String>,
    /// How that claim is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_claim_encoding: Option<Encoding>,
    /// The claim that holds the hash of method, path and query (Atlassian's `qsh`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_claim: Option<String>,
    /// The event's id: places, or text with places in braces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Whether the event id is among what the signature covers. `false` where it is not: whoever can
    /// repeat a genuine request can give it another id.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub event_id_signed: bool,
    /// The event's type, written like the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What tells duplicates when there is no event id. Two equal pings are two events unless this
    /// says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// What the sender asks to prove that we are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// The answer to an event.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ack: Ack,
    /// What bodies hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Content>,
    /// What a source must or may set beside its secrets: `{setting:name}` in the texts above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Setting>,
    /// What whoever sets it up should know.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

fn yes() -> bool {
    true
}

fn is_true(value: &bool) -> bool {
    *value
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
