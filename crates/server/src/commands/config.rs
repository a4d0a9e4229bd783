//! `hookwright config`: what is in force.

use std::process::ExitCode;

use crate::config::{Config, SETTINGS};

/// Prints the configuration in force as TOML-like lines, or the table of all settings.
pub fn run(config: &Config, table: bool) -> anyhow::Result<ExitCode> {
    if table {
        print!("{}", markdown_table());
    } else {
        for (key, value) in config.show() {
            println!("{key} = {value}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The table of `docs/configuration.md`.
fn markdown_table() -> String {
    let mut table = String::from("| setting | default | what it is for |\n|---|---|---|\n");
    for setting in SETTINGS {
        let default = if setting.default.is_empty() { "(empty)" } else { setting.default };
        let secret = if setting.secret { " *Never shown.*" } else { "" };
        let about = setting.describe();
        table.push_str(&format!("| `{}` | `{default}` | {about}{secret} |\n", setting.key));
    }
    table
}

#[cfg(test)]
mod tests {
    /// The docs hold the table as it is printed: `hookwright config --table`.
    #[test]
    fn the_documented_table_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let docs = std::fs::read_to_string(path).expect("docs/configuration.md");
        assert!(
            docs.contains(&super::markdown_table()),
            "docs/configuration.md does not hold the output of `hookwright config --table`"
        );
    }
}
