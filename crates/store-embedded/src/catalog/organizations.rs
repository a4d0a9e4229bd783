//! Settings of organizations, and their version.

use domain::{
    id::OrganizationId,
    organization::{Organization, OrganizationSettings},
    token::Actor,
};
use rusqlite::{Connection, OptionalExtension, params};
use store::{
    audit::of_organization,
    catalog::{OrganizationSnapshot, Refused},
};

use super::{audit, event_types};
use crate::{error::Result, rows, tx::Tx};

pub(super) fn load(conn: &Connection, org: OrganizationId) -> Result<OrganizationSnapshot> {
    let sql =
        "/* load_organization */ SELECT no, settings, version FROM organization WHERE id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query([org.raw()])?;
    let (settings, event_types, version) = match found.next()? {
        Some(row) => {
            let event_types = event_types::all(conn, org, row.get(0)?)?;
            (rows::json(row, 1)?, event_types, row.get::<_, i64>(2)?.cast_unsigned())
        }
        None => (OrganizationSettings::default(), Vec::new(), 0),
    };
    Ok(OrganizationSnapshot {
        organization: Organization { id: org, settings },
        event_types,
        version,
    })
}

pub(super) fn put(
    tx: &mut Tx<'_>,
    actor: &Actor,
    organization: &Organization,
    expected: u64,
) -> Result<Result<(), Refused<OrganizationId>>> {
    let org_no = tx.org_no(organization.id)?;
    let sql = "/* put_organization */ SELECT version FROM organization WHERE no = ?1";
    let version: i64 = tx.conn.prepare_cached(sql)?.query_row([org_no], |row| row.get(0))?;
    if version.cast_unsigned() != expected {
        return Ok(Err(Refused::Stale));
    }
    let settings = rows::to_json(&organization.settings);
    tx.conn
        .prepare_cached(
            "/* put_organization */ UPDATE organization SET settings = ?2 WHERE no = ?1",
        )?
        .execute(params![org_no, settings])?;
    bump(tx, org_no)?;
    let detail = of_organization(organization);
    audit(tx, org_no, actor, "organization.update", &organization.id, &detail)?;
    Ok(Ok(()))
}

/// Counts an organization's version up.
pub(crate) fn bump(tx: &mut Tx<'_>, org_no: i64) -> Result<()> {
    tx.conn
        .prepare_cached(
            "/* version */ UPDATE organization SET version = version + 1 WHERE no = ?1",
        )?
        .execute([org_no])?;
    tx.org_changed();
    Ok(())
}

/// The number of an organization that has a row.
pub(super) fn number(conn: &Connection, org: OrganizationId) -> Result<Option<i64>> {
    let sql = "/* intern */ SELECT no FROM organization WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([org.raw()], |row| row.get(0)).optional()?)
}
