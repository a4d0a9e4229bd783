//! Whether a request is genuine, a question, or neither.

use domain::clock::Timestamp;
use providers::{Genuine, Keys, Reason, Reply, Request, Verdict};

use crate::{keys::KeyRing, source::Prepared};

/// Keys that one request may need: a certificate, and a key set.
const MOST_KEYS: usize = 2;

/// What a request is.
#[derive(Debug)]
pub enum Judged {
    /// A question of its provider, and the answer.
    Question(Reply),
    /// An event.
    Event(Genuine),
    /// Neither.
    Refused(Reason),
    /// A key could not be fetched.
    NoKey,
}

/// Judges a request, fetching keys as it needs them.
pub async fn judge(
    source: &Prepared,
    request: &Request<'_>,
    ring: &KeyRing,
    now: Timestamp,
) -> Judged {
    let mut keys = Keys::new();
    let mut fetched = 0;
    let verdict = loop {
        match source.provider.verify(request, &source.secrets, now, &keys) {
            Verdict::NeedsKey(wanted) => {
                fetched += 1;
                if fetched > MOST_KEYS || !ring.add(&mut keys, &wanted, now).await {
                    return Judged::NoKey;
                }
            }
            verdict => break verdict,
        }
    };
    let verified = matches!(verdict, Verdict::Genuine(_));
    if let Some(reply) = source.provider.challenge(request, &source.secrets, verified) {
        return Judged::Question(reply);
    }
    match verdict {
        Verdict::Genuine(genuine) => Judged::Event(genuine),
        Verdict::Refused(reason) => Judged::Refused(reason),
        Verdict::NeedsKey(_) => Judged::NoKey,
    }
}
