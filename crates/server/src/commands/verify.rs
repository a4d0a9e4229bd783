//! `hookwright verify`: whether a captured request is genuine, and if not, why.

mod captured;
mod chunked;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use domain::clock::Timestamp;
use providers::{
    Genuine, Keys, LONGEST_KEY, Provider, Reason, Request, Secret, Verdict,
    doctor::{self, Diagnosis, Finding},
    row::Scheme,
};

use self::captured::Captured;
use super::{providers::key_words, sender, streams};

/// A longer file is refused, in bytes.
const LONGEST_FILE: usize = 25 * 1024 * 1024;
/// Nothing could be said: neither genuine nor not.
const NO_ANSWER: u8 = 2;

/// The command's arguments.
pub fn command() -> Command {
    Command::new("verify")
        .about("Say whether a captured request is genuine, and if not, why")
        .after_help(
            "FILE is the request as it arrived: raw HTTP (request line, headers, empty line, body to \
             the byte), or JSON with method, url, headers and bodyBase64. Exit status: 0 genuine, 1 \
             not, 2 it cannot be said.",
        )
        .arg(
            Arg::new("provider")
                .long("provider")
                .value_name("ID")
                .required(true)
                .help("Who is said to have sent it; `hookwright providers` lists them"),
        )
        .args(sender::arguments())
        .arg(
            Arg::new("url")
                .long("url")
                .value_name("URL")
                .help("The URL as the sender knows it [that of the file, or https and its Host]"),
        )
        .arg(
            Arg::new("key")
                .long("key")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("What the address of the provider's key answered, where it is asked for"),
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The request; - is the standard input"),
        )
}

/// Says what it finds. Opens no connection.
pub fn run(arguments: &ArgMatches) -> ExitCode {
    match answer(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hookwright: {error:#}");
            ExitCode::from(NO_ANSWER)
        }
    }
}

/// A request, and everything that it is judged by.
struct Case {
    provider: Provider,
    secrets: Vec<Secret>,
    now: Timestamp,
    captured: Captured,
}

fn answer(arguments: &ArgMatches) -> anyhow::Result<bool> {
    let id = arguments.get_one::<String>("provider").context("--provider is required")?;
    let provider = sender::configured(sender::known(id)?, arguments)?;
    let secrets = sender::secrets(&provider, arguments)?;
    let now = sender::time(arguments)?;
    let url = arguments.get_one::<String>("url").map(String::as_str);
    url.map(|url| sender::address("--url", url)).transpose()?;
    let path = arguments.get_one::<PathBuf>("file").context("a file is required")?;
    let file = streams::read(path, LONGEST_FILE)?;
    let captured = Captured::read(&file, url).with_context(|| path.display().to_string())?;
    let case = Case { provider, secrets, now, captured };
    let diagnosis = case.diagnose(arguments.get_one::<PathBuf>("key").map(PathBuf::as_path))?;
    let (genuine, lines) = match &diagnosis.verdict {
        Verdict::Genuine(genuine) => (true, case.genuine(genuine)),
        _ => (false, case.findings(&diagnosis)),
    };
    streams::print(format!("{}\n", lines.join("\n")).as_bytes())?;
    Ok(genuine)
}

impl Case {
    fn diagnose(&self, key: Option<&Path>) -> anyhow::Result<Diagnosis> {
        let mut keys = Keys::new();
        let ask = |keys: &Keys| {
            self.with_request(|request| {
                doctor::diagnose(&self.provider, request, &self.secrets, self.now, keys)
            })
        };
        let mut diagnosis = ask(&keys);
        if let (Verdict::NeedsKey(wanted), Some(path)) = (&diagnosis.verdict, key) {
            keys.insert(wanted.url.clone(), streams::read(path, LONGEST_KEY).context("--key")?);
            diagnosis = ask(&keys);
        }
        if let Verdict::NeedsKey(wanted) = &diagnosis.verdict {
            bail!(
                "{} publishes the key that this request is signed with at {}: save what that \
                 answers, and name the file with --key",
                self.provider.row().name,
                wanted.url
            );
        }
        Ok(diagnosis)
    }

    fn with_request<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let Captured { method, url, headers, body, .. } = &self.captured;
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        ask(&Request { method, url, headers: &headers, body })
    }

    fn genuine(&self, genuine: &Genuine) -> Vec<String> {
        let row = self.provider.row();
        let mut lines = vec![match row.scheme {
            Scheme::None => format!(
                "nothing tells genuine from not: {} signs nothing, and whoever knows the address can \
                 send this",
                row.name
            ),
            _ => format!("genuine: {}", row.name),
        }];
        if let (Some(index), true) = (genuine.secret, self.secrets.len() > 1) {
            lines.push(format!("- it fits secret {} of {}", index + 1, self.secrets.len()));
        }
        if let Some(sent) = genuine.sent_at {
            let ago = self.now.as_secs().saturating_sub(sent.as_secs());
            let side = if ago < 0 { "after" } else { "before" };
            lines.push(format!("- signed at {sent}, {} s {side} the check", ago.unsigned_abs()));
        }
        if let Some(id) = &genuine.event_id {
            let signed =
                if row.event_id_signed { "" } else { ", which the signature does not cover" };
            lines.push(format!("- event id {id}{signed}"));
        }
        if let Some(kind) = &genuine.event_type {
            lines.push(format!("- event type {kind}"));
        }
        if self.is_question(true) {
            lines.push("- a question that the sender asks, and no event".to_owned());
        }
        lines
    }

    fn findings(&self, diagnosis: &Diagnosis) -> Vec<String> {
        let row = self.provider.row();
        let mut lines = vec![format!("not genuine: {}", row.name)];
        lines.extend(diagnosis.findings.iter().map(|finding| format!("- {finding}")));
        let found = |wanted: &[Finding]| diagnosis.findings.iter().any(|f| wanted.contains(f));
        if found(&[Finding::Refused(Reason::UnusableSecret)]) {
            lines.push(match row.scheme {
                Scheme::Hmac | Scheme::Asym => {
                    format!("- the secret of {} is {}", row.name, key_words(row.key))
                }
                _ => format!("- `hookwright providers {}` says which secret it is", row.id),
            });
        }
        if let Some(length) = self.captured.other_length() {
            lines.push(format!(
                "- the request says that its body has {length} bytes, and the file has {}: it was \
                 not captured to the byte",
                self.captured.body.len()
            ));
        }
        let signs_url = row.signed.as_ref().is_some_and(|signed| signed.contains("{url}"));
        if self.captured.url_guessed && signs_url && found(&[Finding::NothingFits]) {
            let guess = "- the URL is signed too, and was taken from the Host header: --url names the \
                         one that the sender knows";
            lines.push(guess.to_owned());
        }
        if self.is_question(false) {
            let question = "- it is a question that the sender asks before its events: that comes \
                            unsigned, and a source answers it";
            lines.push(question.to_owned());
        }
        if self.provider.experimental() {
            lines.push(format!(
                "- what is known of how {} signs has not been checked (experimental): it may be \
                 wrong here",
                row.name
            ));
        }
        lines
    }

    /// Whether a source would answer the request as a question, with a success.
    fn is_question(&self, verified: bool) -> bool {
        let ask = |request: &Request<'_>| self.provider.challenge(request, &self.secrets, verified);
        self.with_request(ask).is_some_and(|reply| reply.status < 300)
    }
}
