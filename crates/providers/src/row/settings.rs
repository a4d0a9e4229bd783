//! What a source sets beside its secrets, put into the row's texts.

use std::collections::BTreeMap;

use super::{Row, RowError};

impl Row {
    /// The row with its settings put in: those given, or their defaults. Also says which are
    /// needed and not given; these have a stand-in.
    pub fn with_settings(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<(Self, Vec<String>), RowError> {
        let wrong = |name: &str, value: &str, why: &str| {
            RowError::new(&format!("settings.{name}"), value, why).of(&self.id)
        };
        for (name, value) in given {
            if !self.settings.contains_key(name) {
                return Err(wrong(name, value, "the provider has no such setting"));
            }
            if value.is_empty() || value.len() > 500 {
                return Err(wrong(name, value, "a setting has 1 to 500 bytes"));
            }
            if value.chars().any(|c| c.is_control() || "{}|".contains(c)) {
                return Err(wrong(name, value, "no {, }, | or control characters"));
            }
        }
        let mut missing = Vec::new();
        let mut row = serde_json::to_value(self)
            .map_err(|e| wrong("", "", &format!("cannot be written: {e}")))?;
        for (name, setting) in &self.settings {
            let value = match given.get(name).or(setting.default.as_ref()) {
                Some(value) => value.as_str(),
                None => {
                    missing.push(name.clone());
                    "unset"
                }
            };
            replace(&mut row, &format!("{{setting:{name}}}"), value);
        }
        let row = serde_json::from_value(row)
            .map_err(|e| wrong("", "", &format!("cannot be read again: {e}")))?;
        Ok((row, missing))
    }
}

fn replace(value: &mut serde_json::Value, from: &str, to: &str) {
    match value {
        serde_json::Value::String(text) if text.contains(from) => *text = text.replace(from, to),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|i| replace(i, from, to)),
        serde_json::Value::Object(members) => {
            members.values_mut().for_each(|m| replace(m, from, to));
        }
        _ => {}
    }
}
