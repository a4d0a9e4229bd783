//! Keys: the master key that secrets are sealed with, and the secret that tokens are signed with.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use api::{JwtAlgorithm, Keys};
use domain::entropy::Entropy;
use store::vault::Vault;

use crate::config::Config;

/// The generated master key, in the data directory.
const MASTER_KEY_FILE: &str = "master.key";
/// Shortest secret for tokens.
const MIN_JWT_SECRET: usize = 16;
/// Secrets that stand in examples everywhere.
const KNOWN_SECRETS: [&str; 8] =
    ["secret", "changeme", "change-me", "password", "example", "svix", "hookwright", "jwt_secret"];

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
    let known = KNOWN_SECRETS.iter().any(|known| {
        secret.to_lowercase().replace(known, "").chars().all(|c| !c.is_alphanumeric())
    });
    let repeated = secret.chars().all(|c| Some(c) == secret.chars().next());
    ensure!(
        secret.len() >= MIN_JWT_SECRET && !known && !repeated,
        "`jwt_secret` is empty, short or well known: set it to at least {MIN_JWT_SECRET} random \
         characters, for example with HOOKWRIGHT_JWT_SECRET=$(openssl rand -hex 32)"
    );
    Ok(())
}

/// The ring of master keys: the configured ones, or the one in the data directory, which is made if
/// there is none.
pub fn vault(config: &Config, entropy: &Arc<dyn Entropy>) -> anyhow::Result<Vault> {
    let mut keys = Vec::new();
    if let Some(old) = &config.old_master_key {
        keys.push(parse(old).context("`old_master_key`")?);
    }
    match &config.master_key {
        Some(key) => keys.push(parse(key).context("`master_key`")?),
        None => {
            let path = config.data_dir.join(MASTER_KEY_FILE);
            let lines = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let mut key = [0; 32];
                    entropy.fill(&mut key);
                    let text = hex(&key);
                    write_private(&path, &text)?;
                    text
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("reading {}", path.display()));
                }
            };
            for line in lines.lines().filter(|line| !line.trim().is_empty()) {
                keys.push(parse(line).with_context(|| path.display().to_string())?);
            }
        }
    }
    Ok(Vault::new(&keys, entropy.clone())?)
}

/// Adds a new key behind the ones in the data directory: it seals from now on, the others open.
pub fn add_master_key(config: &Config, entropy: &Arc<dyn Entropy>) -> anyhow::Result<()> {
    ensure!(
        config.master_key.is_none(),
        "the master key is configured: give the new one as `master_key` and the present one as \
         `old_master_key`, then run this again"
    );
    let path = config.data_dir.join(MASTER_KEY_FILE);
    let old = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut key = [0; 32];
    entropy.fill(&mut key);
    write_private(&path, &format!("{}\n{}", old.trim_end(), hex(&key)))
}

/// Leaves only the newest key in the data directory.
pub fn drop_old_master_keys(config: &Config) -> anyhow::Result<()> {
    let path = config.data_dir.join(MASTER_KEY_FILE);
    let keys = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let newest = keys.lines().last().context("the key file is empty")?;
    write_private(&path, newest)
}

/// The text of a private file, made by `make` if it is not there.
pub fn private_file(path: &Path, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = make();
            write_private(path, &text)?;
            Ok(text)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// 64 hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        for weak in
            ["", "short", "secretsecretsecret", "aaaaaaaaaaaaaaaaaaaa", "svix-SVIX-svix-svix"]
        {
            assert!(jwt_keys(&config(&[("jwt_secret", weak)])).is_err(), "{weak}");
        }
        assert!(jwt_keys(&config(&[("jwt_secret", "p9Zr2kQ7vXw4Lm1N")])).is_ok());
        assert!(jwt_keys(&config(&[("jwt_algorithm", "EdDSA")])).is_err());
    }

    #[test]
    fn makes_keeps_and_rotates_the_master_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let config = config(&[("data_dir", dir.path().to_str().expect("UTF-8"))]);
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(5));
        let first = vault(&config, &entropy).expect("made");
        let mode = fs::metadata(dir.path().join(MASTER_KEY_FILE)).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert_eq!(vault(&config, &entropy).expect("read").newest(), first.newest());
        let sealed = first.seal(b"x", b"secret");
        add_master_key(&config, &entropy).expect("added");
        let both = vault(&config, &entropy).expect("read");
        assert_ne!(both.newest(), first.newest());
        assert!(both.open(b"x", &sealed).is_ok());
        drop_old_master_keys(&config).expect("dropped");
        let new = vault(&config, &entropy).expect("read");
        assert_eq!(new.newest(), both.newest());
        assert!(new.open(b"x", &sealed).is_err());
    }
}
