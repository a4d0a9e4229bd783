//! Opening the file: settings of a connection, versions, the key it was sealed with.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use store::{sealed, vault::Vault};

use crate::{
    error::{Error, Result},
    options::OpenError,
};

/// Forward only; the file's version is how many of them it has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
    include_str!("../migrations/0005.sql"),
    include_str!("../migrations/0006.sql"),
    include_str!("../migrations/0007.sql"),
    include_str!("../migrations/0008.sql"),
];
/// "Hkwr", in the header of the file.
const APPLICATION_ID: i64 = 0x486b_7772;
/// Beyond this, space of the log is given back when it starts again.
const WAL_LIMIT_BYTES: i64 = 256 << 20;
/// Page cache of a connection that reads.
const READER_CACHE_KIB: i64 = 4 << 10;
/// Statements that a connection keeps prepared: all that there are.
const STATEMENTS: usize = 256;
/// How long a checkpoint waits for readers. Nothing else ever waits: there is one writer.
const BUSY_MILLIS: u64 = 20;

pub(crate) const KEY_CHECK: &str = "key_check";

/// A connection that may write.
pub(crate) fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    settings(&conn)?;
    Ok(conn)
}

fn settings(conn: &Connection) -> Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_MILLIS))?;
    for (name, value) in [("page_size", 4_096), ("mmap_size", 0), ("wal_autocheckpoint", 0)] {
        conn.pragma_update(None, name, value)?;
    }
    conn.pragma_update(None, "journal_size_limit", WAL_LIMIT_BYTES)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "foreign_keys", false)?;
    Ok(())
}

/// A connection that only reads.
pub(crate) fn connect_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    settings(&conn)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// Opens the writer's connection and brings the file to this release's version.
pub(crate) fn open(path: &Path, vault: &Vault) -> Result<Connection, OpenError> {
    let failed = |e: Error| match e {
        Error::Sqlite(e) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            OpenError::Foreign { path: path.into() }
        }
        e => OpenError::Database { path: path.into(), message: e.to_string() },
    };
    let sqlite = |e: rusqlite::Error| failed(e.into());
    let conn = connect(path).map_err(failed)?;
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let id = pragma("application_id").map_err(sqlite)?;
    let version = pragma("user_version").map_err(sqlite)?;
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    if id != APPLICATION_ID && tables > 0 {
        return Err(OpenError::Foreign { path: path.into() });
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(OpenError::Newer { path: path.into(), found: version, known });
    }
    conn.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
    migrate(&conn, version).map_err(sqlite)?;
    match key_opens(&conn, vault).map_err(failed)? {
        Some(false) => return Err(OpenError::WrongKey { path: path.into() }),
        Some(true) => {}
        None => write_key_check(&conn, vault).map_err(failed)?,
    }
    Ok(conn)
}

fn migrate(conn: &Connection, version: i64) -> rusqlite::Result<()> {
    for (at, sql) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        let version = at + 1;
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; {sql}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// Does something as one act.
pub(crate) fn in_transaction(
    conn: &Connection,
    act: impl FnOnce(&Connection) -> Result<()>,
) -> Result<()> {
    let transaction = conn.unchecked_transaction()?;
    act(conn)?;
    Ok(transaction.commit()?)
}

/// Whether one of the vault's keys opens the file; `None` if nothing was sealed in it yet.
fn key_opens(conn: &Connection, vault: &Vault) -> Result<Option<bool>> {
    let sealed: Option<Vec<u8>> = conn
        .query_row("SELECT value FROM meta WHERE name = ?1", [KEY_CHECK], |row| row.get(0))
        .optional()?;
    Ok(sealed.map(|sealed| sealed::opens(vault, &sealed)))
}

/// Says that everything is sealed with the vault's newest key (or with one that is still given).
pub(crate) fn write_key_check(conn: &Connection, vault: &Vault) -> Result<()> {
    conn.execute(
        "REPLACE INTO meta (name, value) VALUES (?1, ?2)",
        (KEY_CHECK, sealed::key_check(vault)),
    )?;
    Ok(())
}

/// Whether SQLite was built to sync data without metadata. It does not tell by itself.
pub(crate) fn has_fdatasync() -> bool {
    option_env!("LIBSQLITE3_FLAGS").is_some_and(|flags| flags.contains("HAVE_FDATASYNC=1"))
}
