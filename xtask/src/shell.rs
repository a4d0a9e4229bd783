//! Running other programs, and where things lie.
use anyhow::{Context, Result, bail, ensure};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// The workspace's root.
pub fn root() -> PathBuf {
    // As it is run, not as it was built: another checkout may share the build directory.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().expect("xtask lies in the workspace").to_owned()
}

/// Where built things and reports go.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// How what is measured is built: as it is shipped, unless `HOOKWRIGHT_XTASK_PROFILE` names another
/// profile. That is for trying a campaign; its figures say nothing then.
pub fn profile() -> String {
    std::env::var("HOOKWRIGHT_XTASK_PROFILE").unwrap_or_else(|_| "release".to_owned())
}

/// One of our programs, built.
pub fn built(program: &str) -> PathBuf {
    let profile = profile();
    target().join(if profile == "dev" { "debug" } else { &profile }).join(program)
}

/// A `cargo` command in the workspace's root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Says what is run, runs it, and fails if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", shown(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{} could not be started", shown(command)))?;
    ensure!(status.success(), "{} failed ({status})", shown(command));
    Ok(())
}

/// What a command prints on standard output; fails if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} could not be started", shown(command)))?;
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(out.status.success(), "{} failed ({})\n{said}", shown(command), out.status);
    String::from_utf8(out.stdout).context("its output is not UTF-8")
}

/// Whether a program is there.
pub fn has(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Fails, saying what to install, unless the program is there in this version or a newer one.
pub fn need(program: &str, least: (u32, u32), install: &str) -> Result<()> {
    let Ok(said) = output(Command::new(program).arg("--version")) else {
        bail!("`{program}` is needed and not there: install {install}");
    };
    let found = version(&said).with_context(|| format!("`{program} --version` says {said:?}"))?;
    ensure!(found >= least, "`{program}` is too old ({}): install {install}", said.trim());
    Ok(())
}

/// The first two numbers of what a program says of its version.
fn version(said: &str) -> Option<(u32, u32)> {
    let from = said.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = said[from..].split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        for (said, found) in [
            ("v20.20.2\n", Some((20, 20))),
            ("Python 3.11.7", Some((3, 11))),
            ("10.8.2", Some((10, 8))),
            ("no idea", None),
        ] {
            assert_eq!(version(said), found, "{said}");
        }
        assert!(need("cargo", (1, 0), "Rust").is_ok());
        assert!(need("cargo", (999, 0), "Rust").is_err());
        assert!(need("no-such-program", (0, 0), "it").is_err());
    }
}
