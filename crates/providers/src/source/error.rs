use std::fmt;

use super::fields::camel_case;
use crate::RowError;

/// What is wrong with a source's type or configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field of the configuration, as the API writes it; empty if it is the configuration as a
    /// whole. `None` if it is the type.
    pub field: Option<String>,
    /// A sentence for whoever wrote it. It repeats no secret.
    pub why: String,
}

impl ConfigError {
    /// Of a field.
    pub(super) fn new(field: &str, why: impl Into<String>) -> Self {
        let field = field.chars().take(100).collect();
        Self { field: Some(field), why: why.into() }
    }

    /// Of the type.
    pub(super) fn of_type(why: impl Into<String>) -> Self {
        Self { field: None, why: why.into() }
    }
}

impl From<RowError> for ConfigError {
    fn from(error: RowError) -> Self {
        match error.field.strip_prefix("settings.") {
            // What a setting holds may be hidden.
            Some(name) => Self::new(&camel_case(name), error.why),
            None => Self::new(&error.field.clone(), error.to_string()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_deref() {
            None => write!(f, "type: {}", self.why),
            Some("") => f.write_str(&self.why),
            Some(field) => write!(f, "config.{field}: {}", self.why),
        }
    }
}

impl std::error::Error for ConfigError {}
