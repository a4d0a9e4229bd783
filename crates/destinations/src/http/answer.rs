//! What came of an exchange, in the words of [`Outcome`].
//!
//! The status counts once its head has come, with two exceptions for a 2xx: where the body did not
//! end within the deadline or broke off, the receiver may or may not have finished, so the attempt
//! is ambiguous; where its framing was not HTTP, it is a protocol error. A body over the limit is
//! no fault: we stopped reading, and the status counts.

use std::{borrow::Cow, error::Error, io, time::Duration};

use bytes::Bytes;
use domain::{
    attempt::{MAX_RESPONSE_BYTES, Outcome, OutcomeClass},
    clock::{Clock, Timestamp},
};
use http::{Response, StatusCode, header};

/// A head that came, and what was read of its body.
pub(super) struct Answer {
    pub status: StatusCode,
    retry_after: Option<Duration>,
    /// At most [`MAX_RESPONSE_BYTES`].
    kept: Vec<u8>,
}

/// What ended an exchange before its answer was whole.
#[derive(Debug)]
pub(super) struct Failure {
    pub class: OutcomeClass,
    text: Cow<'static, str>,
    timed_out: bool,
}

impl Answer {
    pub(super) fn new<B>(response: &Response<B>, clock: &dyn Clock) -> Self {
        let retry_after = response.headers().get(header::RETRY_AFTER);
        Self {
            status: response.status(),
            retry_after: retry_after
                .and_then(|value| value.to_str().ok())
                .and_then(|text| parse_retry_after(text, clock)),
            kept: Vec::new(),
        }
    }

    /// Keeps what there is room for.
    pub(super) fn keep(&mut self, data: &[u8]) {
        let room = MAX_RESPONSE_BYTES - self.kept.len();
        self.kept.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// The answer came whole, or as much of it as we wanted.
    pub(super) fn into_outcome(self) -> Outcome {
        let class = match self.status.is_success() {
            true => OutcomeClass::Success,
            false => OutcomeClass::Status,
        };
        Outcome {
            class,
            status_code: Some(self.status.as_u16()),
            response: Bytes::from(self.kept),
            duration: Duration::ZERO,
            retry_after: self.retry_after,
            timed_out: false,
        }
    }
}

impl Failure {
    pub(super) fn new(class: OutcomeClass, text: impl Into<Cow<'static, str>>) -> Self {
        Self { class, text: text.into(), timed_out: false }
    }

    /// What happened, for people.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The deadline was the reason.
    pub(super) fn timed_out(mut self) -> Self {
        self.timed_out = matches!(self.class, OutcomeClass::Timeout | OutcomeClass::Ambiguous);
        self
    }

    /// With what had come of an answer until then.
    pub(super) fn into_outcome(self, answer: Option<Answer>) -> Outcome {
        let failed = |status_code, retry_after| Outcome {
            class: self.class,
            status_code,
            response: Bytes::from(self.text.into_owned()),
            duration: Duration::ZERO,
            retry_after,
            timed_out: self.timed_out,
        };
        match answer {
            Some(answer) if !answer.status.is_success() => answer.into_outcome(),
            Some(answer) => failed(Some(answer.status.as_u16()), answer.retry_after),
            None => failed(None, None),
        }
    }

    /// Why no head of an answer came, after some of the request had left.
    pub(super) fn unanswered(error: &hyper::Error) -> Self {
        if error.is_parse_too_large() {
            return Self::new(OutcomeClass::Protocol, "the headers of the answer are too large");
        }
        if error.is_parse() {
            let text = format!("the answer is not HTTP/1.1: {error}");
            return Self::new(OutcomeClass::Protocol, text);
        }
        match io_error(error).map(kind) {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                Self::new(OutcomeClass::Protocol, format!("the answer is not valid: {error}"))
            }
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                let text = "the receiver reset the connection without an answer";
                Self::new(OutcomeClass::Ambiguous, text)
            }
            Some(_) => Self::new(
                OutcomeClass::Ambiguous,
                format!("the connection broke without an answer: {}", innermost(error)),
            ),
            None => Self::new(
                OutcomeClass::Ambiguous,
                "the receiver closed the connection without a whole answer",
            ),
        }
    }

    /// Why the body of an answer did not come to its end.
    pub(super) fn cut(error: &hyper::Error, status: StatusCode) -> Self {
        let class = match io_error(error).map(kind) {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                OutcomeClass::Protocol
            }
            _ => OutcomeClass::Ambiguous,
        };
        let why = innermost(error);
        Self::new(class, format!("answered {status}, but the body of the answer broke off: {why}"))
    }
}

fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

/// The kind of an error. That of TLS comes as data that is not valid, but is a connection that broke:
/// it says nothing of what the receiver did before.
fn kind(error: &io::Error) -> io::ErrorKind {
    match error.get_ref() {
        Some(cause) if cause.is::<rustls::Error>() => io::ErrorKind::ConnectionAborted,
        _ => error.kind(),
    }
}

/// The first cause, which says most in fewest words.
fn innermost(error: &hyper::Error) -> &dyn Error {
    let mut error: &dyn Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// RFC 9110, 10.2.3: seconds, of which some send fractions (rounded up), or a date.
fn parse_retry_after(text: &str, clock: &dyn Clock) -> Option<Duration> {
    let text = text.trim();
    if let Ok(at) = httpdate::parse_http_date(text) {
        let at = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        return Some(Timestamp::EPOCH.plus(at).since(clock.now()));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    // A number that does not fit is a very long time.
    let secs = whole.parse::<u32>().unwrap_or(u32::MAX);
    let more = fraction.bytes().any(|b| b != b'0');
    Some(Duration::from_secs(u64::from(secs) + u64::from(more)))
}

#[cfg(test)]
mod tests {
    use domain::clock::ManualClock;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 2026-01-01T00:00:00Z, a Thursday.
        let clock = ManualClock::new(Timestamp::from_secs(1_767_225_600));
        for (text, secs) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("1.2", Some(2)),
            ("1.0", Some(1)),
            ("99999999999999999999", Some(u64::from(u32::MAX))),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(90)),
            ("Wed, 31 Dec 2025 23:59:59 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("soon", None),
            (".5", None),
            ("1e3", None),
        ] {
            assert_eq!(
                parse_retry_after(text, &clock),
                secs.map(Duration::from_secs),
                "Retry-After: {text}"
            );
        }
    }
}
