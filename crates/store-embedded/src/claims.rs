//! Claims, young and old. A claim's key is a hash: each one put where it belongs at once would change
//! a page of its own. So a young claim is appended to `claim_recent`, which the writer knows by heart;
//! many at a time are carried over into `claim` in the order of their keys, where neighbours share
//! pages.

use std::collections::HashMap;

use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    id::{MessageId, OrganizationId},
};
use rusqlite::{Connection, OptionalExtension, params};
use store::publish::Claim;

use crate::{error::Result, tx::Tx};

/// Where a claim, or a saved answer, is: the number of its organization, and its key.
pub(crate) type Place = (i64, [u8; 16]);

/// Young claims that are enough to be carried over.
const ENOUGH: usize = 32 * 1024;
/// New claims after which some are carried over, in one transaction. After each such transaction SQLite
/// walks its whole page cache, so that fewer and larger ones cost less.
const STEP: usize = 768;
/// As many times the new ones: what comes while a lot is carried over and taken away (twice as fast)
/// must be less than the lot, or the next one would be larger. Half as many come, so that there are
/// 49,152 at most: a few more than 57,344 would double the map that they are in.
const PACE: usize = 3;

/// What the writer knows of young claims. Rebuilt from `claim_recent` after a rollback.
#[derive(Default)]
pub(crate) struct Claims {
    recent: HashMap<Place, Recent>,
    last_no: i64,
    carrying: Option<Carrying>,
    since_step: usize,
}

struct Recent {
    no: i64,
    message: MessageId,
    expires_at: Timestamp,
}

/// Rows of `claim_recent` that are being carried over.
struct Carrying {
    /// Those that are still to come, the first one last.
    places: Vec<Place>,
    up_to: i64,
}

impl Claims {
    /// As stored.
    pub(crate) fn load(conn: &Connection) -> Result<Self> {
        let mut claims = Self::default();
        let sql = "/* claims */ SELECT no, org_no, key, message_id, expires_at FROM claim_recent
                   ORDER BY no";
        let mut statement = conn.prepare_cached(sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let recent = Recent {
                no: row.get(0)?,
                message: MessageId::from_raw(row.get(3)?),
                expires_at: Timestamp::from_micros(row.get(4)?),
            };
            claims.last_no = recent.no;
            claims.recent.insert((row.get(1)?, row.get(2)?), recent);
        }
        Ok(claims)
    }

    /// Whether a step of carrying over is due.
    pub(crate) fn step_is_due(&self) -> bool {
        let enough = self.carrying.is_some() || self.recent.len() >= ENOUGH;
        enough && self.since_step >= STEP
    }
}

impl Tx<'_> {
    /// Claims a key that nobody of the organization has.
    pub(crate) fn claim(&mut self, org_no: i64, claim: &Claim, message: MessageId) -> Result<()> {
        let Claim { key: ClaimKey(key), expires_at } = *claim;
        let no = self.claims.last_no + 1;
        self.hot.claim.execute(params![no, org_no, key, message.raw(), expires_at.as_micros()])?;
        self.claims.last_no = no;
        self.claims.since_step += 1;
        self.claims.recent.insert((org_no, key), Recent { no, message, expires_at });
        Ok(())
    }

    /// What a key is claimed for; a claim that has expired is as good as none.
    pub(crate) fn winner(
        &mut self,
        org_no: i64,
        ClaimKey(key): ClaimKey,
        now: Timestamp,
    ) -> Result<Option<MessageId>> {
        if let Some(recent) = self.claims.recent.get(&(org_no, key)) {
            return Ok((recent.expires_at > now).then_some(recent.message));
        }
        let params = params![org_no, key, now.as_micros()];
        let old = self.hot.old_claim.query_row(params, |row| row.get(0)).optional()?;
        Ok(old.map(MessageId::from_raw))
    }

    /// Takes away young claims that have expired.
    pub(crate) fn remove_claims(&mut self, expired: &[(i64, Place)]) -> Result<usize> {
        let sql = "/* sweep */ DELETE FROM claim_recent WHERE no = ?1";
        let mut delete = self.conn.prepare_cached(sql)?;
        let mut removed = 0;
        for (no, place) in expired {
            removed += delete.execute([no])?;
            // It may have been claimed anew meanwhile.
            if self.claims.recent.get(place).is_some_and(|recent| recent.no == *no) {
                self.claims.recent.remove(place);
            }
        }
        Ok(removed)
    }

    /// Carries over some claims, or takes away what has been carried over.
    pub(crate) fn carry_claims(&mut self) -> Result<()> {
        let now = self.now();
        let step = PACE * std::mem::take(&mut self.claims.since_step).max(STEP);
        let claims = &mut self.claims;
        let carrying = claims.carrying.get_or_insert_with(|| {
            let mut places: Vec<_> = claims.recent.keys().copied().collect();
            places.sort_unstable_by(|a, b| b.cmp(a));
            Carrying { places, up_to: claims.last_no }
        });
        if !carrying.places.is_empty() {
            let sql =
                "/* claims */ INSERT OR REPLACE INTO claim (org_no, key, message_id, expires_at)
                       VALUES (?1, ?2, ?3, ?4)";
            let mut insert = self.conn.prepare_cached(sql)?;
            let at = carrying.places.len().saturating_sub(step);
            for (org_no, key) in carrying.places.drain(at..).rev() {
                let recent = claims.recent.get(&(org_no, key));
                if let Some(recent) = recent.filter(|recent| recent.expires_at > now) {
                    let expires_at = recent.expires_at.as_micros();
                    insert.execute(params![org_no, key, recent.message.raw(), expires_at])?;
                }
            }
            return Ok(());
        }
        let up_to = carrying.up_to;
        // What was claimed anew meanwhile stays.
        claims.recent.retain(|_, recent| recent.no > up_to);
        let sql = "/* claims */ DELETE FROM claim_recent WHERE no IN
                   (SELECT no FROM claim_recent WHERE no <= ?1 ORDER BY no LIMIT ?2)";
        let limit = 2 * step;
        let removed = self.conn.prepare_cached(sql)?.execute(params![up_to, limit as i64])?;
        if removed < limit {
            claims.carrying = None;
        }
        Ok(())
    }
}

/// Young claims that have expired, at most `rows`: the number and the place of each.
pub(crate) fn find_expired(
    conn: &Connection,
    now: Timestamp,
    rows: usize,
) -> Result<Vec<(i64, Place)>> {
    let sql =
        "/* sweep */ SELECT no, org_no, key FROM claim_recent WHERE expires_at <= ?1 LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_map(params![now.as_micros(), rows as i64], |row| {
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// What a key is claimed for, as a reader sees it.
pub(crate) fn claimed(
    conn: &Connection,
    org: OrganizationId,
    key: ClaimKey,
    now: Timestamp,
) -> Result<Option<MessageId>> {
    let find = |sql| {
        let mut statement = conn.prepare_cached(sql)?;
        let params = params![org.raw(), key.0];
        let found = statement.query_row(params, |row| Ok((row.get(0)?, row.get(1)?)));
        found.optional()
    };
    // A young claim is a table scan away: nobody asks for it while messages are published.
    let recent = "/* claimed */ SELECT message_id, expires_at FROM claim_recent
                  WHERE org_no = (SELECT no FROM organization WHERE id = ?1) AND key = ?2
                  ORDER BY no DESC LIMIT 1";
    let old = "/* claimed */ SELECT message_id, expires_at FROM claim
               WHERE org_no = (SELECT no FROM organization WHERE id = ?1) AND key = ?2";
    let found: Option<([u8; 20], i64)> = match find(recent)? {
        Some(found) => Some(found),
        None => find(old)?,
    };
    let live = found.filter(|(_, expires_at)| *expires_at > now.as_micros());
    Ok(live.map(|(message, _)| MessageId::from_raw(message)))
}
