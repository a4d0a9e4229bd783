//! The official clients' full life against the release binary.
use crate::{
    database::Database,
    server::{self, Server},
    shell,
};
use anyhow::Result;
use std::process::Command;

/// Short, so that a schedule's end can be waited for.
const SETTINGS: &str = "retry_schedule = [\"100ms\", \"200ms\"]\nbreaker_max_wait = \"500ms\"";

/// Installs the clients, as pinned, into `tests/sdk/js/node_modules` and `target/sdk-python`, and
/// runs all lives against a server of each store.
pub fn run() -> Result<()> {
    shell::need("node", (20, 0), "Node.js 20 or newer (https://nodejs.org; Debian 12 has 18)")?;
    shell::need("npm", (0, 0), "npm, which comes with Node.js")?;
    shell::need("python3", (3, 11), "Python 3.11 or newer")?;
    server::build()?;
    let database = Database::start_with(&[]);
    let over = Server::over("sdk", &database.url(), "sdk", SETTINGS)?;
    for mut server in [Server::new("sdk", SETTINGS)?, over] {
        server.start()?;
        javascript(&server)?;
        python(&server)?;
        server.discard()?;
    }
    Ok(())
}

fn javascript(server: &Server) -> Result<()> {
    let dir = shell::root().join("tests/sdk/js");
    println!("sdk: installing the npm packages of tests/sdk/js/package-lock.json");
    shell::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&dir),
    )?;
    for client in ["svix", "svix-1"] {
        let mut life = Command::new("node");
        life.args(["--test", "--test-reporter=spec", "life.mjs"]).current_dir(&dir);
        life.env("HOOKWRIGHT_TEST_SVIX", client);
        shell::run(address(&mut life, server))?;
    }
    Ok(())
}

fn python(server: &Server) -> Result<()> {
    let dir = shell::root().join("tests/sdk/python");
    let venv = shell::target().join("sdk-python");
    let python = venv.join("bin/python");
    println!("sdk: installing the PyPI packages of tests/sdk/python/requirements.txt");
    if !python.exists() {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    shell::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(dir.join("requirements.txt")),
    )?;
    let mut life = Command::new(&python);
    life.arg("life.py").current_dir(&dir);
    shell::run(address(&mut life, server))
}

fn address<'a>(command: &'a mut Command, server: &Server) -> &'a mut Command {
    command
        .env("HOOKWRIGHT_TEST_URL", &server.api.base)
        .env("HOOKWRIGHT_TEST_TOKEN", &server.api.token)
}
