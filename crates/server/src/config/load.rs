//! From the file, the environment and the command line to a [`Config`].

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use super::settings::{Config, SETTINGS, Setting};

/// Environment variables of settings begin with this.
const ENV_PREFIX: &str = "HOOKWRIGHT_";

/// What Kubernetes puts into the environment of a pod for a service that is called `hookwright`. It has
/// nothing to do with us.
fn is_of_kubernetes(key: &str) -> bool {
    matches!(key, "SERVICE_HOST" | "PORT")
        || key.starts_with("SERVICE_PORT")
        || key.starts_with("PORT_")
}

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
    /// A value that is no text.
    #[error("{0}: its value is not UTF-8")]
    Text(String),
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
#[derive(Default)]
pub struct Sources {
    values: BTreeMap<&'static str, (String, String)>,
}

impl fmt::Debug for Sources {
    /// Keys and places: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.values.iter().map(|(key, (_, place))| (key, place))).finish()
    }
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
        let table: toml::Table =
            text.parse().map_err(|error| fault(syntax_error(&text, &error)))?;
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
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        ignore: &[&str],
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let name = name.to_string_lossy();
            let Some(key) = name.strip_prefix(ENV_PREFIX) else { continue };
            if ignore.contains(&&*name) || is_of_kubernetes(key) {
                continue;
            }
            let place = format!("environment variable {name}");
            let value = value.into_string().map_err(|_| ConfigError::Text(place.clone()))?;
            self.set(&place, &key.to_lowercase(), value)?;
        }
        Ok(())
    }

    /// The configuration in force.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let text_of = |setting: &Setting| {
            self.values.get(setting.key).map_or_else(|| setting.default.to_owned(), |v| v.0.clone())
        };
        let config = Config::read(text_of).and_then(|config| config.check().map(|()| config));
        config.map_err(|(key, reason)| {
            let default = SETTINGS.iter().find(|s| s.key == key).map_or("", |s| s.default);
            let given = self.values.get(key).cloned();
            let (value, place) =
                given.unwrap_or_else(|| (default.to_owned(), "by default".to_owned()));
            let secret = SETTINGS.iter().any(|s| s.key == key && s.secret);
            let value = if secret { "(hidden)".to_owned() } else { value };
            ConfigError::Value { place, key, reason, value }
        })
    }
}

/// What is wrong with a file, and where. Not what stands there: it may be a secret.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else { return message.to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!("line {line}, column {column}: {message}")
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
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
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
        let pair = ("HOOKWRIGHT_REQUEST_TIMEOUT".into(), "250ms".into());
        sources.environment([pair], &[]).expect("valid");
        let config = sources.config().expect("valid");
        assert_eq!(config.request_timeout, Duration::from_millis(250));
        assert!(config.https_only);
        assert_eq!(config.allow_addresses.len(), 2);
        let shown = config.show();
        assert!(shown.contains(&("jwt_secret", "(hidden)".to_owned())));
        let debug = format!("{sources:?} {config:?}");
        assert!(debug.contains("jwt_secret") && !debug.contains("0123456789abcdef"), "{debug}");
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
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for (key, value, want) in [
            ("HOOKWRIGHT_RETRY_JITTER", "nan", "from 0 to 1"),
            ("HOOKWRIGHT_RETRY_JITTER", "-1", "from 0 to 1"),
            ("HOOKWRIGHT_RETRY_JITTER", "7", "from 0 to 1"),
            ("HOOKWRIGHT_MAX_CONNECTIONS", "0", "from 1 to"),
            ("HOOKWRIGHT_MAX_CONNECTIONS", "4095", "raise it, or lower `max_in_flight`"),
            ("HOOKWRIGHT_REQUEST_TIMEOUT", "0s", "from 100ms to 10m"),
            ("HOOKWRIGHT_MAX_IN_FLIGHT", "0", "from 1 to"),
            ("HOOKWRIGHT_SWEEP_INTERVAL", "0s", "from 100ms to"),
            ("HOOKWRIGHT_HISTORY_RETENTION", "0s", "from 1m to"),
            ("HOOKWRIGHT_API_CONNECTIONS", "18446744073709551615", "from 1 to 1000000"),
            ("HOOKWRIGHT_API_CONNECTIONS", "0", "from 1 to 1000000"),
            ("HOOKWRIGHT_CONNECTION_LIFETIME", "6m", "from 1s to 5m"),
            ("HOOKWRIGHT_DISABLE_AFTER", "0s", "from 1s to"),
            ("HOOKWRIGHT_WINDOW_INITIAL", "513", "at most `window_max`, which is 512"),
            ("HOOKWRIGHT_USER_AGENT", "a\nb", "printable ASCII"),
            ("HOOKWRIGHT_OTLP_ENDPOINT", "https://me:hush@collector", "begins with http://"),
            ("HOOKWRIGHT_PORTAL_FRAME_ANCESTORS", "https://a.example.com/path", "origins like"),
            ("HOOKWRIGHT_PORTAL_FRAME_ANCESTORS", "https://a.example.com; script-src *", "origins"),
            ("HOOKWRIGHT_PORTAL_FRAME_ANCESTORS", "*", "origins like"),
        ] {
            let error = env(&[(key, value)]).expect_err(key).to_string();
            assert!(error.contains(want) && error.contains(key), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        for (key, value) in
            [("DISABLE_AFTER", "none"), ("RETRY_JITTER", "1.0"), ("RETRY_JITTER", "0")]
        {
            assert!(env(&[(&format!("HOOKWRIGHT_{key}"), value)]).is_ok(), "{key}");
        }
    }

    #[test]
    fn what_is_no_setting_of_ours_is_passed_over() {
        for key in [
            "HOOKWRIGHT_FAILPOINT",
            "OTHER",
            "HOOKWRIGHT_SERVICE_HOST",
            "HOOKWRIGHT_SERVICE_PORT",
            "HOOKWRIGHT_SERVICE_PORT_HTTP",
            "HOOKWRIGHT_PORT",
            "HOOKWRIGHT_PORT_8071_TCP_ADDR",
        ] {
            assert!(env(&[(key, "tcp://10.0.0.1:8071")]).is_ok(), "{key}");
        }
        assert!(env(&[("HOOKWRIGHT_SERVICE", "x")]).is_err());
    }

    #[test]
    fn what_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = || OsString::from_vec(vec![0xff, 0xfe]);
        let mut sources = Sources::default();
        sources
            .environment([("OTHER".into(), bytes()), (bytes(), bytes())], &[])
            .expect("not ours");
        let error = sources.environment([("HOOKWRIGHT_LOG".into(), bytes())], &[]);
        let error = error.expect_err("no text").to_string();
        assert!(error.contains("HOOKWRIGHT_LOG") && error.contains("not UTF-8"), "{error}");
    }

    #[test]
    fn errors_in_a_file_do_not_show_what_stands_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hookwright.toml");
        std::fs::write(&path, "https_only = true\njwt_secret = \"hush").expect("written");
        let error = Sources::default().file(&path).expect_err("no end of a text").to_string();
        assert!(error.contains("line 2, column ") && !error.contains("hush"), "{error}");
    }
}
