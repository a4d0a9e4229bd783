//! Settings of organizations, and their version.

use domain::{
    id::OrganizationId,
    organization::{Organization, OrganizationSettings},
    token::Actor,
};
use store::{
    audit::of_organization,
    catalog::{OrganizationSnapshot, Refused},
};

use super::{audit, event_types};
use crate::{
    conn::{Conn, Tx},
    error::Result,
    feed,
    options::Ports,
    rows,
};

pub(super) async fn load(conn: &Conn, org: OrganizationId) -> Result<OrganizationSnapshot> {
    let sql = "/* load_organization */ SELECT settings, version FROM organization WHERE org = $1";
    let (settings, event_types, version) =
        match conn.query_opt(sql, &[&org.raw().as_slice()]).await? {
            // Event types behind the version, so that they are never older than it: what was routed with
            // newer ones is refused, and routed again.
            Some(row) => {
                let version: u64 = rows::narrow(rows::get::<i64>(&row, 1)?)?;
                (rows::json(&row, 0)?, event_types::all(conn, org).await?, version)
            }
            None => (OrganizationSettings::default(), Vec::new(), 0),
        };
    Ok(OrganizationSnapshot {
        organization: Organization { id: org, settings },
        event_types,
        version,
    })
}

/// Gives an organization its row, which it gets on first use.
pub(crate) async fn ensure(tx: &Tx, org: OrganizationId) -> Result<()> {
    tx.execute(
        "/* organization */ INSERT INTO organization (org, settings, version)
         VALUES ($1, '{}', 0) ON CONFLICT DO NOTHING",
        &[&org.raw().as_slice()],
    )
    .await?;
    Ok(())
}

pub(super) async fn put(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    organization: &Organization,
    expected: u64,
) -> Result<Result<(), Refused<OrganizationId>>> {
    let org = organization.id;
    ensure(tx, org).await?;
    let written = tx
        .execute(
            "/* put_organization */ UPDATE organization SET settings = $2
             WHERE org = $1 AND version = $3",
            &[
                &org.raw().as_slice(),
                &rows::to_json(&organization.settings),
                &expected.cast_signed(),
            ],
        )
        .await?;
    if written == 0 {
        return Ok(Err(Refused::Stale));
    }
    bump(tx, org).await?;
    let detail = of_organization(organization);
    audit(tx, ports, org, actor, "organization.update", &org, &detail).await?;
    Ok(Ok(()))
}

/// Counts an organization's version up, and tells the other nodes. It gets its row if it has none.
pub(crate) async fn bump(tx: &Tx, org: OrganizationId) -> Result<()> {
    tx.execute(
        "/* version */ INSERT INTO organization (org, settings, version) VALUES ($1, '{}', 1)
         ON CONFLICT (org) DO UPDATE SET version = organization.version + 1",
        &[&org.raw().as_slice()],
    )
    .await?;
    feed::note_change(tx, org, None).await
}
