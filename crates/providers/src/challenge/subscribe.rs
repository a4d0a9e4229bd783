//! Questions that want something done.

use serde_json::{Value, json};

use super::{Effect, Question, Reply};
use crate::{code, keys::pinned};

/// Notion: the first POST holds the key for all that follow.
/// <https://developers.notion.com/reference/webhooks>
pub(super) fn notion(question: &Question<'_>) -> Option<Reply> {
    let body = question.view.json()?.as_object()?;
    let token = body.get("verification_token")?.as_str()?;
    let alone = body.len() == 1 && question.method() == "POST";
    let fits = (1..=256).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    (alone && fits).then(|| Reply::empty(200).with(Effect::StoreSecret(token.to_owned())))
}

/// Azure Event Grid: the code in the answer is enough; the address is for those that cannot answer.
/// <https://learn.microsoft.com/en-us/azure/event-grid/end-point-validation-event-grid-events-schema>
pub(super) fn event_grid(question: &Question<'_>) -> Option<Reply> {
    // The CloudEvents schema has Event Grid ask with OPTIONS instead.
    if question.method() == "OPTIONS" {
        return cloud_events(question);
    }
    let kind = question.view.request.header_text("aeg-event-type")?;
    if !question.verified || kind != "SubscriptionValidation" {
        return None;
    }
    let data = question.view.json()?.get(0)?.get("data")?;
    let code = data.get("validationCode").and_then(Value::as_str);
    match code.filter(|c| c.len() <= 256) {
        Some(code) => Reply::json(&json!({ "validationResponse": code })),
        None => {
            let url = data.get("validationUrl").and_then(Value::as_str)?;
            let url = pinned_at_azure(url)?;
            Some(Reply::empty(200).with(Effect::CallUrl(url)))
        }
    }
}

/// Event Grid's own hosts; their addresses name the port 553.
fn pinned_at_azure(url: &str) -> Option<String> {
    let plain = url.replacen(":553/", "/", 1);
    pinned(&plain, |host| host.ends_with(".eventgrid.azure.net"))?;
    Some(url.to_owned())
}

/// CloudEvents: permission to send, by name of the sender's origin.
/// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md>
pub(super) fn cloud_events(question: &Question<'_>) -> Option<Reply> {
    let origin = question.view.request.header_text("webhook-request-origin")?;
    let fits = origin.len() <= 256 && origin.bytes().all(|b| b.is_ascii_graphic());
    if question.method() != "OPTIONS" || !fits {
        return None;
    }
    let mut headers = vec![
        ("allow".to_owned(), "POST".to_owned()),
        ("webhook-allowed-origin".to_owned(), origin.to_owned()),
    ];
    if let Some(rate) = question.view.request.header_text("webhook-request-rate") {
        let fits = rate == "*" || (rate.len() <= 9 && rate.bytes().all(|b| b.is_ascii_digit()));
        headers.extend(fits.then(|| ("webhook-allowed-rate".to_owned(), rate.to_owned())));
    }
    Some(Reply { headers, ..Reply::empty(200) })
}

/// Amazon SNS: a signed confirmation of an allowed topic; its address is Amazon's.
/// <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html>
pub(super) fn sns(question: &Question<'_>) -> Option<Reply> {
    if !question.verified {
        return None;
    }
    let url = code::confirmation(question.view.json()?)?;
    Some(Reply::empty(200).with(Effect::CallUrl(url)))
}
