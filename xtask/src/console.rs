//! Console and portal in a real browser, against the binary over both stores; and their pictures.
use crate::{
    database::Database,
    packages,
    server::{self, Server},
    shell,
};
use anyhow::{Context, Result, ensure};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

const UI: &str = "ui";
const BROWSER: &str = "tests/browser";

/// Checks the UI's types, then walks through all of its pages over each store.
pub fn run() -> Result<()> {
    prepare()?;
    let mut check = Command::new("npm");
    shell::run(check.args(["run", "check"]).current_dir(shell::root().join(UI)))?;
    let product = server::free_address()?;
    let settings = format!("portal_frame_ancestors = [\"http://{product}\"]");
    let database = Database::start_with(&[]);
    let over = Server::over("console", &database.url(), "console", &settings)?;
    for mut server in [Server::new("console", &settings)?, over] {
        server.start()?;
        let mut walk = Command::new("npm");
        walk.args(["run", "test"]).current_dir(shell::root().join(BROWSER));
        walk.env("HOOKWRIGHT_TEST_PRODUCT_PORT", product.port().to_string());
        shell::run(server.told_to(&mut walk))?;
        server.discard()?;
    }
    Ok(())
}

/// Takes the pictures of the README from what the command `dev` shows.
pub fn screenshots() -> Result<()> {
    prepare()?;
    let dir = shell::target().join("xtask/screenshots");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    let (mut dev, link) = dev(&dir)?;
    let mut shots = Command::new("node");
    shots.arg("screenshots.mjs").arg(&link).arg(shell::root().join("docs/images"));
    let taken = shell::run(shots.current_dir(shell::root().join(BROWSER)));
    dev.kill()?;
    dev.wait()?;
    taken
}

/// The binary, and what drives it.
fn prepare() -> Result<()> {
    shell::need("node", (20, 0), "Node.js 20 or newer (https://nodejs.org)")?;
    shell::need("chromium", (0, 0), "Debian's package `chromium`")?;
    server::build()?;
    packages::npm(Path::new(BROWSER))
}

/// Starts `dev` with its data in `dir`; the link to its console.
fn dev(dir: &Path) -> Result<(Child, String)> {
    let mut command = server::binary();
    command.args(["dev", "--listen", &server::free_address()?.to_string()]);
    command.args(["--metrics-listen", "none", "--data-dir"]).arg(dir);
    let mut child = command.stdout(Stdio::piped()).spawn().context("`dev` could not be started")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let link = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.split_whitespace().find(|word| word.contains("/console#token=")).map(str::to_owned)
    });
    // What it prints later must go somewhere.
    std::thread::spawn(move || lines.for_each(drop));
    ensure!(link.is_some(), "`dev` printed no link to its console");
    Ok((child, link.unwrap_or_default()))
}
