//! Reading JSON bodies: strict about types, silent about unknown fields, and exact about where a
//! fault is. The content type is not looked at.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use crate::error::{ApiError, Fault};

/// Deepest nesting of a payload. What is parsed into our own types is bounded by its types (and by
/// the parser, at 128); a payload is only skipped over, so it has a bound of its own.
pub const MAX_PAYLOAD_DEPTH: usize = 128;

/// Parses a request's body; what is borrowed from it stays a slice of it.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, ApiError> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(jsondecode(Vec::new(), "the body is not valid UTF-8".to_owned()));
    };
    parse_text(text)
}

/// Parses a JSON text, which must be an object.
pub fn parse_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    // Without this a list of a type's fields would pass for it.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(jsondecode(Vec::new(), "must be a JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|_| explain::<T>(text))
}

/// Parses again, slowly, to tell where the fault is.
fn explain<'a, T: Deserialize<'a>>(text: &'a str) -> ApiError {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result: Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
    let error = match result {
        Err(error) => error,
        Ok(_) => match deserializer.end() {
            Err(error) => return jsondecode(Vec::new(), error.to_string()),
            Ok(()) => return ApiError::Internal,
        },
    };
    let mut path: Vec<_> = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(format!("[{index}]")),
            serde_path_to_error::Segment::Map { key } => Some(key.clone()),
            serde_path_to_error::Segment::Enum { variant } => Some(variant.clone()),
            serde_path_to_error::Segment::Unknown => None,
        })
        .collect();
    let msg = error.inner().to_string();
    if let Some(field) = msg.strip_prefix("missing field `").and_then(|m| m.split('`').next()) {
        path.push(field.to_owned());
    }
    jsondecode(path, msg)
}

fn jsondecode(path: Vec<String>, mut msg: String) -> ApiError {
    // The parser repeats what it did not expect, however long.
    msg.truncate(msg.floor_char_boundary(500));
    let path = path.into_iter().map(|mut name| {
        name.truncate(name.floor_char_boundary(300));
        Cow::Owned(name)
    });
    let loc = std::iter::once(Cow::Borrowed("body")).chain(path).collect();
    ApiError::Invalid(vec![Fault { loc, msg, kind: "value_error.jsondecode" }])
}

/// Whether a JSON text nests no deeper than [`MAX_PAYLOAD_DEPTH`].
pub fn is_shallow(json: &str) -> bool {
    let opens = json.bytes().filter(|b| matches!(b, b'{' | b'[')).count();
    // Few brackets cannot nest deep: the usual case, counted many bytes at a time.
    if opens <= MAX_PAYLOAD_DEPTH {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_PAYLOAD_DEPTH {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// A field of a PATCH body that may be cleared with `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not in the body: stays as it is.
    #[default]
    Absent,
    /// `null`: cleared.
    Null,
    /// Replaced.
    Value(T),
}

impl<T> Patch<T> {
    /// Writes it to where it belongs.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *to = None,
            Self::Value(value) => *to = Some(value),
        }
    }

    /// The same with its value checked.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(f(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::deserialize(deserializer)?;
        Ok(value.map_or(Self::Null, Self::Value))
    }
}

/// For a field of a PATCH body that may be left out, but not be `null`.
pub fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// For a field where `null` means the same as leaving it out.
pub fn null_is_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Outer {
        a: u8,
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        name: String,
    }

    fn loc(body: &'static str) -> Vec<String> {
        match parse::<Outer>(&Bytes::from_static(body.as_bytes())) {
            Err(ApiError::Invalid(faults)) => faults[0].loc.iter().map(|l| l.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn says_where_a_fault_is() {
        assert_eq!(loc(r#"{"list":[]}"#), ["body", "a"]);
        assert_eq!(loc(r#"{"a":1,"list":[{"name":1}]}"#), ["body", "list", "[0]", "name"]);
        assert_eq!(loc(r#"{"a":1,"list":[{}]}"#), ["body", "list", "[0]", "name"]);
        assert_eq!(loc(r#"{"a":300,"list":[]}"#), ["body", "a"]);
        assert_eq!(loc(r#"{"a":1,"list":[]} x"#), ["body"]);
        assert_eq!(loc("")[0], "body");
        assert!(parse::<Outer>(&Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    }

    #[test]
    fn bounds_nesting() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(is_shallow(&nested(MAX_PAYLOAD_DEPTH)));
        assert!(!is_shallow(&nested(MAX_PAYLOAD_DEPTH + 1)));
        assert!(!is_shallow(&nested(500_000)));
        // Brackets side by side, or inside of strings, do not nest.
        assert!(is_shallow(&format!("[{}1]", "[],".repeat(1_000))));
        assert!(is_shallow(&format!(r#"["\"{}"]"#, "[".repeat(1_000))));
    }
}
