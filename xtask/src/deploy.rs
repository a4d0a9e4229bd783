//! The Dockerfile and the files of `deploy/`: by their linters, and against one another.
use crate::shell;
use anyhow::Result;
use std::{fs, path::PathBuf, process::Command};

/// Folders that `kubectl apply --kustomize` is meant for.
const MANIFESTS: [&str; 2] = ["deploy/kubernetes", "deploy/kubernetes-autoscaled"];

/// Installs the linters, as pinned, into `target/deploy`, and runs them all.
pub fn run() -> Result<()> {
    let tools = install()?;
    let tool = |name: &str| here(&tools.join(name).to_string_lossy());
    shell::run(tool("hadolint").arg("Dockerfile"))?;
    let rules = ["--strict", "--config-file", "tests/deploy/yamllint.yaml"];
    shell::run(tool("yamllint").args(rules).args(["deploy", "tests/deploy"]))?;
    let schema = ["--builtin-schema", "vendor.compose-spec"];
    shell::run(tool("check-jsonschema").args(schema).arg("deploy/docker-compose.yml"))?;
    shell::run(tool("python").arg("tests/deploy/manifests.py").args(MANIFESTS))?;
    shell::run(tool("python").arg("tests/deploy/agree.py"))?;
    if shell::has("kubectl", "help") {
        let made = shell::target().join("deploy/kustomized.yaml");
        for folder in MANIFESTS {
            fs::write(&made, shell::output(here("kubectl").args(["kustomize", folder]))?)?;
            shell::run(tool("python").arg("tests/deploy/manifests.py").arg(&made))?;
        }
    } else {
        println!("deploy: kubectl is not installed; what Kustomize makes is not checked");
    }
    if shell::has("haproxy", "-v") {
        shell::run(here("haproxy").args(["-c", "-f", "deploy/haproxy.cfg"]))?;
    } else {
        println!("deploy: haproxy is not installed; its own check of haproxy.cfg is left out");
    }
    Ok(())
}

/// A command in the workspace's root.
fn here(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(shell::root());
    command
}

/// Where the linters are.
fn install() -> Result<PathBuf> {
    shell::need("python3", (3, 11), "Python 3.11 or newer")?;
    let venv = shell::target().join("deploy/python");
    let python = venv.join("bin/python");
    println!("deploy: installing the PyPI packages of tests/deploy/requirements.txt");
    if !python.exists() {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    shell::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(shell::root().join("tests/deploy/requirements.txt")),
    )?;
    Ok(venv.join("bin"))
}
