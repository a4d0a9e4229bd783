//! Keys: the master key that secrets are sealed with, and the secret that tokens are signed with.
//!
//! Whoever changes the key file holds the data directory: see [`store_embedded::DirectoryLock`].

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context, bail, ensure};
use api::{JwtAlgorithm, Keys};
use domain::entropy::Entropy;
use store::vault::Vault;
use store_embedded::DATABASE_FILE;

use crate::{config::Config, private_file, weak_secret};

/// The generated master key, in the data directory.
pub const MASTER_KEY_FILE: &str = "master.key";

/// The key that tokens are signed and verified with. Refuses an empty, short or known secret.
pub fn jwt_keys(config: &Config) -> anyhow::Result<Keys> {
    let hmac = [JwtAlgorithm::Hs256, JwtAlgorithm::Hs384, JwtAlgorithm::Hs512];
    if hmac.contains(&config.jwt_algorithm) {
        check_jwt_secret(&config.jwt_secret)?;
        return Ok(Keys::new(config.jwt_algorithm, config.jwt_secret.as_bytes())?);
    }
    let path = config
        .jwt_key
        .as_ref()
        .context("`jwt_key` must name a PEM file: `jwt_algorithm` needs one")?;
    let pem = fs::read(path).with_context(|| format!("`jwt_key`: reading {}", path.display()))?;
    Keys::new(config.jwt_algorithm, &pem).with_context(|| format!("`jwt_key`: {}", path.display()))
}

fn check_jwt_secret(secret: &str) -> anyhow::Result<()> {
    ensure!(
        !weak_secret::is_weak(secret),
        "`jwt_secret` is empty, short or well known: set it to at least {} random characters, for \
         example with HOOKWRIGHT_JWT_SECRET=$(openssl rand -hex 32)",
        weak_secret::MIN_CHARS
    );
    Ok(())
}

/// Makes the master key where none is configured and the data directory has none.
pub fn ensure_master_key(config: &Config, entropy: &dyn Entropy) -> anyhow::Result<()> {
    let path = master_key_file(config);
    if config.master_key.is_some() || path.exists() {
        return Ok(());
    }
    ensure!(
        !config.data_dir.join(DATABASE_FILE).exists(),
        "there is a database in {} but not its {MASTER_KEY_FILE}: put that file beside it again, or \
         give the key as `master_key`",
        config.data_dir.display()
    );
    private_file::read_or_make(&path, || random_key(entropy)).map(drop)
}

/// The ring of master keys: the configured ones, or those in the data directory.
pub fn vault(config: &Config, entropy: &Arc<dyn Entropy>) -> anyhow::Result<Vault> {
    let mut keys = Vec::new();
    if let Some(old) = &config.old_master_key {
        keys.push(parse(old).context("`old_master_key`")?);
    }
    match &config.master_key {
        Some(key) => keys.push(parse(key).context("`master_key`")?),
        None => {
            let path = master_key_file(config);
            for line in read(config)?.lines().filter(|line| !line.trim().is_empty()) {
                keys.push(parse(line).with_context(|| path.display().to_string())?);
            }
        }
    }
    Ok(Vault::new(&keys, entropy.clone())?)
}

/// Adds a new key behind the ones in the data directory: it seals from now on, the others open.
pub fn add_master_key(config: &Config, entropy: &dyn Entropy) -> anyhow::Result<()> {
    let old = read(config)?;
    let keys = format!("{}\n{}", old.trim_end(), random_key(entropy));
    private_file::replace(&master_key_file(config), &keys)
}

/// Leaves only the newest key in the data directory.
pub fn drop_old_master_keys(config: &Config) -> anyhow::Result<()> {
    let keys = read(config)?;
    let newest = keys.lines().last().context("the key file is empty")?;
    private_file::replace(&master_key_file(config), newest)
}

fn master_key_file(config: &Config) -> PathBuf {
    config.data_dir.join(MASTER_KEY_FILE)
}

fn read(config: &Config) -> anyhow::Result<String> {
    let path = master_key_file(config);
    fs::read_to_string(&path).with_context(|| format!("the master key: {}", path.display()))
}

/// A new key, as text.
pub fn random_key(entropy: &dyn Entropy) -> String {
    let mut key = [0; 32];
    entropy.fill(&mut key);
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(text: &str) -> anyhow::Result<[u8; 32]> {
    let text = text.trim();
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        bail!("a master key is 64 hexadecimal digits (openssl rand -hex 32)");
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).expect("ASCII");
        *byte = u8::from_str_radix(digits, 16)
            .context("a master key is 64 hexadecimal digits (openssl rand -hex 32)")?;
    }
    ensure!(key.iter().any(|byte| *byte != key[0]), "a master key must be random");
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use domain::entropy::SeededEntropy;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let mut sources = Sources::default();
        for (key, value) in pairs {
            sources.set("test", key, (*value).to_owned()).expect("a setting");
        }
        sources.config().expect("valid")
    }

    #[test]
    fn refuses_weak_token_secrets() {
        for weak in ["", "changemechangemechangeme"] {
            assert!(jwt_keys(&config(&[("jwt_secret", weak)])).is_err(), "{weak}");
        }
        assert!(jwt_keys(&config(&[("jwt_secret", "p9Zr2kQ7vXw4Lm1N")])).is_ok());
        assert!(jwt_keys(&config(&[("jwt_algorithm", "EdDSA")])).is_err());
    }

    #[test]
    fn makes_keeps_and_rotates_the_master_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = config(&[("data_dir", dir.path().to_str().expect("UTF-8"))]);
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(5));
        assert!(vault(&config, &entropy).is_err(), "only `ensure_master_key` makes one");
        ensure_master_key(&config, &*entropy).expect("made");
        let first = vault(&config, &entropy).expect("read");
        ensure_master_key(&config, &*entropy).expect("there");
        assert_eq!(vault(&config, &entropy).expect("read").newest(), first.newest());
        let sealed = first.seal(b"x", b"secret");
        add_master_key(&config, &*entropy).expect("added");
        let both = vault(&config, &entropy).expect("read");
        assert_ne!(both.newest(), first.newest());
        assert!(both.open(b"x", &sealed).is_ok());
        drop_old_master_keys(&config).expect("dropped");
        let new = vault(&config, &entropy).expect("read");
        assert_eq!(new.newest(), both.newest());
        assert!(new.open(b"x", &sealed).is_err());
    }

    /// A new key would open nothing of it, and hide that the right one is missing.
    #[test]
    fn makes_no_key_beside_a_database() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = config(&[("data_dir", dir.path().to_str().expect("UTF-8"))]);
        fs::write(dir.path().join(DATABASE_FILE), "").expect("written");
        let error = ensure_master_key(&config, &SeededEntropy::new(5)).expect_err("refused");
        assert!(error.to_string().contains("not its master.key"), "{error}");
        assert!(!master_key_file(&config).exists());
    }
}
