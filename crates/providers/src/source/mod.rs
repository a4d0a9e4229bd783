//! What a source's configuration means: the one place where the JSON that the API takes becomes a
//! provider with its settings and secrets. Names of settings are written `clientId` there and
//! `client_id` in rows.

mod cron;
mod error;
mod fields;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use self::{
    cron::{Cron, Missed, Schedule},
    error::ConfigError,
};
use crate::{Provider, Secret, catalogue, row::Scheme};

/// The type of sources whose configuration is a row of its own.
pub const CUSTOM: &str = "custom";
/// The type of sources that make their events themselves, by the clock.
pub const CRON: &str = "cron";

/// A configuration is no longer than this as JSON, in bytes.
pub const LONGEST_CONFIG: usize = 64 * 1024;

/// Where secrets are in a configuration.
const SECRETS: [&str; 2] = ["secret", "secrets"];
/// Where the secret is as well, if it is a public key.
const PUBLIC_KEY: &str = "publicKey";
/// Svix's name for a bound on timestamps.
const GRACE: &str = "timestampGraceSeconds";

/// A source's provider, with its settings, and the secrets to verify with.
#[derive(Clone, Debug)]
pub struct Configured {
    /// Who sends.
    pub provider: Provider,
    /// In the order given. Empty where none is needed, or the sender will send it.
    pub secrets: Vec<Secret>,
}

/// What a source of type `kind` verifies with. `config` is its configuration as the API takes it: an
/// object, or `null` where nothing has to be set. The error names the field that is wrong. A cron source
/// is sent nothing, so it is refused here: see [`Cron::read`].
pub fn configured(kind: &str, config: &Value) -> Result<Configured, ConfigError> {
    let mut fields = fields::object(config)?;
    match kind {
        CUSTOM => {
            let secrets = fields::secrets(&mut fields, &SECRETS)?;
            fields.entry("id").or_insert_with(|| CUSTOM.into());
            let provider = Provider::custom(&Value::Object(fields).to_string())?;
            finish(Configured { provider, secrets })
        }
        CRON => Err(ConfigError::of_type("a cron source is sent nothing")),
        _ => {
            let provider = catalogue::find(kind).ok_or_else(|| unknown(kind))?;
            of_catalogue(provider, fields)
        }
    }
}

/// Whether a source of this type may be configured so, of whatever kind it is.
pub fn check(kind: &str, config: &Value) -> Result<(), ConfigError> {
    match kind {
        CRON => Cron::read(config).map(drop),
        _ => configured(kind, config).map(drop),
    }
}

/// What is shown of a configuration: all but secrets. `None` where there is nothing to configure.
pub fn shown(kind: &str, config: &Value) -> Option<Value> {
    let mut fields = fields::object(config).unwrap_or_default();
    let hidden = |fields: &mut Map<String, Value>| {
        SECRETS.iter().for_each(|name| drop(fields.remove(*name)));
    };
    match (kind, catalogue::find(kind)) {
        (CRON, _) => {}
        (CUSTOM, _) => hidden(&mut fields),
        (_, Some(provider)) => {
            hidden(&mut fields);
            let settings = &provider.row().settings;
            for (name, _) in settings.iter().filter(|(_, setting)| setting.hidden) {
                fields.remove(&fields::camel_case(name));
            }
            if fields.is_empty() && settings.is_empty() && !provider.needs_secret() {
                return None;
            }
        }
        // Of a type that is not known any more, it is not known what is secret.
        (_, None) => fields.clear(),
    }
    Some(Value::Object(fields))
}

/// The names that a configuration's fields have, with what they are for; secrets aside.
pub fn setting_names(provider: &Provider) -> impl Iterator<Item = (String, &crate::row::Setting)> {
    provider.row().settings.iter().map(|(name, setting)| (fields::camel_case(name), setting))
}

fn of_catalogue(
    provider: &Provider,
    mut fields: Map<String, Value>,
) -> Result<Configured, ConfigError> {
    let row = provider.row();
    let has_key = row.scheme == Scheme::Asym && !row.settings.contains_key("public_key");
    let names = [SECRETS[0], SECRETS[1], PUBLIC_KEY];
    let mut secrets = fields::secrets(&mut fields, &names[..if has_key { 3 } else { 2 }])?;
    let grace = match row.tolerance_s {
        Some(_) => fields::number(&mut fields, GRACE)?,
        None => None,
    };
    let mut settings = BTreeMap::new();
    for (name, setting) in &row.settings {
        let Some(value) = fields::text(&mut fields, &fields::camel_case(name))? else { continue };
        if setting.secret && secrets.is_empty() {
            secrets.push(Secret::new(value.as_str()));
        }
        settings.insert(name.clone(), value);
    }
    if let Some(name) = fields.keys().next() {
        let mut known: Vec<_> = setting_names(provider).map(|(name, _)| name).collect();
        known.extend(row.tolerance_s.map(|_| GRACE.to_owned()));
        known.extend(provider.needs_secret().then(|| SECRETS[0].to_owned()));
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let why = format!("this type has no such field; those it has: {known}");
        return Err(ConfigError::new(name, why));
    }
    let mut provider = provider.configured(&settings)?;
    if let Some(seconds) = grace {
        provider = provider.tolerating(seconds).map_err(|e| ConfigError::new(GRACE, e.why))?;
    }
    finish(Configured { provider, secrets })
}

/// Nothing is missing, and nothing is there that has no meaning.
fn finish(configured: Configured) -> Result<Configured, ConfigError> {
    let Configured { provider, secrets } = &configured;
    if let Some(name) = provider.missing_settings().first() {
        let about = provider.row().settings.get(name).map_or("", |s| s.about.as_str());
        return Err(ConfigError::new(&fields::camel_case(name), format!("is needed: {about}")));
    }
    match (provider.needs_secret(), secrets.is_empty()) {
        (true, true) if !provider.sends_secret() => {
            let asymmetric = provider.row().scheme == Scheme::Asym;
            let field = if asymmetric { PUBLIC_KEY } else { SECRETS[0] };
            Err(ConfigError::new(field, "is needed: requests are verified with it"))
        }
        (false, false) => {
            let why = "this type takes no secret: nothing is verified with one";
            Err(ConfigError::new(SECRETS[0], why))
        }
        _ => Ok(configured),
    }
}

fn unknown(kind: &str) -> ConfigError {
    if kind == "vgs" {
        return ConfigError::of_type("how VGS signs is not known here: use `custom`");
    }
    ConfigError::of_type("there is no such type; GET /api/v1/provider lists them")
}
