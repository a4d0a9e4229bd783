//! `hookwright providers sample`: a test event, signed as the provider would sign it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, ensure};
use clap::{Arg, ArgMatches, Command, value_parser};
use domain::entropy::Entropy;
use providers::{Provider, Sample, Secret, SignError, SignedRequest};
use url::{Position, Url};

use super::send;
use crate::{
    commands::{sender, streams},
    config::Config,
    env::SystemEntropy,
};

/// A longer body is refused, in bytes.
const LONGEST_BODY: usize = 25 * 1024 * 1024;
/// What is signed as the URL if none is given.
const NO_URL: &str = "https://receiver.example/in";

/// The command's arguments.
pub fn command() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("sample")
        .about("Send a test event, signed as the provider would, or print it")
        .after_help(
            "Exit status: 0 if it was answered with 2xx, or printed; 1 otherwise. Where a provider \
             signs with a key pair, the secret is the private key, and a source has the public one.",
        )
        .arg(Arg::new("id").value_name("ID").required(true).help("Whose event it is to be"))
        .args(sender::arguments())
        .arg(text("to", "URL", "Where to send it [nowhere: the request is printed]"))
        .arg(text("url", "URL", "The public URL that is signed, if it is another than --to"))
        .arg(
            text("event-type", "TYPE", "Its type, where the provider has types")
                .default_value("sample.event"),
        )
        .arg(text("event-id", "ID", "Its id, where the provider has ids [a new one]"))
        .arg(
            text("body", "FILE", "Its body, to the byte; - is the standard input [made up]")
                .value_parser(value_parser!(PathBuf)),
        )
}

/// Signs, and sends or prints.
pub fn run(
    arguments: &ArgMatches,
    config: impl FnOnce() -> anyhow::Result<Config>,
) -> anyhow::Result<ExitCode> {
    let text = |key: &str| arguments.get_one::<String>(key).map(String::as_str);
    let provider = sender::known(text("id").context("an id is required")?)?;
    let provider = sender::configured(provider, arguments)?;
    let secrets = sender::secrets(&provider, arguments)?;
    ensure!(secrets.len() < 2, "one secret signs: give one, not {}", secrets.len());
    let secret = secrets.into_iter().next().unwrap_or_else(|| Secret::new(""));
    let to = text("to").map(|to| sender::address("--to", to)).transpose()?;
    let public = text("url").map(|url| sender::address("--url", url).map(|_| url)).transpose()?;
    let body = arguments.get_one::<PathBuf>("body");
    let body = body.map(|path| streams::read(path, LONGEST_BODY).context("--body")).transpose()?;
    let sample = Sample {
        url: public.or(text("to")).unwrap_or(NO_URL).to_owned(),
        id: text("event-id").map_or_else(new_id, str::to_owned),
        event_type: text("event-type").unwrap_or_default().to_owned(),
        body,
    };
    let made = provider
        .sign(&sample, &secret, sender::time(arguments)?)
        .map_err(|error| anyhow::anyhow!(refusal(&provider, &error)))?;
    for (name, value) in &made.headers {
        // A secret of several lines would end the header, and begin another.
        ensure!(
            !value.chars().any(char::is_control),
            "the header {name} would hold a line end or another control character: is the secret \
             the right one?"
        );
    }
    match to {
        Some(to) => send::send(&to, &sample, made, &config()?),
        None => {
            streams::print(&raw(&made)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn new_id() -> String {
    let mut random = [0; 10];
    SystemEntropy.fill(&mut random);
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("evt_{hex}")
}

/// What cannot be signed, and what can be done instead.
fn refusal(provider: &Provider, error: &SignError) -> String {
    let name = &provider.row().name;
    match error {
        SignError::OnlyTheProvider => {
            format!("{name}: {error}; ask it for a test event, and see it with `hookwright verify`")
        }
        SignError::Sample(_) => {
            format!("{name}: {error} (--event-id, --event-type and --body say what is in it)")
        }
        SignError::Secret(_) | SignError::Setting(_) => format!("{name}: {error}"),
    }
}

/// As `hookwright verify` reads it. The target has its scheme and host only where that is not `https`,
/// which a reader would take for granted.
fn raw(made: &SignedRequest) -> anyhow::Result<Vec<u8>> {
    let url: Url = made.url.parse().context("the signed URL")?;
    let (scheme, rest) = made.url.split_once("://").context("the signed URL")?;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    // As signed, to the byte: a URL that was read and written again may have another spelling.
    let target = match rest.find('/') {
        Some(path) if scheme == "https" && rest.starts_with(host) => &rest[path..],
        _ => &made.url,
    };
    let mut text = format!("{} {target} HTTP/1.1\r\nHost: {host}\r\n", made.method);
    for (name, value) in &made.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", made.body.len()));
    Ok([text.as_bytes(), &made.body].concat())
}
