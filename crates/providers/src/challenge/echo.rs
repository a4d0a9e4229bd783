//! Questions whose answer is in them.

use serde_json::{Value, json};

use super::{Effect, Question, Reply};

/// Slack: signed, `type` is `url_verification`.
/// <https://docs.slack.dev/reference/events/url_verification>
pub(super) fn slack(question: &Question<'_>) -> Option<Reply> {
    let asks = question.verified && question.member("/type") == Some("url_verification");
    if asks { Reply::text(question.member("/challenge")?) } else { None }
}

/// Discord: a signed interaction of `type` 1 wants `{"type":1}`, a signed webhook event of `type` 0
/// wants 204. Its badly signed probes get what every bad signature gets.
/// <https://docs.discord.com/developers/events/webhook-events>
pub(super) fn discord(question: &Question<'_>) -> Option<Reply> {
    if !question.verified {
        return None;
    }
    let body = question.view.json()?;
    let kind = body.get("type").and_then(Value::as_i64);
    match kind {
        // An event of an application has type 1 too, and an `event` with it.
        Some(1) if body.get("event").is_none() => Reply::json(&json!({ "type": 1 })),
        Some(0) => Some(Reply::empty(204)),
        _ => None,
    }
}

/// Okta: a GET with a header.
/// <https://developer.okta.com/docs/concepts/event-hooks/>
pub(super) fn okta(question: &Question<'_>) -> Option<Reply> {
    let value = question.view.request.header_text("x-okta-verification-challenge")?;
    let asks = question.method() == "GET" && value.len() <= super::LONGEST_ECHO;
    if asks { Reply::json(&json!({ "verification": value })) } else { None }
}

/// `GET ?name=x`.
pub(super) fn query(question: &Question<'_>, name: &str) -> Option<Reply> {
    if question.method() == "GET" { Reply::text(&question.query(name)?) } else { None }
}

/// The header comes back as a header. Asana's is the secret for what follows.
/// <https://developers.asana.com/docs/webhooks-guide>
pub(super) fn header(question: &Question<'_>, name: &str) -> Option<Reply> {
    let value = question.view.request.header_text(name)?;
    let printable = value.bytes().all(|b| (32..127).contains(&b));
    if !printable || value.len() > super::LONGEST_ECHO {
        return None;
    }
    let headers = vec![(name.to_ascii_lowercase(), value.to_owned())];
    let reply = Reply { headers, ..Reply::empty(200) };
    if name.eq_ignore_ascii_case("x-hook-secret") {
        return Some(reply.with(Effect::StoreSecret(value.to_owned())));
    }
    // Where the header is the token as well, each event brings it: those are answered as events.
    let is_token = matches!(&question.provider.rules().rule, crate::row::Rule::Token(places)
        if places.iter().any(|p| p.is_header(name)));
    (!is_token || matches!(question.method(), "GET" | "HEAD")).then_some(reply)
}

/// `{"field": x}` → the same, and nothing else of the body.
pub(super) fn json(question: &Question<'_>, name: &str) -> Option<Reply> {
    let body = question.view.json()?.as_object()?;
    let value = body.get(name)?.as_str().filter(|v| v.len() <= super::LONGEST_ECHO)?;
    // An event may have such a member among others; the question has it alone.
    if body.len() == 1 { Reply::json(&json!({ name: value })) } else { None }
}

/// Microsoft Graph: the token in the query, decoded.
/// <https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks>
pub(super) fn msgraph(question: &Question<'_>) -> Option<Reply> {
    if question.method() == "POST" {
        Reply::text(&question.query("validationToken")?)
    } else {
        None
    }
}

/// Twitch: signed, of its own message type.
/// <https://dev.twitch.tv/docs/eventsub/handling-webhook-events/>
pub(super) fn twitch(question: &Question<'_>) -> Option<Reply> {
    let kind = question.view.request.header_text("twitch-eventsub-message-type")?;
    let asks = question.verified && kind == "webhook_callback_verification";
    if asks { Reply::text(question.member("/challenge")?) } else { None }
}

/// Xero: an event without events. Its badly signed twins are refused like anything badly signed.
/// <https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/>
pub(super) fn xero(question: &Question<'_>) -> Option<Reply> {
    let events = question.view.json()?.get("events")?.as_array()?;
    (question.verified && events.is_empty()).then(|| Reply::empty(200))
}
