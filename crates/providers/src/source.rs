//! From a source's type and configuration, as the API takes them, to a provider and its secrets.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Provider, Secret, catalogue};

/// A provider with a source's settings, and what its requests are verified with.
#[derive(Clone, Debug)]
pub struct Configured {
    /// Who sends.
    pub provider: Provider,
    /// Any of them verifies.
    pub secrets: Vec<Secret>,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct ConfigError {
    /// The field of the configuration.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a configuration.
pub fn configured(kind: &str, config: &Value) -> Result<Configured, ConfigError> {
    let error = |field: &str, why: String| ConfigError { field: field.into(), why };
    let provider = catalogue::find(kind)
        .ok_or_else(|| error("type", format!("`{kind}` is no type of source")))?;
    let (mut secrets, mut settings) = (Vec::new(), BTreeMap::new());
    for (name, value) in config.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("secret", Value::String(text)) => secrets.push(Secret::new(text.as_str())),
            (_, Value::String(text)) => {
                settings.insert(name.clone(), text.clone());
            }
            _ => return Err(error(name, "must be a string".into())),
        }
    }
    let provider = provider.configured(&settings).map_err(|e| error("config", e.to_string()))?;
    Ok(Configured { provider, secrets })
}
