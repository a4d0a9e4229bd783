//! Text that is looked for in payloads.

use std::str::FromStr;

use memchr::memmem::Finder;

/// Longest text, in bytes.
const MAX_BYTES: usize = 256;

/// A text to look for, whatever its letters' case.
pub struct Needle {
    /// In lower case.
    text: String,
    finder: Finder<'static>,
    /// A payload in lower case, one after the other.
    lowered: Vec<u8>,
}

/// Why a text is not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_BYTES} bytes long")]
pub struct InvalidNeedle;

impl FromStr for Needle {
    type Err = InvalidNeedle;

    fn from_str(text: &str) -> Result<Self, InvalidNeedle> {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(InvalidNeedle);
        }
        let text = text.to_lowercase();
        let finder = Finder::new(text.as_bytes()).into_owned();
        Ok(Self { text, finder, lowered: Vec::new() })
    }
}

impl Needle {
    /// Whether it is in a payload, as the payload was posted: a letter that is escaped there (`\u00e9`)
    /// is not that letter.
    pub fn is_in(&mut self, payload: &[u8]) -> bool {
        if self.text.is_ascii() {
            self.lowered.clear();
            self.lowered.extend(payload.iter().map(u8::to_ascii_lowercase));
            return self.finder.find(&self.lowered).is_some();
        }
        let lowered = String::from_utf8_lossy(payload).to_lowercase();
        self.finder.find(lowered.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_text_in_any_case() {
        for (text, payload, want) in [
            ("Acme", r#"{"name":"ACME Ltd"}"#, true),
            ("acme ltd", r#"{"name":"ACME Ltd"}"#, true),
            ("acmeltd", r#"{"name":"ACME Ltd"}"#, false),
            ("\"name\":\"a", r#"{"name":"ACME"}"#, true),
            ("ÜBER", r#"{"a":"über alles"}"#, true),
            ("über", r#"{"a":"ÜBER alles"}"#, true),
            ("über", r#"{"a":"uber alles"}"#, false),
            ("alles", r#"{"a":"ÜBER ALLES"}"#, true),
            ("x", "", false),
        ] {
            let mut needle: Needle = text.parse().expect("a needle");
            assert_eq!(needle.is_in(payload.as_bytes()), want, "{text} in {payload}");
        }
        let mut needle: Needle = "é".parse().expect("a needle");
        assert!(needle.is_in(b"\xff\xc3\x89"), "in what is not UTF-8 before and behind");
    }

    #[test]
    fn has_bounds() {
        for (bytes, good) in [(0, false), (1, true), (256, true), (257, false)] {
            assert_eq!("x".repeat(bytes).parse::<Needle>().is_ok(), good, "{bytes}");
        }
    }
}
