//! Builds `ui/` with npm, and lists what came of it as Rust for the crate to embed.
//!
//! Everything is written to `OUT_DIR`, except for `ui/node_modules`. Without npm, or with
//! `HOOKWRIGHT_SKIP_UI`, a page that says so stands in for the console.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

type Done<T> = Result<T, Box<dyn Error>>;

/// What the build of the UI reads.
const INPUTS: [&str; 6] =
    ["src", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];

const SKIP: &str = "HOOKWRIGHT_SKIP_UI";

const STUB: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Hookwright</title>\
<h1>The console was not built</h1><p>This binary was built without npm, or with HOOKWRIGHT_SKIP_UI. \
Install Node.js 20 or newer and build again.</p><p>The API works: <a href=/docs>its reference</a>.</p>";

fn main() -> Done<()> {
    let ui = Path::new("../../ui");
    let out = PathBuf::from(variable("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let built = out.join("ui");
    if built.exists() {
        fs::remove_dir_all(&built)?;
    }
    fs::create_dir_all(&built)?;
    println!("cargo::rerun-if-env-changed={SKIP}");
    for input in INPUTS {
        println!("cargo::rerun-if-changed={}", ui.join(input).display());
    }
    if variable(SKIP).is_some_and(|value| value == "1") {
        fs::write(built.join("index.html"), STUB)?;
    } else if npm(ui).arg("--version").output().is_ok_and(|output| output.status.success()) {
        install(ui)?;
        run(npm(ui).args(["run", "build", "--", "--outDir"]).arg(&built))?;
    } else {
        println!("cargo::warning=npm was not found: the console is not in this binary");
        // Until npm appears, in a directory of PATH or on another PATH.
        println!("cargo::rerun-if-env-changed=PATH");
        for dir in env::split_paths(&variable("PATH").unwrap_or_default()).filter(|d| d.exists()) {
            println!("cargo::rerun-if-changed={}", dir.display());
        }
        fs::write(built.join("index.html"), STUB)?;
    }
    fs::write(out.join("files.rs"), list(&built)?)?;
    Ok(())
}

// Cargo tells build scripts everything by the environment.
#[allow(clippy::disallowed_methods)]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn npm(ui: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(ui);
    npm
}

/// `npm ci`, unless what the lock file names is installed already.
fn install(ui: &Path) -> Done<()> {
    let lock = fs::read(ui.join("package-lock.json"))?;
    let installed = ui.join("node_modules/.installed-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(npm(ui).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    Ok(fs::write(installed, lock)?)
}

/// Fails with all that the command said.
fn run(command: &mut Command) -> Done<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&text)).into())
}

/// The files as the elements of an array of `File`. What has a `.br` beside it is embedded with it.
fn list(built: &Path) -> Done<String> {
    let mut paths = Vec::new();
    walk(built, &mut paths)?;
    paths.sort();
    let mut rust = String::from("&[\n");
    for path in paths.iter().filter(|path| path.extension().is_none_or(|e| e != "br")) {
        let compressed = PathBuf::from(format!("{}.br", path.display()));
        let brotli = match compressed.exists() {
            true => format!("Some(include_bytes!({compressed:?}))"),
            false => "None".to_owned(),
        };
        let etag = Sha256::digest(fs::read(path)?)[..12]
            .iter()
            .fold(String::new(), |tag, byte| tag + &format!("{byte:02x}"));
        writeln!(
            rust,
            "File {{ path: {:?}, etag: {etag:?}, body: include_bytes!({path:?}), brotli: {brotli} }},",
            format!("/{}", path.strip_prefix(built)?.display()),
        )?;
    }
    Ok(rust + "]")
}

fn walk(dir: &Path, paths: &mut Vec<PathBuf>) -> Done<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match path.is_dir() {
            true => walk(&path, paths)?,
            false => paths.push(path),
        }
    }
    Ok(())
}
