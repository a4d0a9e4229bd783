//! The sessions that `docs/verifying.md` shows are real: each command is run, and prints what stands
//! below it.

mod binary;

use std::{os::unix::fs::symlink, path::Path};

use binary::command;

const PAGE: &str = include_str!("../../../docs/verifying.md");

#[test]
fn the_page_shows_what_the_commands_print() {
    let dir = tempfile::tempdir().expect("a directory");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    symlink(crates.canonicalize().expect("crates"), dir.path().join("crates")).expect("linked");
    symlink(env!("CARGO_BIN_EXE_hookwright"), dir.path().join("hookwright")).expect("linked");
    let mut wrong = Vec::new();
    let mut count = 0;
    for block in PAGE.split("```console\n$ ").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for step in block.split("\n$ ") {
            let (line, shown) = step.split_once('\n').unwrap_or((step, ""));
            let printed = run(dir.path(), line);
            count += 1;
            if printed.trim_end() != shown.trim_end() {
                wrong.push(format!("$ {line}\n{printed}"));
            }
        }
    }
    assert!(count > 10, "{count} commands");
    assert!(wrong.is_empty(), "docs/verifying.md should show:\n{}", wrong.join("\n"));
}

/// What a line of the shell prints, with Unix line ends.
fn run(dir: &Path, line: &str) -> String {
    // For its environment, of which nothing is a setting.
    let binary = command(dir, &[]);
    let mut shell = std::process::Command::new("sh");
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let script = format!("PATH=\"$PWD:$PATH\"; {line}");
    let output = shell.current_dir(dir).args(["-c", &script]).output().expect("a shell");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).expect("text").replace('\r', "")
}
