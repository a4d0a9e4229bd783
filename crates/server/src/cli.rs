//! The command line: commands, and one flag for each setting.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::{
    commands,
    config::{SETTINGS, Sources},
};

/// Environment variables of ours that are no settings.
const NOT_SETTINGS: [&str; 5] = [
    "HOOKWRIGHT_FAILPOINT",
    "HOOKWRIGHT_CONFIG",
    "HOOKWRIGHT_TOKEN",
    FROM_MASTER_KEY,
    commands::sender::SECRET_VARIABLE,
];
const FROM_MASTER_KEY: &str = "HOOKWRIGHT_FROM_MASTER_KEY";

fn command() -> Command {
    let flags = SETTINGS.iter().map(|setting| {
        Arg::new(setting.key)
            .long(setting.key.replace('_', "-"))
            .value_name("VALUE")
            .help(format!("{} [{}]", setting.describe(), setting.default))
            .help_heading("Settings (also HOOKWRIGHT_… in the environment, or keys of the file)")
            .global(true)
            .hide_short_help(true)
    });
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .env("HOOKWRIGHT_CONFIG")
        .global(true)
        .help("TOML file with settings");
    let org =
        Arg::new("org").long("org").value_name("ORG_ID").help("The organization [a default one]");
    let to = Arg::new("to").required(true).value_parser(clap::value_parser!(PathBuf));
    Command::new("hookwright")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Sends webhooks: signed, retried, on record, never lost.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(config)
        .args(flags)
        .subcommand(Command::new("serve").about("Serve the API and deliver"))
        .subcommand(
            Command::new("dev").about("Serve with everything set up to try it, and send a message"),
        )
        .subcommand(
            Command::new("token").about("Print a token of an organization").arg(org).arg(
                Arg::new("expires")
                    .long("expires")
                    .value_name("DURATION")
                    .default_value("3650d")
                    .help("How long it is valid"),
            ),
        )
        .subcommand(
            Command::new("config").about("Print the configuration in force, secrets hidden").arg(
                Arg::new("table")
                    .long("table")
                    .action(ArgAction::SetTrue)
                    .help("Print the table of all settings instead, as Markdown"),
            ),
        )
        .subcommand(Command::new("openapi").about("Print the OpenAPI document of the API"))
        .subcommand(
            Command::new("backup")
                .about("Write a consistent copy of the data, while the server runs or not")
                .arg(to.clone().value_name("FILE").help("A file that does not exist yet")),
        )
        .subcommand(Command::new("check").about("Check that what is stored is whole"))
        .subcommand(
            Command::new("rotate-key")
                .about("Seal all secrets with a new master key (the server must be stopped)"),
        )
        .subcommand(migrate_store())
        .subcommand(
            Command::new("nodes").about("Show the nodes that share a store, and what they own"),
        )
        .subcommand(
            Command::new("health")
                .about("Ask a running server whether it is well")
                .arg(Arg::new("url").value_name("URL").help("Where it is [as configured]")),
        )
        .subcommand(commands::listen::command())
        .subcommand(commands::providers::command())
        .subcommand(commands::verify::command())
}

fn migrate_store() -> Command {
    let place = |name: &'static str| Arg::new(name).long(name).value_name("STORE").required(true);
    Command::new("migrate-store")
        .about(
            "Copy everything into another store, an empty one; all its servers must be stopped. What \
             was interrupted goes on when it is run again",
        )
        .arg(place("from").help("sqlite:DIR (a data directory), or postgres://…"))
        .arg(place("to").help("The same"))
        .arg(
            Arg::new("from-master-key")
                .long("from-master-key")
                .value_name("KEY")
                .env(FROM_MASTER_KEY)
                .hide_env_values(true)
                .help("The key that `--from` is sealed with [its own, or the configured one]"),
        )
}

/// Runs the command that the command line asks for.
pub fn run() -> anyhow::Result<ExitCode> {
    let matches = command().get_matches();
    let (name, arguments) = matches.subcommand().expect("a command is required");
    // These have to do with the requests of others: they need no server, and no valid settings of one.
    match name {
        "providers" => {
            return commands::providers::run(arguments, || Ok(sources(arguments)?.config()?));
        }
        "listen" => {
            let config = sources(arguments)?.config()?;
            return commands::listen::run(arguments, &config);
        }
        "verify" => return Ok(commands::verify::run(arguments)),
        _ => {}
    }
    let sources = sources(arguments)?;
    let config = sources.config()?;
    let text = |key: &str| arguments.get_one::<String>(key).map(String::as_str);
    match name {
        "serve" => commands::serve::run(config),
        "dev" => commands::dev::run(sources),
        "token" => {
            let expires = text("expires").unwrap_or("3650d");
            commands::token::run(&config, text("org"), expires)
        }
        "config" => commands::config::run(&config, arguments.get_flag("table")),
        "openapi" => {
            print!("{}", api::openapi_json());
            Ok(ExitCode::SUCCESS)
        }
        "backup" => {
            let to = arguments.get_one::<PathBuf>("to").context("a file is required")?;
            commands::store::backup(&config, to)
        }
        "check" => commands::store::check(&config),
        "rotate-key" => commands::store::rotate_key(&config),
        "migrate-store" => {
            let place = |key| text(key).with_context(|| format!("--{key} is required"));
            commands::migrate::run(&config, place("from")?, place("to")?, text("from-master-key"))
        }
        "nodes" => commands::nodes::run(&config),
        "health" => commands::health::run(&config, text("url")),
        other => anyhow::bail!("there is no command `{other}`"),
    }
}

/// File, environment and flags, the later winning.
#[expect(clippy::disallowed_methods, reason = "the environment is read here")]
fn sources(arguments: &ArgMatches) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    if let Some(path) = arguments.get_one::<PathBuf>("config") {
        sources.file(path)?;
    }
    sources.environment(std::env::vars_os(), &NOT_SETTINGS)?;
    for setting in SETTINGS {
        if let Some(value) = arguments.get_one::<String>(setting.key) {
            let flag = format!("--{}", setting.key.replace('_', "-"));
            sources.set(&flag, setting.key, value.clone())?;
        }
    }
    Ok(sources)
}

/// The fail point that the environment arms, for crash tests.
#[expect(clippy::disallowed_methods, reason = "the environment is read here")]
pub fn arm_fail_point() -> anyhow::Result<()> {
    if let Ok(spec) = std::env::var("HOOKWRIGHT_FAILPOINT") {
        let names = store::failpoint::NAMES.join(", ");
        anyhow::ensure!(
            store::failpoint::arm(&spec),
            "HOOKWRIGHT_FAILPOINT: there is no fail point `{spec}` (name or name:passes; {names})"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
