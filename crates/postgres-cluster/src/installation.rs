//! The PostgreSQL that is installed here, and the user that may run it.
use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

const NEEDED: [&str; 5] = ["initdb", "postgres", "psql", "pg_ctl", "pg_basebackup"];

/// Where the binaries lie, and as whom they run.
pub(crate) struct Installation {
    bin: PathBuf,
    /// User and group. PostgreSQL refuses to be root; unless we are, it runs as ourselves.
    pub(crate) user: Option<(u32, u32)>,
}

static FOUND: LazyLock<Installation> = LazyLock::new(Installation::find);

impl Installation {
    /// The one of this machine. Panics if there is none.
    pub(crate) fn get() -> &'static Self {
        &FOUND
    }

    fn find() -> Self {
        let user = rustix::process::geteuid().is_root().then(unprivileged);
        if let Some(bin) = env::var_os("HOOKWRIGHT_POSTGRES_BIN") {
            let found = Self { bin: bin.into(), user };
            let bin = found.bin.display();
            assert!(found.works(), "HOOKWRIGHT_POSTGRES_BIN: {bin} lacks one of {NEEDED:?}");
            return found;
        }
        let candidates = by_pg_config().into_iter().chain(by_version()).chain(by_path());
        let mut candidates = candidates.map(|bin| Self { bin, user });
        candidates.find(Self::works).expect(
            "no PostgreSQL found: install it, or set HOOKWRIGHT_POSTGRES_BIN to the directory of its \
             binaries",
        )
    }

    /// Whether all that we need is there and can be run. `pg_config` comes with the headers and may
    /// name a directory without a server, or one that the unprivileged user cannot enter.
    fn works(&self) -> bool {
        NEEDED.iter().all(|name| {
            let mut command = self.command(name);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    }

    /// One of the binaries, ready for its arguments.
    pub(crate) fn command(&self, name: &str) -> Command {
        self.command_at(&self.bin.join(name))
    }

    /// Any program, as the user that runs PostgreSQL. None of our environment reaches it: a
    /// `PGHOST` would lead it elsewhere, and its messages must be English to be understood.
    pub(crate) fn command_at(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PGCONNECT_TIMEOUT", "10");
        command.envs(["PATH", "LD_LIBRARY_PATH"].iter().filter_map(|n| Some((n, env::var_os(n)?))));
        // Our own directory may be closed to the unprivileged user.
        command.current_dir("/").stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            // As root this also leaves all further groups.
            command.uid(user).gid(group);
        }
        command
    }

    /// Runs to the end. Panics, with what it said, if it fails.
    pub(crate) fn run(command: &mut Command) {
        let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        assert!(
            output.status.success(),
            "{command:?} failed, {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// User and group to be instead of root.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    find("postgres").or_else(|| find("nobody")).expect("a user `postgres` or `nobody`")
}

fn by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let bin = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| bin.trim().into())
}

/// Where Debian and its kin install, the newest first.
fn by_version() -> impl Iterator<Item = PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, dir)| dir.join("bin"))
}

/// The directory of `initdb` on the path; where it is a link, the directory that it leads to,
/// because the other binaries need not be linked.
fn by_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let initdb = env::split_paths(&path).find_map(|dir| dir.join("initdb").canonicalize().ok())?;
    initdb.parent().map(Path::to_owned)
}
