//! Payloads against their event type's schema.

use std::{fmt, sync::Arc};

use jsonschema::{Draft, Validator};
use serde_json::Value;

/// Most faults named of one payload.
const MAX_FAULTS: usize = 10;

/// Longest pointer, and longest words, of a fault, in bytes; what is longer is cut.
const MAX_FAULT_BYTES: usize = 300;

/// Something that is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault {
    /// Where: a JSON pointer, empty for the payload as a whole.
    pub path: String,
    /// What.
    pub message: String,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A schema ready for use.
#[derive(Clone, Debug)]
pub struct Schema(Arc<Validator>);

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

impl Schema {
    /// Compiles a JSON Schema (draft 7). References lead nowhere outside of it.
    pub fn compile(schema: &Value) -> Result<Self, InvalidSchema> {
        jsonschema::options()
            .with_draft(Draft::Draft7)
            .build(schema)
            .map(|validator| Self(Arc::new(validator)))
            .map_err(|error| InvalidSchema(error.to_string()))
    }

    /// The schema that payloads are checked against: the one of the highest version. Versions are
    /// compared as numbers where they are numbers. `None` if there is none or it does not compile
    /// (it was checked when it was written).
    pub fn newest(schemas: &Value) -> Option<Self> {
        let versions = schemas.as_object()?;
        let (_, schema) = versions.iter().max_by_key(|(v, _)| (v.parse::<u64>().ok(), *v))?;
        Self::compile(schema).ok()
    }

    /// What is wrong with a payload, at most ten. The words `quote` the payload, or else are the keyword
    /// alone, with nothing of its values.
    pub fn faults(&self, payload: &Value, quote: bool) -> Vec<SchemaFault> {
        let fault = |e: jsonschema::ValidationError<'_>| {
            let message = if quote {
                e.to_string()
            } else {
                let schema_path = e.schema_path().to_string();
                schema_path.rsplit('/').next().unwrap_or_default().to_owned()
            };
            let cut = |mut text: String| {
                text.truncate(text.floor_char_boundary(MAX_FAULT_BYTES));
                text
            };
            SchemaFault { path: cut(e.instance_path().to_string()), message: cut(message) }
        };
        self.0.iter_errors(payload).take(MAX_FAULTS).map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn judges_by_the_newest_version() {
        let schemas = json!({
            "2": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
            "10": {"type": "object", "required": ["b"]},
        });
        let schema = Schema::newest(&schemas).expect("compiles");
        assert!(schema.faults(&json!({"b": 1}), true).is_empty());
        let faults = schema.faults(&json!({"a": 1}), true);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].message.contains("\"b\" is a required property"), "{faults:?}");
    }

    #[test]
    fn quotes_nothing_unless_asked() {
        let schema = json!({"properties": {"card": {"type": "integer"}, "age": {"maximum": 9}}});
        let schema = Schema::compile(&schema).expect("compiles");
        let payload = json!({"card": "4111", "age": 10});
        assert!(schema.faults(&payload, true).iter().any(|fault| fault.message.contains("4111")));
        let faults = schema.faults(&payload, false);
        let mut faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        faults.sort();
        assert_eq!(faults, ["/age: maximum", "/card: type"]);
    }

    #[test]
    fn refuses_what_is_no_schema() {
        assert!(Schema::compile(&json!({"type": "strange"})).is_err());
        assert!(Schema::compile(&json!({"$ref": "http://127.0.0.1/x.json"})).is_err());
        assert!(Schema::newest(&json!({})).is_none());
    }
}
