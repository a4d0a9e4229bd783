//! From the file, the environment and the command line to a [`Config`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::settings::{Config, SETTINGS, Setting};

/// Environment variables of settings begin with this.
const ENV_PREFIX: &str = "HOOKWRIGHT_";

/// What is wrong with the configuration, and where it stands.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// A key that is not there.
    #[error("{place}: there is no setting `{key}`{hint}; `hookwright config` lists them all")]
    Unknown {
        /// Where it stands.
        place: String,
        /// As written.
        key: String,
        /// A key that looks like it.
        hint: String,
    },
    /// A value that does not fit.
    #[error("{place}: `{key}`: {reason}, not `{value}`")]
    Value {
        /// Where it stands.
        place: String,
        /// The setting.
        key: &'static str,
        /// What would be right.
        reason: String,
        /// As written; secrets are hidden.
        value: String,
    },
}

/// Values as text, by key, with the place each was read from. Later sources win.
#[derive(Debug, Default)]
pub struct Sources {
    values: BTreeMap<&'static str, (String, String)>,
}

impl Sources {
    /// Sets a value from `place`.
    pub fn set(&mut self, place: &str, key: &str, value: String) -> Result<(), ConfigError> {
        let setting = SETTINGS.iter().find(|s| s.key == key).ok_or_else(|| {
            let near = SETTINGS.iter().find(|s| similar(s.key, key));
            ConfigError::Unknown {
                place: place.to_owned(),
                key: key.to_owned(),
                hint: near.map(|s| format!(" (did you mean `{}`?)", s.key)).unwrap_or_default(),
            }
        })?;
        self.values.insert(setting.key, (value, place.to_owned()));
        Ok(())
    }

    /// Reads a TOML file.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let fault = |error: String| ConfigError::File { path: path.to_owned(), error };
        let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| fault(e.to_string()))?;
        let place = path.display().to_string();
        for (key, value) in table {
            let value = text_of(&value).ok_or_else(|| {
                fault(format!("`{key}` must be a text, number, boolean or a list of those"))
            })?;
            self.set(&place, &key, value)?;
        }
        Ok(())
    }

    /// Reads the environment's variables, given as pairs. Unknown ones are refused: a typing error
    /// must not pass for the default. `ignore` names those that are not settings.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
        ignore: &[&str],
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            if let Some(key) = name.strip_prefix(ENV_PREFIX)
                && !ignore.contains(&name.as_str())
            {
                self.set(&format!("environment variable {name}"), &key.to_lowercase(), value)?;
            }
        }
        Ok(())
    }

    /// The configuration in force.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let text_of = |setting: &Setting| {
            self.values.get(setting.key).map_or_else(|| setting.default.to_owned(), |v| v.0.clone())
        };
        Config::read(text_of).map_err(|(key, reason)| {
            let (value, place) = self.values.get(key).cloned().unwrap_or_default();
            let secret = SETTINGS.iter().any(|s| s.key == key && s.secret);
            let value = if secret { "(hidden)".to_owned() } else { value };
            ConfigError::Value { place, key, reason, value }
        })
    }
}

fn text_of(value: &toml::Value) -> Option<String> {
    Some(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Array(items) => {
            items.iter().map(text_of).collect::<Option<Vec<_>>>()?.join(",")
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => return None,
    })
}

/// Whether two keys share most of their letters: good enough to guess what was meant.
fn similar(a: &str, b: &str) -> bool {
    let plain = |t: &str| t.replace(['_', '-', '.'], "").to_lowercase();
    let (a, b) = (plain(a), plain(b));
    let shared = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    a == b || (shared >= 4 && shared * 3 >= a.len().max(b.len()) * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn env(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut sources = Sources::default();
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        sources.environment(pairs, &["HOOKWRIGHT_FAILPOINT"])?;
        sources.config()
    }

    #[test]
    fn defaults_are_valid_and_shown() {
        let config = env(&[]).expect("valid");
        assert_eq!(config.show().len(), SETTINGS.len());
        for (setting, (_, shown)) in SETTINGS.iter().zip(config.show()) {
            let hidden = shown == "(hidden)";
            assert!(!hidden, "{} has a default to hide", setting.key);
        }
    }

    #[test]
    fn later_sources_win_and_secrets_are_hidden() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hookwright.toml");
        let text = "request_timeout = \"7s\"\njwt_secret = \"0123456789abcdef\"\n\
                    allow_addresses = [\"10.0.0.0/8\", \"::1/128\"]\nhttps_only = true\n";
        std::fs::write(&path, text).expect("written");
        let mut sources = Sources::default();
        sources.file(&path).expect("valid");
        let pair = ("HOOKWRIGHT_REQUEST_TIMEOUT".to_owned(), "250ms".to_owned());
        sources.environment([pair], &[]).expect("valid");
        let config = sources.config().expect("valid");
        assert_eq!(config.request_timeout, Duration::from_millis(250));
        assert!(config.https_only);
        assert_eq!(config.allow_addresses.len(), 2);
        let shown = config.show();
        assert!(shown.contains(&("jwt_secret", "(hidden)".to_owned())));
    }

    #[test]
    fn errors_name_the_key_and_the_fix() {
        for (key, value, want) in [
            ("HOOKWRIGHT_REQUEST_TIMEOUT", "5", "`request_timeout`: expected a duration like"),
            ("HOOKWRIGHT_REQUEST_TIMEOUTS", "5s", "(did you mean `request_timeout`?)"),
            ("HOOKWRIGHT_LISTEN", "8071", "`listen`: expected an address and a port"),
            ("HOOKWRIGHT_MASTER_KEY", "x", ""),
            ("HOOKWRIGHT_RETRY_SCHEDULE", "5s, soon", "expected a duration like"),
        ] {
            match env(&[(key, value)]) {
                Ok(_) => assert_eq!(want, "", "{key}={value} was taken"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(want) && text.contains(key), "{text}");
                }
            }
        }
        assert!(env(&[("HOOKWRIGHT_FAILPOINT", "x"), ("OTHER", "y")]).is_ok());
    }
}
