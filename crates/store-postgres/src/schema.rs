//! Opening the database: what it is, which version its tables have, which key it was sealed with.

use store::{sealed, vault::Vault};

use crate::{
    conn::Conn,
    connect::Connector,
    error::{Error, Result},
    options::OpenError,
};

/// Forward only; the database's version is how many of them it has seen.
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
/// The oldest that works, as `server_version_num` counts.
const OLDEST: i32 = 150_000;
/// Nodes that start together migrate one after the other. ("Hkwr")
const MIGRATION_LOCK: i64 = 0x486b_7772;

pub(crate) const KEY_CHECK: &str = "key_check";

/// Looks at what is behind the URL before anything is written.
pub(crate) async fn look(connector: &Connector) -> Result<(), OpenError> {
    let failed = |error: tokio_postgres::Error| OpenError::Database {
        target: connector.target.clone(),
        message: crate::error::detail(&error),
    };
    let (one, _driver) = connector.connect_one(None).await.map_err(failed)?;
    let row = one
        .query_one(
            "/* look */ SELECT current_setting('server_version_num')::int,
             current_setting('server_version'), current_setting('fsync') = 'on',
             current_setting('synchronous_standby_names') <> '', pg_backend_pid()",
            &[],
        )
        .await
        .map_err(failed)?;
    let target = connector.target.clone();
    if row.get::<_, i32>(0) < OLDEST {
        return Err(OpenError::Version { target, found: row.get(1) });
    }
    // Two connections that are two sessions have two processes. Behind a pooler that gives each
    // transaction a session, the one that is idle has lent its own to the other.
    let (other, _driver) = connector.connect_one(None).await.map_err(failed)?;
    let process = "/* look */ SELECT pg_backend_pid()";
    let theirs: i32 = other.query_one(process, &[]).await.map_err(failed)?.get(0);
    let ours: i32 = one.query_one(process, &[]).await.map_err(failed)?.get(0);
    if ours == theirs || ours != row.get::<_, i32>(4) {
        return Err(OpenError::Pooler { target });
    }
    if !row.get::<_, bool>(2) {
        tracing::warn!(target, "PostgreSQL has fsync off: what is acknowledged can be lost");
    }
    let standbys = one
        .query_one(
            "/* look */ SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'
             AND application_name <> 'pg_basebackup'",
            &[],
        )
        .await
        .map_err(failed)?;
    if standbys.get::<_, i64>(0) > 0 && !row.get::<_, bool>(3) {
        tracing::warn!(
            target,
            "PostgreSQL has standbys and none is synchronous: what was acknowledged in the last \
             moments before a failover can be lost (set synchronous_standby_names)"
        );
    }
    Ok(())
}

/// Brings the tables to this release's version, and compares the key. One node at a time.
pub(crate) async fn migrate(
    connector: &Connector,
    conn: &Conn,
    vault: &Vault,
) -> Result<(), OpenError> {
    let target = || connector.target.clone();
    let failed =
        |error: Error| OpenError::Database { target: target(), message: error.to_string() };
    // A lock of the session: each migration commits by itself. It waits as long as it takes.
    conn.batch("SET lock_timeout = 0; SET statement_timeout = 0").await.map_err(failed)?;
    conn.batch(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")).await.map_err(failed)?;
    conn.batch(
        "CREATE TABLE IF NOT EXISTS hookwright_version (version integer NOT NULL);
         INSERT INTO hookwright_version SELECT 0
             WHERE NOT EXISTS (SELECT 1 FROM hookwright_version)",
    )
    .await
    .map_err(failed)?;
    let version = conn.query_one("/* migrate */ SELECT version FROM hookwright_version", &[]);
    let version: i32 = version.await.map_err(failed)?.get(0);
    let known = MIGRATIONS.len() as i32;
    if version > known {
        return Err(OpenError::Newer { target: target(), found: version, known });
    }
    for (at, sql) in MIGRATIONS.iter().enumerate().skip(version.unsigned_abs() as usize) {
        let version = at + 1;
        let sql =
            format!("BEGIN; {sql}; UPDATE hookwright_version SET version = {version}; COMMIT");
        conn.batch(&sql).await.map_err(failed)?;
    }
    let check = "/* migrate */ SELECT value FROM meta WHERE name = $1";
    let sealed = conn.query_opt(check, &[&KEY_CHECK]).await.map_err(failed)?;
    match sealed {
        Some(row) if !sealed::opens(vault, row.get(0)) => {
            return Err(OpenError::WrongKey { target: target() });
        }
        Some(_) => {}
        None => write_key_check(conn, vault).await.map_err(failed)?,
    }
    conn.batch(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})")).await.map_err(failed)
}

/// Says that everything is sealed with the vault's newest key (or with one that is still given).
pub(crate) async fn write_key_check(conn: &Conn, vault: &Vault) -> Result<()> {
    conn.execute(
        "/* key */ INSERT INTO meta (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[&KEY_CHECK, &sealed::key_check(vault)],
    )
    .await?;
    Ok(())
}
