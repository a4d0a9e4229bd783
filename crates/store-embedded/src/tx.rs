//! A write transaction: the connection, the statements of the hot path, and what the writer knows by
//! heart. The writer is the only one who writes, so that what it remembers is what is stored; after a
//! rollback it forgets everything.

use std::{collections::HashMap, sync::Arc};

use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, Id, OrganizationId},
    shard::Shard,
};
use rusqlite::{Connection, OptionalExtension, PrepFlags, Statement, params};
use store::catalog::Versions;

use crate::{
    analytics::{Dirty, Gather},
    claims::Claims,
    error::Result,
    options::Ports,
};

/// Most entries of each map; a fuller one starts again from nothing.
const CACHE_ENTRIES: usize = 100_000;

macro_rules! hot {
    ($($name:ident: $sql:expr;)*) => {
        /// Statements that run for every message or attempt, prepared once.
        pub(crate) struct Hot<'c> {
            $(pub(crate) $name: Statement<'c>,)*
        }

        impl<'c> Hot<'c> {
            fn prepare(conn: &'c Connection) -> rusqlite::Result<Self> {
                let persistent = PrepFlags::SQLITE_PREPARE_PERSISTENT;
                Ok(Self { $($name: conn.prepare_with_flags($sql, persistent)?,)* })
            }
        }
    };
}

hot! {
    begin: "BEGIN IMMEDIATE";
    commit: "COMMIT";
    claim: "/* publish */ INSERT INTO claim_recent (no, org_no, key, message_id, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    old_claim: "/* publish */ SELECT message_id FROM claim
        WHERE org_no = ?1 AND key = ?2 AND expires_at > ?3";
    payload: "/* publish */ INSERT INTO payload (id, codec, body) VALUES (?1, ?2, ?3)";
    message: "/* publish */ INSERT OR IGNORE INTO message (app_no, id, event_type, channels, tags, event_id,
        payload, content_type, headers, origin, created_at, deliver_at, expires_at, routed, endpoints)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    due: "/* publish */ INSERT INTO due (lane, due, delivery_id, app_no, message_id, trigger,
        attempts, give_up_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    delivery: "/* publish */ INSERT OR IGNORE INTO delivery (endpoint_no, message_id, delivery_id, trigger,
        attempts, next_due, attempt_ids) VALUES (?1, ?2, ?3, ?4, ?5, ?6, x'')";
    // Where the row is as the attempt found it: the condition of every settle.
    end_due: "/* settle */ DELETE FROM due
        WHERE lane = ?1 AND due = ?2 AND delivery_id = ?3 AND attempts = ?4";
    retry_due: "/* settle */ UPDATE due SET due = ?5, attempts = ?6
        WHERE lane = ?1 AND due = ?2 AND delivery_id = ?3 AND attempts = ?4";
    update_delivery: "/* settle */ UPDATE delivery SET attempts = ?4, next_due = ?5, state = ?6,
        cause = ?7, last_status = iif(?11, ?8, last_status), ended_at = ?9,
        attempt_ids = CAST(attempt_ids || ?10 AS BLOB)
        WHERE endpoint_no = ?1 AND message_id = ?2 AND delivery_id = ?3";
    attempt: "/* settle */ INSERT OR IGNORE INTO attempt (endpoint_no, id, message_id, delivery_id,
        number, trigger, class, status_code, response, duration, retry_after, timed_out, started_at,
        revision, url, secrets, body_hash, superseded, seq)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";
    progress: "/* progress */ UPDATE progress SET settle_seq = ?1, pending = ?2, swept = ?3
        WHERE id = 0";
}

/// What the writer knows of an organization.
#[derive(Clone, Copy)]
pub(crate) struct Org {
    pub(crate) no: i64,
    version: u64,
}

/// What the writer knows of an application that is not deleted.
#[derive(Clone, Copy)]
pub(crate) struct App {
    pub(crate) no: i64,
    pub(crate) org_no: i64,
    pub(crate) versions: Versions,
}

/// What the writer knows of an endpoint, deleted or not.
#[derive(Clone)]
pub(crate) struct Ep {
    pub(crate) no: i64,
    pub(crate) app_no: i64,
    pub(crate) lane: i64,
    pub(crate) revision: u32,
    /// As shown, of that revision.
    pub(crate) url: Arc<str>,
    pub(crate) disabled: bool,
    /// It, or its application.
    pub(crate) deleted: bool,
    pub(crate) first_failure_at: Option<Timestamp>,
}

/// Where an endpoint's rows of `due` are: shard and number in one integer.
pub(crate) fn lane(shard: Shard, endpoint_no: i64) -> i64 {
    (i64::from(shard.0) << 40) | endpoint_no
}

/// The number of a lane's endpoint.
pub(crate) fn endpoint_of(lane: i64) -> i64 {
    lane & ((1 << 40) - 1)
}

/// The last lane that a shard may have.
pub(crate) fn last_of(shard: Shard) -> i64 {
    lane(shard, (1 << 40) - 1)
}

/// The shard of a lane's number.
pub(crate) fn shard_of(lane: i64) -> Shard {
    Shard((lane >> 40) as u16)
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Progress {
    settle_seq: i64,
    pending: i64,
    swept: i64,
}

#[derive(Default)]
struct Cache {
    orgs: HashMap<OrganizationId, Org>,
    /// With the number of its organization's entry; the version of that is looked up there.
    apps: HashMap<ApplicationId, (OrganizationId, App)>,
    endpoints: HashMap<EndpointId, (ApplicationId, Ep)>,
    /// By application number; only where somebody asked.
    pending: HashMap<i64, i64>,
    /// Last sequence by minute of expiry.
    payloads: HashMap<i64, i64>,
    progress: Progress,
    stored: Progress,
}

/// Beside the writer's connection, what its transactions need.
pub(crate) struct Tx<'c> {
    pub(crate) conn: &'c Connection,
    pub(crate) hot: Hot<'c>,
    pub(crate) ports: Ports,
    pub(crate) claims: Claims,
    pub(crate) gather: Gather,
    cache: Cache,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(conn: &'c Connection, ports: Ports, dirty: Dirty) -> Result<Self> {
        let (claims, cache) = Default::default();
        let gather = Gather::load(conn, dirty)?;
        let mut tx = Self { conn, hot: Hot::prepare(conn)?, ports, claims, gather, cache };
        tx.forget()?;
        Ok(tx)
    }

    pub(crate) fn begin(&mut self) -> Result<()> {
        self.hot.begin.execute([])?;
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        let progress = self.cache.progress;
        if progress != self.cache.stored {
            let Progress { settle_seq, pending, swept } = progress;
            self.hot.progress.execute([settle_seq, pending, swept])?;
        }
        self.gather.before_commit(self.conn)?;
        self.hot.commit.execute([])?;
        self.gather.committed();
        self.cache.stored = progress;
        Ok(())
    }

    /// Undoes what the open transaction did, if there is one.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        self.gather.rolled_back();
        self.forget()
    }

    fn forget(&mut self) -> Result<()> {
        let progress = self
            .conn
            .prepare_cached("/* progress */ SELECT settle_seq, pending, swept FROM progress")?
            .query_row([], |row| {
                Ok(Progress { settle_seq: row.get(0)?, pending: row.get(1)?, swept: row.get(2)? })
            })?;
        self.cache = Cache { progress, stored: progress, ..Cache::default() };
        self.claims = Claims::load(self.conn)?;
        Ok(())
    }

    /// An organization's version moved. That is rare, and its applications are not listed apart:
    /// all are read again.
    pub(crate) fn org_changed(&mut self) {
        self.cache.orgs.clear();
        self.cache.apps.clear();
    }

    /// An application's row or version changed.
    pub(crate) fn app_changed(&mut self, id: ApplicationId) {
        self.cache.apps.remove(&id);
    }

    /// An application was deleted, and its endpoints with it.
    pub(crate) fn app_deleted(&mut self, id: ApplicationId) {
        self.cache.endpoints.retain(|_, (app, _)| *app != id);
    }

    /// An endpoint's row changed.
    pub(crate) fn endpoint_changed(&mut self, id: EndpointId) {
        self.cache.endpoints.remove(&id);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    fn org(&mut self, id: OrganizationId) -> Result<Option<Org>> {
        if let Some(org) = self.cache.orgs.get(&id) {
            return Ok(Some(*org));
        }
        let found = self
            .conn
            .prepare_cached("/* intern */ SELECT no, version FROM organization WHERE id = ?1")?
            .query_row([id.raw()], |row| {
                Ok(Org { no: row.get(0)?, version: row.get::<_, i64>(1)? as u64 })
            })
            .optional()?;
        if let Some(org) = found {
            bounded(&mut self.cache.orgs).insert(id, org);
        }
        Ok(found)
    }

    /// The number of an organization; it gets its row on first use.
    pub(crate) fn org_no(&mut self, id: OrganizationId) -> Result<i64> {
        if let Some(org) = self.org(id)? {
            return Ok(org.no);
        }
        let sql =
            "/* intern */ INSERT INTO organization (id, settings, version) VALUES (?1, '{}', 0)";
        self.conn.prepare_cached(sql)?.execute([id.raw()])?;
        Ok(self.conn.last_insert_rowid())
    }

    /// An application that is not deleted.
    pub(crate) fn app(&mut self, org: OrganizationId, id: ApplicationId) -> Result<Option<App>> {
        if let Some((owner, app)) = self.cache.apps.get(&id)
            && *owner == org
        {
            return Ok(Some(*app));
        }
        let Some(Org { no: org_no, version }) = self.org(org)? else { return Ok(None) };
        let found = self
            .conn
            .prepare_cached(
                "/* intern */ SELECT no, version FROM application
                 WHERE org_no = ?1 AND id = ?2 AND deleted_at IS NULL",
            )?
            .query_row(params![org_no, id.raw()], |row| {
                let versions = Versions { org: version, app: row.get::<_, i64>(1)? as u64 };
                Ok(App { no: row.get(0)?, org_no, versions })
            })
            .optional()?;
        if let Some(app) = found {
            bounded(&mut self.cache.apps).insert(id, (org, app));
        }
        Ok(found)
    }

    /// The number of an application, deleted or not.
    pub(crate) fn app_no_ever(
        &mut self,
        org: OrganizationId,
        id: ApplicationId,
    ) -> Result<Option<i64>> {
        if let Some(app) = self.app(org, id)? {
            return Ok(Some(app.no));
        }
        let sql =
            "/* intern */ SELECT a.no FROM organization o JOIN application a ON a.org_no = o.no
                   WHERE o.id = ?1 AND a.id = ?2";
        let params = [org.raw(), id.raw()];
        Ok(self.conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
    }

    /// An endpoint, deleted or not.
    pub(crate) fn endpoint(
        &mut self,
        org: OrganizationId,
        app: ApplicationId,
        id: EndpointId,
    ) -> Result<Option<Ep>> {
        if let Some((owner, endpoint)) = self.cache.endpoints.get(&id)
            && *owner == app
        {
            return Ok(Some(endpoint.clone()));
        }
        let Some(app_no) = self.app_no_ever(org, app)? else { return Ok(None) };
        let found = self
            .conn
            .prepare_cached(
                "/* intern */ SELECT e.no, e.lane, e.revision, r.url, e.disabled,
                 e.first_failure_at, coalesce(e.deleted_at, a.deleted_at) IS NOT NULL
                 FROM endpoint e JOIN application a ON a.no = e.app_no
                 JOIN endpoint_revision r ON r.endpoint_no = e.no AND r.revision = e.revision
                 WHERE e.app_no = ?1 AND e.id = ?2",
            )?
            .query_row(params![app_no, id.raw()], |row| {
                Ok(Ep {
                    no: row.get(0)?,
                    app_no,
                    lane: row.get(1)?,
                    revision: row.get(2)?,
                    url: row.get(3)?,
                    disabled: row.get(4)?,
                    deleted: row.get(6)?,
                    first_failure_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
                })
            })
            .optional()?;
        if let Some(endpoint) = &found {
            bounded(&mut self.cache.endpoints).insert(id, (app, endpoint.clone()));
        }
        Ok(found)
    }

    /// How many deliveries of the application are pending. Counted when first asked, kept since.
    pub(crate) fn pending(&mut self, app_no: i64) -> Result<i64> {
        if let Some(pending) = self.cache.pending.get(&app_no) {
            return Ok(*pending);
        }
        let sql = "/* quota */ SELECT count(*) FROM endpoint e CROSS JOIN due d ON d.lane = e.lane
                   WHERE e.app_no = ?1";
        let pending = self.conn.prepare_cached(sql)?.query_row([app_no], |row| row.get(0))?;
        bounded(&mut self.cache.pending).insert(app_no, pending);
        Ok(pending)
    }

    /// Rows were added to `due` (or taken away).
    pub(crate) fn add_pending(&mut self, app_no: i64, rows: i64) {
        self.cache.progress.pending += rows;
        if let Some(pending) = self.cache.pending.get_mut(&app_no) {
            *pending += rows;
        }
    }

    /// The next number in the order of settling.
    pub(crate) fn next_seq(&mut self) -> i64 {
        self.cache.progress.settle_seq += 1;
        self.cache.progress.settle_seq
    }

    /// A fresh row number of `payload` for a body that expires then. One that has been given is never
    /// given again, though its row may be gone: an expired message still names it.
    pub(crate) fn next_payload(&mut self, expires_at: Timestamp) -> Result<i64> {
        let (mut first, mut last) = payload_minute(expires_at);
        if last <= self.cache.progress.swept {
            (first, last) = minute_of(self.cache.progress.swept + 1);
        }
        let used = match self.cache.payloads.get(&first) {
            Some(used) => *used,
            None => self
                .conn
                .prepare_cached(
                    "/* publish */ SELECT max(id) FROM payload WHERE id BETWEEN ?1 AND ?2",
                )?
                .query_row([first, last], |row| row.get::<_, Option<i64>>(0))?
                .unwrap_or(first)
                .max(self.cache.progress.swept),
        };
        bounded(&mut self.cache.payloads).insert(first, used + 1);
        Ok(used + 1)
    }

    /// Payloads up to this number are gone.
    pub(crate) fn payloads_swept(&mut self, last: i64) {
        self.cache.progress.swept = self.cache.progress.swept.max(last);
    }
}

/// Numbers of payloads in a minute of expiry.
const MINUTE: i64 = 1 << 36;

/// Numbers of the payloads that expire in the same minute as `expires_at`: first and last.
pub(crate) fn payload_minute(expires_at: Timestamp) -> (i64, i64) {
    // 26 bits of minutes reach to the year 2097: what expires later goes with that year's last.
    minute_of((expires_at.as_secs() / 60).clamp(0, (1 << 26) - 1) * MINUTE)
}

fn minute_of(payload: i64) -> (i64, i64) {
    let first = payload / MINUTE * MINUTE;
    (first, first + MINUTE - 1)
}

fn bounded<K, V>(map: &mut HashMap<K, V>) -> &mut HashMap<K, V> {
    if map.len() >= CACHE_ENTRIES {
        map.clear();
    }
    map
}

/// The raw bytes of a list of ids, one after the other.
pub(crate) fn concat<I: Id>(ids: &[I]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.raw().iter().copied()).collect()
}
