//! What a source does beyond what its provider says.

use domain::source::{Acknowledgement, BODY_BYTES, MAX_DEDUPE_WINDOW, SourceSettings};
use http::HeaderValue;
use url::Url;
use utoipa::ToSchema;

use crate::{
    error::{ApiError, Faults},
    routes::{check, endpoint::headers},
};

/// Longest public URL, in bytes.
const MAX_URL_BYTES: usize = 2_048;
/// Longest body of an acknowledgement, in bytes.
const MAX_ACK_BYTES: usize = 4_096;
/// Longest content type of one, in bytes.
const MAX_CONTENT_TYPE_BYTES: usize = 256;
/// Most headers that go on to endpoints.
const MAX_FORWARDED: usize = 50;

/// What a source does beyond what its provider says; what is `null` is as the provider has it, or as the
/// server does for all.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes domain::source::SourceSettings")]
pub(super) struct IngestSourceSettings {
    /// It takes nothing: its URL answers 404.
    #[schema(value_type = bool, required = false, default = false)]
    disabled: bool,
    /// The URL that the provider was given, where it signs it and this is not how it looks here.
    #[schema(max_length = 2048)]
    public_url: Option<String>,
    /// The status for what is not genuine: 400, 401 or 403. 401 if nobody says.
    unverified_status: Option<u16>,
    /// The answer to an event that was taken in.
    #[schema(inline)]
    acknowledgement: Option<IngestAcknowledgement>,
    /// How long an event's id is remembered, in seconds. A week if nobody says.
    #[schema(minimum = 1, maximum = 7_776_000)]
    dedupe_window_secs: Option<u32>,
    /// Whether equal bodies are the same event where there is no id.
    dedupe_by_body: Option<bool>,
    /// Most requests per second; the others are answered 429.
    #[schema(minimum = 1)]
    throttle_rate: Option<u16>,
    /// Most bytes of a body. 1 MiB if nobody says.
    #[schema(minimum = 1, maximum = 26_214_400)]
    max_body_bytes: Option<u32>,
    /// Headers of the request that go on to endpoints, beside `content-type`.
    #[schema(max_items = 50)]
    forward_headers: Option<Vec<String>>,
}

/// The answer to an event that was taken in.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes domain::source::Acknowledgement")]
pub(super) struct IngestAcknowledgement {
    /// A 2xx.
    #[schema(minimum = 200, maximum = 299)]
    status: u16,
    /// Of the body.
    #[schema(max_length = 256)]
    content_type: Option<String>,
    /// Sent as it is.
    #[schema(max_length = 4096, default = "")]
    body: Option<String>,
}

/// Whether a source may have these settings.
pub(super) fn checked(settings: &SourceSettings) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    if settings.public_url.as_ref().is_some_and(|url| !is_web_url(url)) {
        let msg = format!("must be an http or https URL of at most {MAX_URL_BYTES} bytes");
        faults.body("publicUrl", msg);
    }
    if settings.unverified_status.is_some_and(|status| ![400, 401, 403].contains(&status)) {
        faults.body("unverifiedStatus", "must be 400, 401 or 403");
    }
    if let Some(answer) = &settings.acknowledgement {
        faults.part("acknowledgement", acknowledgement(answer));
    }
    let window = MAX_DEDUPE_WINDOW.as_secs();
    if settings.dedupe_window_secs.is_some_and(|secs| !(1..=window).contains(&secs.into())) {
        faults.body("dedupeWindowSecs", format!("must be 1 to {window}"));
    }
    check::rate(&mut faults, None, settings.throttle_rate);
    let most = BODY_BYTES.1;
    if settings.max_body_bytes.is_some_and(|bytes| !(1..=most).contains(&bytes)) {
        faults.body("maxBodyBytes", format!("must be 1 to {most}"));
    }
    let names = settings.forward_headers.as_deref().unwrap_or_default();
    if names.len() > MAX_FORWARDED {
        faults.body("forwardHeaders", format!("at most {MAX_FORWARDED} names"));
    }
    for name in names.iter().take(MAX_FORWARDED) {
        if let Err(why) = headers::check_name(name) {
            let shown = &name[..name.floor_char_boundary(100)];
            faults.body("forwardHeaders", format!("{shown:?}: {why}"));
        }
    }
    faults.finish()
}

fn is_web_url(text: &str) -> bool {
    let is_web = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    text.len() <= MAX_URL_BYTES && text.parse().is_ok_and(is_web)
}

fn acknowledgement(answer: &Acknowledgement) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    if !(200..300).contains(&answer.status) {
        faults.body("status", "must be 200 to 299");
    }
    // These have none (RFC 9110).
    if [204, 205].contains(&answer.status) && !answer.body.is_empty() {
        faults.body("body", "an answer of this status has no body");
    }
    if answer.body.len() > MAX_ACK_BYTES {
        faults.body("body", format!("at most {MAX_ACK_BYTES} bytes"));
    }
    let fits = |text: &String| {
        (1..=MAX_CONTENT_TYPE_BYTES).contains(&text.len()) && HeaderValue::from_str(text).is_ok()
    };
    if !answer.content_type.as_ref().is_none_or(fits) {
        faults.body("contentType", "not a header value of at most 256 bytes");
    }
    faults.finish()
}
