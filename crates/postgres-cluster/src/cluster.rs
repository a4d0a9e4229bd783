//! A PostgreSQL cluster of its own, in a temporary directory.
use crate::{
    installation::Installation,
    server::Server,
    watchdog::{LEFT, Watchdog},
};
use rustix::process::Signal;
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};
use tempfile::TempDir;

pub(crate) const USER: &str = "hookwright";
pub(crate) const PASSWORD: &str = "hookwright";

/// Set for durability, as a careful operator would; all but the last two are defaults, and written
/// down because tests rely on them.
const SETTINGS: [(&str, &str); 7] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("max_connections", "100"),
    ("shared_buffers", "128MB"),
    // A standby that was away for a while still finds what it missed.
    ("wal_keep_size", "512MB"),
    ("log_line_prefix", "%m [%p] %q%a: "),
];

const ACCESS: &str = "\
local all         all trust
local replication all trust
host  all         all 127.0.0.0/8 scram-sha-256
host  replication all 127.0.0.0/8 scram-sha-256
";

/// A real PostgreSQL server with its own directory and port, listening on 127.0.0.1 only. Its
/// superuser `hookwright` has a password over TCP.
///
/// Dropping it ends the server and removes the directory. If it is never dropped, because it lives
/// in a `static` or the process is killed, a watchdog does so when the process has ended.
///
/// All methods take `&self`, so that threads can share it; those that start, stop, kill or pause
/// wait for one another.
pub struct Cluster {
    pub(crate) installation: &'static Installation,
    pub(crate) port: u16,
    pub(crate) server: Mutex<Server>,
    /// Cleans up when it is dropped, which is when the server has ended, and before the directory,
    /// of which nothing should be left by then.
    _watchdog: Watchdog,
    pub(crate) dir: TempDir,
}

impl Cluster {
    /// Makes a cluster with durable settings and returns when it takes connections; bounded at
    /// 30 s. Panics, with the end of the log, if it does not.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further settings for `postgresql.conf`. They win over ours.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut cluster = Self::prepare();
        cluster.initialize(settings);
        cluster.start_somewhere();
        cluster
    }

    /// A directory without a server in it.
    pub(crate) fn prepare() -> Self {
        let installation = Installation::get();
        let dir = temporary_directory();
        if let Some((user, group)) = installation.user {
            chown(dir.path(), Some(user), Some(group)).expect("root may give away");
        }
        let _watchdog = Watchdog::over(installation, dir.path());
        Self { installation, dir, port: 0, server: Mutex::default(), _watchdog }
    }

    fn initialize(&self, settings: &[(&str, &str)]) {
        let password = self.dir.path().join("password");
        fs::write(&password, PASSWORD).expect("the directory is ours");
        let mut initdb = self.installation.command("initdb");
        initdb.arg("-D").arg(self.data()).args(["-U", USER, "-E", "UTF8", "--locale=C"]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]);
        initdb.arg("--pwfile").arg(password);
        Installation::run(&mut initdb);

        let mut lines = String::from("\n");
        for (name, value) in SETTINGS.iter().chain(settings) {
            writeln!(lines, "{name} = {}", literal(value)).expect("a string takes all");
        }
        self.append("postgresql.conf", &lines);
        fs::write(self.data().join("pg_hba.conf"), ACCESS).expect("initdb has made it");
    }

    /// Adds lines to one of the server's files, whose later lines win.
    pub(crate) fn append(&self, file: &str, lines: &str) {
        let file = File::options().append(true).open(self.data().join(file));
        file.expect("it is there").write_all(lines.as_bytes()).expect("we may write it");
    }

    /// The URL of a database over TCP, with user and password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@{}/{database}", self.addr())
    }

    /// The port on 127.0.0.1. It stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, for a proxy to go to.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Creates a database and returns its URL.
    pub fn create_database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {}", identifier(name)));
        self.url(name)
    }

    /// Runs SQL and returns what it selects: a line per row, columns parted by `|`. Panics with the
    /// server's message if it fails. Several statements are one transaction.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|e| panic!("SQL failed: {sql}\n{e}"))
    }

    /// The same, with the server's message as the error.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let socket = self.dir.path().display();
        let port = self.port;
        let database = parameter(database);
        psql(&format!("host='{socket}' port={port} user={USER} dbname={database}"), sql)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut server = self.server();
        if !server.end(Signal::QUIT, Duration::from_secs(8)) {
            server.kill(&self.dir.path().join(LEFT));
        }
    }
}

/// Runs SQL with `psql` at any URL, such as that of a proxy, as one simple query. Returns what it
/// selects, a line per row, or what `psql` says of the failure. It waits 10 s to be connected, and
/// without bound for an answer.
pub fn psql(url: &str, sql: &str) -> Result<String, String> {
    let mut command = Installation::get().command("psql");
    let output = command.args(["-X", "-q", "-t", "-A", "-d", url, "-c", sql]).output();
    let output = output.map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A value in a connection string of libpq, whose quotes are escaped in a way of their own.
pub(crate) fn parameter(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The path of a Unix socket has at most 107 bytes, which a long `TMPDIR` would exceed.
fn temporary_directory() -> TempDir {
    let base = std::env::temp_dir();
    let base = if base.as_os_str().len() > 60 { Path::new("/tmp") } else { &base };
    let mut builder = tempfile::Builder::new();
    builder.prefix("hookwright-postgres-").tempdir_in(base).expect("a temporary directory")
}
