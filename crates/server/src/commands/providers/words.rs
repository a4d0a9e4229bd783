//! The short forms of rows, in words.

use providers::row::{Challenge, Evidence, KeyForm, TimeUnit, UrlVariant};

/// How a secret or public key is written.
pub fn key_words(form: KeyForm) -> &'static str {
    match form {
        KeyForm::Utf8 => "used as it is, character by character",
        KeyForm::Hex => "hex for the key",
        KeyForm::Base64 => "base64 for the key",
        KeyForm::Whsec => "base64 for the key, after whsec_ (Standard Webhooks)",
        KeyForm::Sha256 => "text whose SHA-256 is the key",
        KeyForm::Pem => "a public key in PEM",
        KeyForm::RawHex => "a public key, its bytes in hex",
        KeyForm::RawBase64 => "a public key, its bytes in base64",
        KeyForm::SpkiBase64 => "a public key (SubjectPublicKeyInfo) in base64",
        KeyForm::Jwks => "a JSON Web Key Set",
    }
}

/// Where the facts come from.
pub fn evidence_words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Library => "from an official library, read and run",
        Evidence::Documentation => "from the sender's own text",
        Evidence::Receiver => "from another receiver's code",
        Evidence::Catalogue => "from catalogues of others",
        Evidence::Recalled => "not checked: experimental",
        Evidence::Given => "as given",
    }
}

/// How a timestamp is written.
pub fn time_words(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Seconds => "in seconds since 1970",
        TimeUnit::Millis => "in milliseconds since 1970",
        TimeUnit::Iso => "in ISO 8601",
        TimeUnit::HttpDate => "as an HTTP date",
    }
}

/// Another spelling of the URL that is tried.
pub fn url_words(variant: UrlVariant) -> &'static str {
    match variant {
        UrlVariant::WithoutPort => "without its port",
        UrlVariant::WithPort => "with its port",
        UrlVariant::Decoded => "with some percent-encodings undone",
    }
}

/// Places of a row, `a|b`.
pub fn places(text: &str) -> String {
    text.split('|').map(place).collect::<Vec<_>>().join(", or else ")
}

fn place(text: &str) -> String {
    let (kind, name) = text.split_once(':').unwrap_or(("", text));
    let (outer, inner) = name.split_once('#').unwrap_or((name, ""));
    match (kind, inner) {
        ("h", _) => match name.strip_suffix('*') {
            Some(start) => format!("headers that begin with {start}"),
            None => format!("header {name}"),
        },
        ("q", _) => format!("query parameter {name}"),
        ("f", "") => format!("form field {name}"),
        ("f", _) => format!("{inner} in the JSON of form field {outer}"),
        ("j", "") => format!("JSON {name}"),
        ("j", _) => format!("{inner} in the JSON that JSON {outer} holds"),
        ("c", _) => format!("claim {name} of the token"),
        ("sig", _) => format!("item {name} of the signature"),
        ("xml", _) => format!("XML element {name}"),
        ("key", _) => format!("the first JSON member other than {name}"),
        _ => text.to_owned(),
    }
}

/// Places, or text with places in braces.
pub fn expression(text: &str) -> String {
    if !text.contains('{') {
        return places(text);
    }
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}').unwrap_or((after, ""));
        let named = match inner {
            "ts" => "timestamp".to_owned(),
            "form_sorted_kv" => "form fields, sorted, name and value".to_owned(),
            _ => places(inner),
        };
        shown.push_str(&format!("{before}{{{named}}}"));
        rest = after;
    }
    // Line ends are part of what some senders sign.
    (shown + rest).replace('\n', "\\n")
}

/// What the sender asks, and what is answered.
pub fn challenge(text: &str) -> String {
    let Ok(challenge) = Challenge::parse(text) else { return text.to_owned() };
    let plain = match challenge {
        Challenge::SlackUrlVerification => "a signed url_verification; its challenge comes back",
        Challenge::DiscordPing => {
            "a signed ping of type 1 (or 0); {\"type\":1} comes back (or 204)"
        }
        Challenge::MetaHub => "GET with hub.verify_token and hub.challenge, which comes back",
        Challenge::ZoomUrlValidation => "a plainToken; it comes back with its HMAC",
        Challenge::OktaVerification => "GET with a header whose value comes back as JSON",
        Challenge::DropboxGet => "GET with the parameter challenge, which comes back",
        Challenge::NotionVerificationToken => "a first POST that carries the secret",
        Challenge::MsGraphValidationToken => "POST with validationToken, which comes back",
        Challenge::EventGridValidation => "a validation event whose code comes back",
        Challenge::CloudEventsOptions => "OPTIONS with WebHook-Request-Origin, which is allowed",
        Challenge::SnsConfirmation => "a signed confirmation whose address is called",
        Challenge::TwitchCallback => "a signed verification; its challenge comes back",
        Challenge::TwitterCrc => "GET with crc_token; its HMAC comes back",
        Challenge::EbayChallengeCode => "GET with challenge_code; a hash of it comes back",
        Challenge::XeroIntent => "events without content, signed well or badly; 200 or 401",
        Challenge::BraintreeGet => "GET with bt_challenge; its HMAC comes back",
        Challenge::HeadOk => "HEAD; 200",
        Challenge::GetOk => "GET or HEAD; 200",
        Challenge::BasicUnauthorized => "a request without credentials; 401 that asks for them",
        Challenge::GetEcho(name) => {
            return format!("GET with the parameter {name}, which comes back");
        }
        Challenge::HeaderEcho(name) => return format!("the header {name}, which comes back"),
        Challenge::JsonEcho(name) => return format!("a JSON {name}, which comes back"),
    };
    plain.to_owned()
}
