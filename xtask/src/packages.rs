//! Packages of npm and PyPI that tests need, installed as they are pinned.
use crate::shell;
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Fails, saying what to install, unless what installs and runs packages is there.
pub fn need() -> Result<()> {
    shell::need("node", (20, 0), "Node.js 20 or newer (https://nodejs.org; Debian 12 has 18)")?;
    shell::need("npm", (0, 0), "npm, which comes with Node.js")?;
    shell::need("python3", (3, 11), "Python 3.11 or newer")
}

/// Installs what the `package-lock.json` in `dir`, a path in the workspace, has: into `node_modules`
/// beside it.
pub fn npm(dir: &Path) -> Result<()> {
    println!("installing the npm packages of {}", dir.join("package-lock.json").display());
    shell::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(shell::root().join(dir)),
    )
}

/// Installs what the `requirements.txt` in `dir`, a path in the workspace, has: into an environment
/// called `name` under `target`. Answers that environment's Python.
pub fn pypi(dir: &Path, name: &str) -> Result<PathBuf> {
    let requirements = dir.join("requirements.txt");
    println!("installing the PyPI packages of {}", requirements.display());
    let environment = shell::target().join(name);
    let python = environment.join("bin/python");
    if !python.exists() {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    shell::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(shell::root().join(requirements)),
    )?;
    Ok(python)
}
