//! Requests of providers, signed or judged by their official libraries, against the release binary.
use crate::{
    packages,
    server::{self, Server},
    shell,
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

const JAVASCRIPT: &str = "tests/providers/js";
const PYTHON: &str = "tests/providers/python";
/// Its receiver is used here too.
const SDK_PYTHON: &str = "tests/sdk/python";
/// Lists the libraries.
const TEXT: &str = "docs/receiving.md";

/// Fewer providers than this are a failure.
const LEAST: usize = 20;

/// A provider whose genuine requests were accepted and whose tampered ones were refused.
struct Proved {
    provider: String,
    /// With its version.
    library: String,
    /// A row of the table in [`TEXT`].
    row: String,
}

/// Installs the libraries, as pinned, and has each provider post to a source of its own. Fails unless all
/// is as the libraries say, and [`TEXT`] lists these libraries and no others.
pub fn run() -> Result<()> {
    packages::need()?;
    server::build()?;
    packages::npm(Path::new(JAVASCRIPT))?;
    let python = packages::pypi(Path::new(PYTHON), "providers-python")?;
    let mut server = Server::new("providers", "")?;
    server.start()?;
    let mut javascript = Command::new("node");
    javascript.arg("run.mjs").current_dir(shell::root().join(JAVASCRIPT));
    let mut proved = proved(&shell::output(server.told_to(&mut javascript))?);
    let mut python = Command::new(python);
    python.arg("run.py").current_dir(shell::root().join(PYTHON));
    python.env("PYTHONPATH", shell::root().join(SDK_PYTHON));
    proved.extend(self::proved(&shell::output(server.told_to(&mut python))?));
    server.discard()?;
    let providers: BTreeSet<_> = proved.iter().map(|one| one.provider.as_str()).collect();
    let libraries: BTreeSet<_> = proved.iter().map(|one| one.library.as_str()).collect();
    let rows: BTreeSet<_> = proved.iter().map(|one| one.row.as_str()).collect();
    for row in &rows {
        println!("{row}");
    }
    println!(
        "{} providers by {} libraries: genuine requests accepted, tampered ones refused",
        providers.len(),
        libraries.len()
    );
    ensure!(providers.len() >= LEAST, "{LEAST} providers at least are to be tried");
    listed(&rows)
}

/// What a script says: provider, registry, library and what the library does, between tabs. Libraries
/// print lines of their own in between.
fn proved(said: &str) -> Vec<Proved> {
    let line = |line: &str| {
        let [provider, registry, library, part] =
            line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let row = format!("| `{provider}` | {registry} `{library}` | {part} |");
        Some(Proved { provider: provider.to_owned(), library: library.to_owned(), row })
    };
    said.lines().filter_map(line).collect()
}

/// Whether the table is these rows.
fn listed(rows: &BTreeSet<&str>) -> Result<()> {
    let text = fs::read_to_string(shell::root().join(TEXT)).context(TEXT)?;
    let is_row = |line: &&str| line.contains(" | npm `") || line.contains(" | PyPI `");
    let table: BTreeSet<_> = text.lines().filter(is_row).collect();
    let missing: Vec<_> = rows.difference(&table).collect();
    let stale: Vec<_> = table.difference(rows).collect();
    ensure!(
        missing.is_empty() && stale.is_empty(),
        "{TEXT} does not list {missing:#?}, and lists {stale:#?}"
    );
    Ok(())
}
