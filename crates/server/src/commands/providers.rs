//! `hookwright providers`: who sends webhooks, how they sign, and test events of theirs.

mod explain;
mod sample;
mod send;
mod words;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use providers::{Provider, catalogue, vectors};
use serde_json::{Value, json};

pub use self::words::key_words;
use super::{sender, streams};
use crate::config::Config;

/// The command's arguments.
pub fn command() -> Command {
    let json = || {
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print it as JSON instead")
    };
    let id = || Arg::new("id").value_name("ID");
    Command::new("providers")
        .about("List the senders of webhooks that are known, or explain one")
        .args_conflicts_with_subcommands(true)
        .arg(id().help("The one to explain [all, as a list]"))
        .arg(json())
        .subcommand(Command::new("show").about("Explain one").arg(id().required(true)).arg(json()))
        .subcommand(
            Command::new("check").about("Run files of test vectors against the verifiers").arg(
                Arg::new("dir")
                    .value_name("DIR")
                    .required(true)
                    .value_parser(value_parser!(PathBuf))
                    .help("A directory of .json files"),
            ),
        )
        .subcommand(sample::command())
}

/// Lists, explains, checks or sends. The configuration is asked for only where something is sent.
pub fn run(
    arguments: &ArgMatches,
    config: impl FnOnce() -> anyhow::Result<Config>,
) -> anyhow::Result<ExitCode> {
    match arguments.subcommand() {
        None => match arguments.get_one::<String>("id") {
            Some(_) => show(arguments),
            None => list(arguments.get_flag("json")),
        },
        Some(("show", arguments)) => show(arguments),
        Some(("check", arguments)) => {
            check(arguments.get_one::<PathBuf>("dir").context("a directory is required")?)
        }
        Some(("sample", arguments)) => sample::run(arguments, config),
        Some((other, _)) => anyhow::bail!("there is no command `providers {other}`"),
    }
}

fn list(as_json: bool) -> anyhow::Result<ExitCode> {
    let all = catalogue::all();
    let text = if as_json {
        format!("{:#}\n", Value::Array(all.iter().map(summary).collect()))
    } else {
        let width = all.iter().map(|p| p.row().id.len()).max().unwrap_or(0);
        let lines = all.iter().map(|provider| {
            let row = provider.row();
            let mark = if provider.experimental() { "  (experimental)" } else { "" };
            format!("{:width$}  {:6}  {}{mark}\n", row.id, row.scheme.word(), row.name)
        });
        lines.collect()
    };
    streams::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn summary(provider: &Provider) -> Value {
    let row = provider.row();
    json!({
        "id": row.id,
        "aliases": row.aliases,
        "name": row.name,
        "category": row.category,
        "scheme": row.scheme,
        "experimental": provider.experimental(),
        "needsSecret": provider.needs_secret(),
        "docs": row.docs,
    })
}

fn show(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let id = arguments.get_one::<String>("id").context("an id is required")?;
    let provider = sender::known(id)?;
    let text = if arguments.get_flag("json") {
        let mut shown = summary(provider);
        shown["row"] = serde_json::to_value(provider.row()).context("the row")?;
        format!("{shown:#}\n")
    } else {
        explain::explain(provider)
    };
    streams::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn check(dir: &Path) -> anyhow::Result<ExitCode> {
    let report = vectors::check(dir)?;
    let mut text = String::new();
    for wrong in &report.wrong {
        let vectors::Wrong { file, case, expected, said } = wrong;
        text.push_str(&format!("{file}: {case}: expected {expected}, but {said}\n"));
    }
    let total = report.right + report.wrong.len();
    let of = |number: usize, one: &str, many: &str| {
        format!("{} {}", streams::grouped(number), if number == 1 { one } else { many })
    };
    let all = format!("{} of {}", of(total, "case", "cases"), of(report.files, "file", "files"));
    let code = match report.wrong.len() {
        0 => {
            text.push_str(&format!("{all}: all as expected\n"));
            ExitCode::SUCCESS
        }
        wrong => {
            text.push_str(&format!("{all}: {} otherwise than expected\n", streams::grouped(wrong)));
            ExitCode::FAILURE
        }
    };
    streams::print(text.as_bytes())?;
    Ok(code)
}
