//! Requests that were refused, kept for whoever wants to see why. Written in the background, and few:
//! whoever floods a source with nonsense is not to fill the store with it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{clock::Timestamp, entropy::Entropy, id::RejectedId};
use http::{HeaderMap, HeaderName, Uri, header, request::Parts};
use providers::Reason;
use store::{
    Store,
    rejected::{MAX_BODY_BYTES, MAX_HEADERS_BYTES, MAX_URL_BYTES, RejectedRequest},
};
use tokio::sync::mpsc;

use crate::{PATH, rate::Rates, source::Prepared};

/// How long one is kept.
const KEPT: Duration = Duration::from_secs(3 * 86_400);
/// Most that are kept of a source in a second.
const PER_SECOND: u16 = 5;
/// Those that wait to be written. The next ones are not kept.
const WAITING: usize = 256;
/// Those that are written in one act.
const AT_A_TIME: usize = 32;

/// Parts of names whose values are credentials, of headers and of parameters. Signatures are none: without
/// them nobody could see why they do not fit.
const CREDENTIALS: [&str; 7] =
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"];
/// What stands in their place.
const HIDDEN: &str = "(hidden)";

/// Where refused requests go.
pub(crate) struct Refused {
    waiting: mpsc::Sender<RejectedRequest>,
    rates: Rates,
    entropy: Arc<dyn Entropy>,
}

impl Refused {
    /// And what writes them: to be spawned.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (waiting, taken) = mpsc::channel(WAITING);
        (Self { waiting, rates: Rates::new(), entropy }, write(store, taken))
    }

    /// Keeps one, if there is room for it.
    pub(crate) fn keep(
        &self,
        source: &Prepared,
        parts: &Parts,
        body: &Bytes,
        (status, reason): (u16, Reason),
        now: Timestamp,
    ) {
        let Ok(place) = self.waiting.try_reserve() else { return };
        if self.rates.take(source.app, PER_SECOND, now).is_err() {
            return;
        }
        place.send(RejectedRequest {
            org: source.org,
            app: source.app,
            id: RejectedId::generate(now, &*self.entropy),
            at: now,
            status,
            reason: reason.to_string(),
            method: parts.method.as_str().to_owned(),
            url: shown_url(&parts.uri),
            headers: shown_headers(&parts.headers),
            // A copy: a slice would keep all of it, and what it was read into.
            body: Bytes::copy_from_slice(&body[..body.len().min(MAX_BODY_BYTES)]),
            body_bytes: body.len() as u64,
            expires_at: now.plus(KEPT),
        });
    }
}

async fn write(store: Arc<dyn Store>, mut taken: mpsc::Receiver<RejectedRequest>) {
    let mut some = Vec::new();
    while taken.recv_many(&mut some, AT_A_TIME).await > 0 {
        // No promise rests on them.
        if let Err(error) = store.keep_rejected(std::mem::take(&mut some)).await {
            tracing::debug!(%error, "refused requests could not be kept");
        }
    }
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIALS.iter().any(|part| name.contains(part))
}

/// Path and query without the token and what else is one.
fn shown_url(uri: &Uri) -> String {
    let mut shown = format!("{PATH}…");
    let query = uri.query().unwrap_or_default();
    for (at, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if at == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_credential(name) => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            }
            _ => shown.push_str(pair),
        }
    }
    shown.truncate(shown.floor_char_boundary(MAX_URL_BYTES));
    shown
}

/// All but credentials, in bounds.
fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    let mut bytes = 0;
    for (name, value) in headers {
        let value = match is_hidden(name) {
            true => HIDDEN.into(),
            false => String::from_utf8_lossy(value.as_bytes()),
        };
        bytes += name.as_str().len() + value.len();
        if bytes > MAX_HEADERS_BYTES {
            break;
        }
        shown.push((name.as_str().to_owned(), value.into_owned()));
    }
    shown
}

fn is_hidden(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION || is_credential(name.as_str())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn credentials_are_hidden_and_signatures_are_not() {
        let uri: Uri = "/in/abc.def?signature=s&Token=t&x".parse().expect("a path");
        assert_eq!(shown_url(&uri), "/in/…?signature=s&Token=(hidden)&x");
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-gitlab-token", "1"), ("cookie", "2"), ("x-hub-signature-256", "3")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let shown: Vec<_> = shown_headers(&headers).into_iter().map(|(_, value)| value).collect();
        assert_eq!(shown, [HIDDEN, HIDDEN, "3"]);
        headers.insert("x-long", HeaderValue::from_bytes(&[b'x'; 20_000]).expect("a value"));
        let bytes: usize = shown_headers(&headers).iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!(bytes <= MAX_HEADERS_BYTES);
    }
}
