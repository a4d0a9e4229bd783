//! The message that a genuine request becomes.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use domain::{
    id::MessageId,
    message::{Body, Origin},
    name::{EventTypeName, MAX_NAME_BYTES, Uid},
};
use http::{HeaderMap, HeaderName, header};
use providers::Genuine;
use publish::Draft;

use crate::source::Prepared;

/// Most headers that go on, and most bytes of all of them.
const MOST_HEADERS: (usize, usize) = (32, 8 * 1024);
/// What is sent where the provider says nothing.
const UNTYPED: &str = "application/octet-stream";
/// Most bytes of a `content-type`.
const MAX_CONTENT_TYPE: usize = 256;

/// Headers that never go on: they are about the connection, are credentials, or are set anew.
const NEVER: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];
/// Nor any that begins like this: the names of our own signature.
const NEVER_BEGINNING: [&str; 3] = ["webhook-", "svix-", "x-forwarded-"];

/// Whether a header of a request may go on to endpoints.
pub fn may_go_on(name: &HeaderName) -> bool {
    !NEVER.contains(name) && !NEVER_BEGINNING.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// The content type of a request; `None` if what it says is none.
pub fn content_type(headers: &HeaderMap) -> Option<Arc<str>> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Some(UNTYPED.into()) };
    let text = value.to_str().ok()?.trim();
    let kind = text.split(';').next().unwrap_or_default();
    let named = kind.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.trim().is_empty());
    (text.len() <= MAX_CONTENT_TYPE && named).then(|| text.into())
}

/// Makes the message.
pub fn draft(
    source: &Prepared,
    genuine: &Genuine,
    content_type: Arc<str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Draft {
    let row = source.provider.row();
    let by_body = source.source.settings.dedupe_by_body.unwrap_or(row.dedupe.is_some());
    let event_id = match &genuine.event_id {
        Some(id) => Some(event_id(id)),
        None if by_body => Some(hashed("body", &body)),
        None => None,
    };
    let wanted = source.source.settings.forward_headers.as_deref();
    Draft {
        event_type: event_type(genuine.event_type.as_deref(), &row.id),
        event_id,
        event_id_window: Some(source.source.dedupe_window()),
        channels: Vec::new(),
        tags: Vec::new(),
        body: Body::new(body, content_type, going_on(headers, wanted, row)),
        deliver_at: None,
        retention: None,
        origin: Origin::Source,
        idempotency: None,
        only: None,
    }
}

/// An event's id as a uid. One that is none (other characters, too long, like an id of ours) is known by
/// its hash.
fn event_id(id: &str) -> Uid {
    Uid::parse_for::<MessageId>(id).unwrap_or_else(|_| hashed("id", id.as_bytes()))
}

fn hashed(what: &str, bytes: &[u8]) -> Uid {
    let hash = digest::digest(&digest::SHA256, bytes);
    let hex: String = hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{what}-sha256-{hex}").parse().expect("letters, digits and dashes")
}

/// The provider's name of the type, in the letters that an event type has. What has none is called like
/// the provider.
fn event_type(given: Option<&str>, provider: &str) -> EventTypeName {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let named =
        given.map(|text| text.chars().take(MAX_NAME_BYTES).map(allowed).collect::<String>());
    let named = named.and_then(|text| text.parse().ok());
    named.unwrap_or_else(|| provider.parse().expect("a provider's id is a name"))
}

/// The headers that go on: those that the source names, or else those that the provider's row reads the
/// event's id and type from.
fn going_on(
    headers: &HeaderMap,
    wanted: Option<&[String]>,
    row: &providers::row::Row,
) -> Vec<(Arc<str>, Arc<str>)> {
    let of_row = [&row.event_id, &row.event_type, &row.message_id];
    let places = of_row.into_iter().flatten().flat_map(|text| text.split('|'));
    let of_row: Vec<String> =
        places.filter_map(|place| place.trim().strip_prefix("h:")).map(str::to_owned).collect();
    let mut going = Vec::new();
    let mut bytes = 0;
    for name in wanted.unwrap_or(&of_row) {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        if !may_go_on(&name) {
            continue;
        }
        for value in headers.get_all(&name) {
            let Ok(value) = value.to_str() else { continue };
            bytes += name.as_str().len() + value.len();
            if going.len() >= MOST_HEADERS.0 || bytes > MOST_HEADERS.1 {
                return going;
            }
            going.push((Arc::from(name.as_str()), Arc::from(value)));
        }
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_ids_take_the_form_of_ours() {
        assert_eq!(event_type(Some("invoice.paid"), "stripe").as_str(), "invoice.paid");
        assert_eq!(event_type(Some("a b/c\u{e9}"), "x").as_str(), "a_b_c_");
        assert_eq!(event_type(Some(""), "x").as_str(), "x");
        assert_eq!(event_type(None, "x").as_str(), "x");
        assert_eq!(event_type(Some(&"y".repeat(999)), "x").as_str().len(), 256);
        assert_eq!(event_id("evt_1").as_str(), "evt_1");
        assert!(event_id("a/b").as_str().starts_with("id-sha256-"));
        assert_ne!(event_id("a/b"), event_id("a/c"));
        assert!(event_id("msg_1srOrx2ZWZBpBUvZwXKQmoEYga2").as_str().starts_with("id-sha256-"));
    }

    #[test]
    fn a_content_type_is_one_or_none() {
        let with = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(text));
            content_type(&headers)
        };
        assert_eq!(content_type(&HeaderMap::new()), Some(UNTYPED.into()));
        assert_eq!(with("text/xml; charset=utf-8"), Some("text/xml; charset=utf-8".into()));
        assert_eq!(with("xml"), None);
        assert_eq!(with("/"), None);
    }
}
