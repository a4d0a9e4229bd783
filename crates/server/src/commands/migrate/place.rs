//! Stores, as the command line names them.

use std::{path::PathBuf, sync::Arc};

use anyhow::bail;
use domain::clock::Clock;
use url::Url;

use crate::{backend::Backend, config::Config, keys};

/// A store, as it is named on the command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// `sqlite:DIR`.
    Files(PathBuf),
    /// `postgres://…`.
    Postgres(String),
}

impl Place {
    /// What a name stands for.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite:") {
            Some(dir) if !dir.is_empty() => Ok(Self::Files(dir.into())),
            // What stands there may have a password in it.
            _ => bail!(
                "expected sqlite:DIR (a data directory), or a URL like \
                 postgres://user:password@host:5432/database"
            ),
        }
    }

    /// Without the password.
    pub fn shown(&self) -> String {
        match self {
            Self::Files(dir) => format!("sqlite:{}", dir.display()),
            Self::Postgres(url) => match Url::parse(url) {
                Ok(mut url) => {
                    // There is nothing to take away where this fails.
                    let _ = url.set_password(None);
                    url.set_query(None);
                    url.into()
                }
                Err(_) => "(a URL)".into(),
            },
        }
    }

    /// The configuration of a server that keeps everything there.
    fn configured(&self, config: &Config) -> Config {
        let config = config.clone();
        match self {
            Self::Files(dir) => Config { store: None, data_dir: dir.clone(), ..config },
            Self::Postgres(url) => Config { store: Some(url.clone()), ..config },
        }
    }

    /// Opens what is to be moved, with the key that was given for it, or its own, or the configured one.
    pub async fn open_source(
        &self,
        config: &Config,
        key: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Backend> {
        let mut config = self.configured(config);
        if let Some(key) = key {
            config = Config { master_key: Some(key.to_owned()), old_master_key: None, ..config };
        } else if let Self::Files(dir) = self
            && dir.join(keys::MASTER_KEY_FILE).exists()
        {
            config.master_key = None;
        }
        Backend::open(&config, clock).await
    }

    /// Opens what is to be moved into, making what is not there yet, a master key too.
    pub async fn open_target(
        &self,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Backend> {
        let config = self.configured(config);
        let has_key =
            config.master_key.is_some() || config.data_dir.join(keys::MASTER_KEY_FILE).exists();
        match self {
            // The data directory, if it is the source, is ours already.
            Self::Postgres(_) if has_key => Backend::open(&config, clock).await,
            _ => Backend::open_or_make(&config, clock).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_and_passwords_are_not_shown() {
        let place = |text| Place::parse(text).expect("a place");
        assert_eq!(place("sqlite:./data"), Place::Files("./data".into()));
        assert_eq!(place("sqlite:./data").shown(), "sqlite:./data");
        let url = "postgres://me:hush@host:5432/hooks?sslmode=require";
        assert_eq!(place(url), Place::Postgres(url.into()));
        assert_eq!(place(url).shown(), "postgres://me@host:5432/hooks");
        for text in ["", "sqlite:", "./data", "mysql://me:hush@host/hooks", "postgres:hush"] {
            let error = Place::parse(text).expect_err(text).to_string();
            assert!(error.contains("sqlite:DIR") && !error.contains("hush"), "{error}");
        }
    }
}
