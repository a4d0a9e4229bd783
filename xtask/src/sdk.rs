//! The official clients' full life against the release binary.
use crate::{
    database::Database,
    packages,
    server::{self, Server},
    shell,
};
use anyhow::Result;
use std::{path::Path, process::Command};

/// Short, so that a schedule's end can be waited for.
const SETTINGS: &str = "retry_schedule = [\"100ms\", \"200ms\"]\nbreaker_max_wait = \"500ms\"";

const JAVASCRIPT: &str = "tests/sdk/js";
const PYTHON: &str = "tests/sdk/python";

/// Installs the clients, as pinned, and runs all lives against a server of each store.
pub fn run() -> Result<()> {
    packages::need()?;
    server::build()?;
    packages::npm(Path::new(JAVASCRIPT))?;
    let python = packages::pypi(Path::new(PYTHON), "sdk-python")?;
    let database = Database::start_with(&[]);
    let over = Server::over("sdk", &database.url(), "sdk", SETTINGS)?;
    for mut server in [Server::new("sdk", SETTINGS)?, over] {
        server.start()?;
        for client in ["svix", "svix-1"] {
            let mut life = Command::new("node");
            life.args(["--test", "--test-reporter=spec", "life.mjs"]);
            life.env("HOOKWRIGHT_TEST_SVIX", client).current_dir(shell::root().join(JAVASCRIPT));
            shell::run(server.told_to(&mut life))?;
        }
        let mut life = Command::new(&python);
        life.arg("life.py").current_dir(shell::root().join(PYTHON));
        shell::run(server.told_to(&mut life))?;
        server.discard()?;
    }
    Ok(())
}
