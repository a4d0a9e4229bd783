//! What messages are made of. A payload is never parsed here: its text is passed over, kept as a
//! slice of the request's body, and answered as it came.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::MessageId,
    message::{Body, Message, Origin},
    name::{Channel, EventTypeName, Tag, Uid},
};
use http::HeaderValue;
use publish::{Draft, DraftClaim};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    body,
    error::{ApiError, Faults},
    routes::{
        application::{ApplicationIn, Checked as CheckedApplication},
        check,
    },
};

/// Most channels of a message.
const MAX_CHANNELS: usize = 10;
/// Most tags of a message.
const MAX_TAGS: usize = 5;
/// How far ahead a delivery may be asked for.
const DELIVER_AHEAD: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(24 * 3_600));
/// How far clocks may be off: a caller that asks for exactly a minute gets it.
const CLOCK_SLACK: Duration = Duration::from_secs(5);
/// Longest content type, in bytes.
const MAX_CONTENT_TYPE_BYTES: usize = 256;

/// A message as it is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageIn)]
pub struct MessageIn<'a> {
    /// What kind of event.
    #[serde(borrow)]
    #[schema(value_type = String, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$", example = "user.signup")]
    event_type: Cow<'a, str>,
    /// What is delivered, to the byte: a JSON object.
    #[serde(borrow, alias = "data")]
    #[schema(value_type = Object)]
    payload: &'a RawValue,
    /// The caller's own id of the event; a second one with the same is refused.
    #[schema(min_length = 1, max_length = 256)]
    event_id: Option<String>,
    /// Only endpoints that share one, or name none, get it.
    #[schema(min_items = 1, max_items = 10)]
    channels: Option<Vec<String>>,
    /// To search by.
    #[schema(max_items = 5)]
    tags: Option<Vec<String>>,
    /// Not before then; 1 minute to 24 hours ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<Timestamp>,
    /// How long the payload is kept, in days.
    #[schema(minimum = 1, maximum = 90)]
    payload_retention_period: Option<i64>,
    /// How long the payload is kept, in hours; goes before days.
    #[schema(minimum = 1, maximum = 2160)]
    payload_retention_hours: Option<i64>,
    /// Made first, if the application that the path names is not there.
    application: Option<ApplicationIn>,
    /// What is done to the payload.
    transformations_params: Option<TransformationsParams>,
}

/// What is done to a payload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransformationsParams {
    /// Delivered in place of the payload, whatever it is.
    raw_payload: Option<String>,
    /// `content-type` of the raw payload.
    headers: Option<BTreeMap<String, String>>,
}

impl<'a> MessageIn<'a> {
    /// The payload's own text, to answer with; `None` if something else is delivered.
    pub fn echo(&self) -> Option<Payload<'a>> {
        let raw = self.transformations_params.as_ref().and_then(|p| p.raw_payload.as_ref());
        raw.is_none().then_some(Payload(Cow::Borrowed(self.payload)))
    }

    /// Its values, checked, and the application that is to be made first. `request` is what the
    /// payload's text lies in.
    pub fn draft(
        self,
        request: &Bytes,
        now: Timestamp,
        idempotency: Option<DraftClaim>,
    ) -> Result<(Draft, Option<CheckedApplication>), ApiError> {
        let mut faults = Faults::default();
        let event_type = faults.check("eventType", self.event_type.parse::<EventTypeName>());
        let event_id =
            self.event_id.and_then(|id| faults.check("eventId", Uid::parse_for::<MessageId>(&id)));
        let channels: Option<Vec<Channel>> = self
            .channels
            .and_then(|names| check::names(&mut faults, "channels", names, 1..=MAX_CHANNELS));
        let tags: Option<Vec<Tag>> =
            self.tags.and_then(|names| check::names(&mut faults, "tags", names, 0..=MAX_TAGS));
        if let Some(at) = self.deliver_at {
            let earliest = now.plus(DELIVER_AHEAD.0).minus(CLOCK_SLACK);
            if at < earliest || at > now.plus(DELIVER_AHEAD.1 + CLOCK_SLACK) {
                faults.body("deliverAt", "must be 1 minute to 24 hours ahead");
            }
        }
        let days =
            bounded(&mut faults, "payloadRetentionPeriod", self.payload_retention_period, 90);
        let hours =
            bounded(&mut faults, "payloadRetentionHours", self.payload_retention_hours, 2160);
        let text = self.payload.get();
        if !text.starts_with('{') {
            faults.body("payload", "must be a JSON object");
        } else if !body::is_shallow(text) {
            faults.body("payload", format!("nests deeper than {}", body::MAX_PAYLOAD_DEPTH));
        }
        let body = match self.transformations_params.map(|p| (p.raw_payload, p.headers)) {
            Some((Some(raw), headers)) => raw_body(&mut faults, raw, headers),
            _ => Body::json(own(request, text)),
        };
        faults.finish()?;
        let application = self.application.map(ApplicationIn::check_in_line).transpose()?;
        let draft = Draft {
            event_type: event_type.ok_or(ApiError::Internal)?,
            event_id,
            event_id_window: None,
            channels: channels.unwrap_or_default(),
            tags: tags.unwrap_or_default(),
            body,
            deliver_at: self.deliver_at,
            retention: hours
                .or(days.map(|days| days * 24))
                .map(|hours| Duration::from_secs(hours * 3_600)),
            origin: Origin::Api,
            idempotency,
            only: None,
        };
        Ok((draft, application))
    }
}

fn bounded(faults: &mut Faults, field: &'static str, value: Option<i64>, max: u64) -> Option<u64> {
    let value = value?;
    let checked = u64::try_from(value).ok().filter(|v| (1..=max).contains(v));
    if checked.is_none() {
        faults.body(field, format!("must be 1 to {max}"));
    }
    checked
}

/// Payloads up to this size are copied.
const COPIED_BYTES: usize = 16 * 1024;

/// A payload apart from its request: a slice of it would keep the whole of it, and the connection's
/// buffer, until the last attempt has ended. A large one that is most of its request stays a slice.
fn own(request: &Bytes, payload: &str) -> Bytes {
    let bytes = payload.as_bytes();
    if bytes.len() <= COPIED_BYTES || 2 * bytes.len() < request.len() {
        return Bytes::copy_from_slice(bytes);
    }
    request.slice_ref(bytes)
}

fn raw_body(faults: &mut Faults, raw: String, headers: Option<BTreeMap<String, String>>) -> Body {
    let mut body = Body::json(Bytes::from(raw));
    let content_type = headers
        .into_iter()
        .flatten()
        .find_map(|(name, value)| name.eq_ignore_ascii_case("content-type").then_some(value));
    if let Some(value) = content_type {
        if value.len() > MAX_CONTENT_TYPE_BYTES || HeaderValue::from_str(&value).is_err() {
            faults.body("transformationsParams", "not a content type");
        }
        body.content_type = value.into();
    }
    body
}

/// A payload as it is answered.
#[derive(Debug)]
pub struct Payload<'a>(Cow<'a, RawValue>);

impl Payload<'_> {
    /// An object that says `text`, which is not JSON itself.
    fn json(text: &str) -> Payload<'static> {
        let raw = RawValue::from_string(text.to_owned()).expect("a literal");
        Payload(Cow::Owned(raw))
    }

    /// Of a body, or of none: `{"expired": true}`. A body that is no JSON object is answered as the
    /// text that it is, in `rawPayload`.
    fn of(body: Option<&Body>) -> Payload<'_> {
        let Some(body) = body else { return Self::json(r#"{"expired":true}"#) };
        match serde_json::from_slice::<&RawValue>(&body.bytes) {
            Ok(raw) if raw.get().starts_with('{') => Payload(Cow::Borrowed(raw)),
            _ => {
                let text = String::from_utf8_lossy(&body.bytes);
                Self::json(&serde_json::json!({ "rawPayload": text }).to_string())
            }
        }
    }
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageOut)]
pub struct MessageOut<'a> {
    /// The caller's own id of the event.
    #[schema(value_type = Option<String>)]
    pub event_id: Option<&'a Uid>,
    /// What kind of event.
    #[schema(value_type = String)]
    pub event_type: &'a EventTypeName,
    /// What is delivered.
    #[schema(value_type = Object)]
    pub payload: Payload<'a>,
    /// Only endpoints that share one, or name none, get it.
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<&'a [Channel]>,
    /// Ours: the same in every delivery.
    #[schema(value_type = String, example = "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: MessageId,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// To search by.
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Option<&'a [Tag]>,
    /// Not before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deliver_at: Option<Timestamp>,
}

impl<'a> MessageOut<'a> {
    /// Of a message; without its payload that is `{}`.
    pub fn new(message: &'a Message, with_content: bool) -> Self {
        let payload =
            if with_content { Payload::of(message.body.as_ref()) } else { Payload::json("{}") };
        Self {
            event_id: message.event_id.as_ref(),
            event_type: &message.event_type,
            payload,
            channels: (!message.channels.is_empty()).then_some(&message.channels),
            id: message.id,
            timestamp: message.created_at,
            tags: (!message.tags.is_empty()).then_some(&message.tags),
            deliver_at: message.deliver_at,
        }
    }
}
