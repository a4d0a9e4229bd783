//! Reading the fields of a configuration. What is read is taken out: what remains is unknown. `null` is
//! the same as nothing.

use serde_json::{Map, Value};

use super::{ConfigError, LONGEST_CONFIG};
use crate::Secret;

/// Most secrets of a source: as many as are tried.
const MOST_SECRETS: usize = 16;
/// A secret is no longer than this, in bytes: a certificate in PEM fits well.
const LONGEST_SECRET: usize = 8 * 1024;

/// A copy of the object that a configuration is.
pub(super) fn object(config: &Value) -> Result<Map<String, Value>, ConfigError> {
    match config {
        Value::Null => Ok(Map::new()),
        Value::Object(fields) if config_bytes(fields) > LONGEST_CONFIG => {
            Err(ConfigError::new("", format!("must have at most {LONGEST_CONFIG} bytes")))
        }
        Value::Object(fields) => Ok(fields.clone()),
        _ => Err(ConfigError::new("", "must be an object")),
    }
}

/// About how many bytes it takes, without writing it.
fn config_bytes(fields: &Map<String, Value>) -> usize {
    fn bytes(value: &Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
            Value::String(text) => text.len() + 3,
            Value::Array(items) => items.iter().map(bytes).sum::<usize>() + 2,
            Value::Object(members) => config_bytes(members) + 2,
        }
    }
    fields.iter().map(|(name, value)| name.len() + 4 + bytes(value)).sum()
}

/// The secrets in fields of these names: each a text, or a list of texts.
pub(super) fn secrets(
    fields: &mut Map<String, Value>,
    names: &[&str],
) -> Result<Vec<Secret>, ConfigError> {
    let mut secrets = Vec::new();
    for name in names {
        let texts = match fields.remove(*name) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(texts)) => texts,
            Some(text) => vec![text],
        };
        for text in texts {
            match text {
                Value::String(text) if (1..=LONGEST_SECRET).contains(&text.len()) => {
                    secrets.push(Secret::new(text));
                }
                Value::String(_) => {
                    let why = format!("a secret has 1 to {LONGEST_SECRET} bytes");
                    return Err(ConfigError::new(name, why));
                }
                _ => return Err(ConfigError::new(name, "must be a string, or a list of strings")),
            }
        }
        if secrets.len() > MOST_SECRETS {
            return Err(ConfigError::new(name, format!("at most {MOST_SECRETS} secrets")));
        }
    }
    Ok(secrets)
}

/// A text.
pub(super) fn text(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<String>, ConfigError> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ConfigError::new(name, "must be a string")),
    }
}

/// A number of something that fits into 32 bits.
pub(super) fn number(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<u32>, ConfigError> {
    let value = match fields.remove(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_u64().and_then(|n| u32::try_from(n).ok()),
    };
    value.map(Some).ok_or_else(|| ConfigError::new(name, "must be a whole number"))
}

/// `client_id` as `clientId`.
pub(super) fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.extend(c.to_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel
}
