//! What `verify` and `providers sample` are told in place of a source: the provider, its settings, the
//! secrets, the time.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use clap::{Arg, ArgAction, ArgMatches, parser::ValueSource, value_parser};
use domain::clock::{Clock, Timestamp};
use providers::{Provider, Secret, catalogue};
use url::{Host, Url};

use super::streams;
use crate::env::SystemClock;

/// The environment variable with a secret, which is no setting of the server.
pub const SECRET_VARIABLE: &str = "HOOKWRIGHT_PROVIDER_SECRET";
/// More are not tried by the verifier.
const MOST_SECRETS: usize = 16;
const LONGEST_SECRET: usize = 64 * 1024;
/// Providers that are proposed for a name that is not known.
const MOST_HINTS: usize = 3;

/// The arguments for secrets, settings and the time.
pub fn arguments() -> [Arg; 4] {
    [
        Arg::new("secret")
            .long("secret")
            .value_name("SECRET")
            .action(ArgAction::Append)
            .env(SECRET_VARIABLE)
            .hide_env_values(true)
            .help("A secret, as the provider shows it; the shell may keep it in its history"),
        Arg::new("secret-file")
            .long("secret-file")
            .value_name("FILE")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf))
            .help("A file with one secret; a line end at its end is no part of it"),
        Arg::new("setting")
            .long("setting")
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .help("What the provider needs beside secrets; `providers ID` lists it"),
        Arg::new("at")
            .long("at")
            .value_name("TIME")
            .help("The time that timestamps are held against, RFC 3339 or Unix seconds [now]"),
    ]
}

/// The provider of the catalogue with this id.
pub fn known(id: &str) -> anyhow::Result<&'static Provider> {
    catalogue::find(id).ok_or_else(|| {
        let near = near(id);
        let hint = match near.is_empty() {
            true => String::new(),
            false => format!(" (did you mean {}?)", near.join(", ")),
        };
        anyhow!("there is no provider {id:?}{hint}; `hookwright providers` lists them all")
    })
}

fn near(id: &str) -> Vec<&'static str> {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    };
    let wanted = plain(id);
    let resembles = |text: &str| {
        let text = plain(text);
        let shared = text.chars().zip(wanted.chars()).take_while(|(a, b)| a == b).count();
        let longest = text.len().max(wanted.len());
        (wanted.len() >= 3 && text.contains(&wanted)) || (shared >= 3 && shared * 3 >= longest * 2)
    };
    let rows = catalogue::all().iter().map(Provider::row);
    let near = rows.filter(|row| resembles(&row.id) || resembles(&row.name));
    near.map(|row| row.id.as_str()).take(MOST_HINTS).collect()
}

/// The provider with the settings of the command line.
pub fn configured(provider: &Provider, arguments: &ArgMatches) -> anyhow::Result<Provider> {
    let mut settings = BTreeMap::new();
    for given in arguments.get_many::<String>("setting").into_iter().flatten() {
        let Some((name, value)) = given.split_once('=') else {
            bail!("--setting {given:?}: write it as NAME=VALUE");
        };
        let before = settings.insert(name.to_owned(), value.to_owned());
        ensure!(before.is_none(), "--setting {name:?} is given twice");
    }
    let row = provider.row();
    let there_are = || match row.settings.is_empty() {
        true => format!("{} has no settings", row.name),
        false => {
            let each = row.settings.iter().map(|(name, s)| format!("{name} ({})", s.about));
            format!("settings of {}: {}", row.name, each.collect::<Vec<_>>().join("; "))
        }
    };
    let provider = provider.configured(&settings).with_context(there_are)?;
    if let Some(missing) = provider.missing_settings().first() {
        bail!("{} needs --setting {missing}=VALUE; {}", row.name, there_are());
    }
    Ok(provider)
}

/// The secrets given; what the environment holds counts only where the command line has none.
pub fn secrets(provider: &Provider, arguments: &ArgMatches) -> anyhow::Result<Vec<Secret>> {
    let files: Vec<&PathBuf> = arguments.get_many("secret-file").into_iter().flatten().collect();
    let of_environment = arguments.value_source("secret") == Some(ValueSource::EnvVariable);
    let mut secrets = Vec::new();
    if files.is_empty() || !of_environment {
        for text in arguments.get_many::<String>("secret").into_iter().flatten() {
            let flag = if of_environment { SECRET_VARIABLE } else { "--secret" };
            ensure!(!text.is_empty(), "{flag} is empty");
            secrets.push(Secret::new(text.as_str()));
        }
    }
    for path in files {
        let bytes = streams::read(path, LONGEST_SECRET).context("--secret-file")?;
        let shown = path.display();
        let text = String::from_utf8(bytes)
            .ok()
            .with_context(|| format!("--secret-file {shown}: a secret is text in UTF-8"))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        ensure!(!line.is_empty(), "--secret-file {shown} is empty");
        secrets.push(Secret::new(line));
    }
    ensure!(secrets.len() <= MOST_SECRETS, "at most {MOST_SECRETS} secrets are tried");
    ensure!(
        !secrets.is_empty() || !provider.needs_secret(),
        "{} takes a secret: give it with --secret-file, in {SECRET_VARIABLE}, or with --secret",
        provider.row().name
    );
    Ok(secrets)
}

/// The time of `--at`, or now.
pub fn time(arguments: &ArgMatches) -> anyhow::Result<Timestamp> {
    let Some(text) = arguments.get_one::<String>("at") else {
        return Ok(SystemClock::new().now());
    };
    if let Ok(seconds) = text.parse::<i64>() {
        // Beyond what a calendar holds it can only be another unit.
        ensure!(
            jiff::Timestamp::from_second(seconds).is_ok(),
            "--at {text}: give seconds since 1970, not milliseconds"
        );
        return Ok(Timestamp::from_secs(seconds));
    }
    text.parse().map_err(|_| {
        anyhow!("--at {text:?}: a time is 2026-01-31T12:00:00Z, or seconds since 1970: 1769860800")
    })
}

/// An address of http or https, from a flag.
pub fn address(flag: &str, text: &str) -> anyhow::Result<Url> {
    let url: Url = text.parse().with_context(|| format!("{flag} {text:?} is not a URL"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "{flag} {text:?}: a URL begins with http:// or https:// and names a host"
    );
    Ok(url)
}

/// Whether a URL leads to this machine.
pub fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
