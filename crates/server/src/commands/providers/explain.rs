//! One provider, explained: what its row says, for people.

use providers::{
    Provider,
    row::{Ack, Dedupe, MacKind, Row, Scheme},
};

use super::words::{
    challenge, evidence_words, expression, key_words, places, time_words, url_words,
};

/// A heading, then a line for each thing there is to say.
pub fn explain(provider: &Provider) -> String {
    let row = provider.row();
    let mut page = Page(format!("{}\n\n", row.name));
    page.line("id", &ids(row));
    page.line("category", row.category.word());
    page.line("docs", &row.docs);
    page.line("facts", evidence_words(row.evidence));
    proof(&mut page, provider);
    events(&mut page, row);
    page.line("challenge", &row.challenge.as_deref().map(challenge).unwrap_or_default());
    page.line("answer", &answer(&row.ack));
    for (name, setting) in &row.settings {
        let default = match &setting.default {
            Some(default) => format!("[{default:?}]"),
            None => "(must be set)".to_owned(),
        };
        page.line("setting", &format!("{name}: {} {default}", setting.about));
    }
    page.line("notes", &row.notes);
    page.0
}

/// Labels and what they say.
struct Page(String);

impl Page {
    fn line(&mut self, label: &str, text: &str) {
        if !text.is_empty() {
            self.0.push_str(&format!("{label:<11} {text}\n"));
        }
    }
}

fn ids(row: &Row) -> String {
    match row.aliases.as_slice() {
        [] => row.id.clone(),
        aliases => format!("{} (also {})", row.id, aliases.join(", ")),
    }
}

/// How a request is told to be genuine.
fn proof(page: &mut Page, provider: &Provider) {
    let row = provider.row();
    let at = |field: &Option<String>| field.as_deref().map(places).unwrap_or_default();
    match row.scheme {
        Scheme::Hmac | Scheme::Asym => {
            page.line("signature", &format!("{}{}", at(&row.signature), shape(row)));
            page.line("made as", &made(row));
            page.line("signed", &row.signed.as_deref().map(expression).unwrap_or_default());
        }
        Scheme::Jwt => {
            let place = match row.token.as_deref() {
                Some("body") => "the body".to_owned(),
                _ => at(&row.token),
            };
            page.line("token", &format!("a JSON Web Signature: {place}"));
            let accepted = row.algorithms.iter().map(|a| a.word());
            page.line("made with", &accepted.collect::<Vec<_>>().join(" or "));
            page.line("keys", row.jwks.as_deref().unwrap_or_default());
            let wanted = row.claims.iter().map(|(name, value)| format!("{name} = {value}"));
            page.line("claims", &wanted.collect::<Vec<_>>().join(", "));
            if let Some(claim) = &row.body_claim {
                page.line("signed", &format!("the body's SHA-256, in claim {claim}"));
            }
            if let Some(claim) = &row.request_claim {
                page.line("signed", &format!("method, path and query, in claim {claim}"));
            }
        }
        Scheme::Token => page.line("token", &format!("the secret itself, in {}", at(&row.token))),
        Scheme::Basic => page.line("token", "user:password as HTTP Basic"),
        Scheme::Bearer => page.line("token", "the secret as Authorization: Bearer"),
        Scheme::None => page.line("signature", "none: whoever knows the address can send"),
        Scheme::Code => {
            page.line("signature", "by rules of its own, for which there is code: see the notes")
        }
    }
    if !provider.needs_secret() {
        page.line("secret", "none");
    } else if matches!(row.scheme, Scheme::Hmac | Scheme::Asym) {
        page.line("secret", key_words(row.key));
    }
    if let Some(place) = &row.timestamp {
        page.line("timestamp", &format!("{}, {}", places(place), time_words(row.timestamp_unit)));
    }
    let tolerance = match (row.tolerance_s, row.max_age_s, &row.timestamp) {
        (Some(seconds), _, _) => format!("{seconds} s before or after now"),
        (None, Some(seconds), _) => format!("{seconds} s since the token was issued"),
        (None, None, Some(_)) => "any age: the sender names no limit".to_owned(),
        (None, None, None) => String::new(),
    };
    page.line("tolerance", &tolerance);
    let tried: Vec<_> = row.url_variants.iter().map(|v| url_words(*v)).collect();
    if !tried.is_empty() {
        page.line("URL", &format!("also tried {}", tried.join(", ")));
    }
}

/// How the text of a signature is taken apart.
fn shape(row: &Row) -> String {
    let mut shape = String::new();
    if let Some(prefix) = &row.prefix {
        let may = if row.prefix_optional { ", which may be missing" } else { "" };
        shape.push_str(&format!(", after {prefix:?}{may}"));
    }
    if let Some(groups) = &row.groups {
        shape.push_str(&format!(", in sets separated by {groups:?}"));
    }
    if let Some(items) = &row.items {
        shape.push_str(&format!(", in items separated by {items:?}"));
    }
    match (&row.kv, row.version.as_deref()) {
        (Some(kv), Some("*")) => shape.push_str(&format!(", each as name{kv}signature")),
        (Some(kv), Some(name)) => shape.push_str(&format!(", as {name}{kv}signature")),
        _ => {}
    }
    shape
}

fn made(row: &Row) -> String {
    let written = row.encoding.map(|e| format!(", in {e}")).unwrap_or_default();
    let how = match (row.hash, row.algorithm, row.mac) {
        (Some(hash), _, MacKind::Hmac) => format!("HMAC with {hash}"),
        (Some(hash), _, MacKind::Hash) => format!("plain {hash}, the secret being among the bytes"),
        (None, Some(algorithm), _) => algorithm.word().to_owned(),
        (None, None, _) => String::new(),
    };
    format!("{how}{written}")
}

fn events(page: &mut Page, row: &Row) {
    let signed = if row.event_id_signed { "" } else { " (not covered by the signature)" };
    let id = row.event_id.as_deref().map(|id| format!("{}{signed}", expression(id)));
    page.line("event id", &id.unwrap_or_else(|| "none".to_owned()));
    page.line("event type", &row.event_type.as_deref().map_or("none".to_owned(), expression));
    if row.dedupe == Some(Dedupe::Body) {
        page.line("duplicates", "equal bodies are one event");
    }
}

fn answer(ack: &Ack) -> String {
    let body = match (ack.body.as_str(), ack.content_type.as_str()) {
        ("", _) => String::new(),
        (body, "") => format!(", {body:?}"),
        (body, content_type) => format!(", {body:?} as {content_type}"),
    };
    format!("{}{body}", ack.status)
}
