//! Endpoints' health, written where it changes.

use domain::{
    clock::Timestamp,
    delivery::Health,
    id::{ApplicationId, EndpointId, OrganizationId},
};
use store::deliveries::Settle;
use tokio_postgres::Row;

use crate::{Ports, catalog, conn::Tx, error::Result, rows};

/// A live endpoint as it is before this.
struct Known {
    failing_since: Option<Timestamp>,
    disabled: bool,
}

/// Writes the health that outcomes tell of; which of them changed something. No two are of one endpoint.
/// That an endpoint fails or has recovered routes nothing and makes no edit stale. That it is disabled
/// does: it is a change of the endpoint like any other.
pub(crate) async fn write(
    tx: &Tx,
    ports: &Ports,
    settles: &[(usize, &Settle)],
) -> Result<Vec<usize>> {
    if settles.is_empty() {
        return Ok(Vec::new());
    }
    let known = lock(tx, settles).await?;
    let mut changed = Vec::new();
    let (mut orgs, mut apps, mut endpoints) = (Vec::new(), Vec::new(), Vec::new());
    let (mut since, mut disabled) = (Vec::new(), Vec::new());
    let mut disabling = Vec::new();
    for (at, settle) in settles {
        let delivery = &settle.delivery;
        let Some((_, now)) = known.iter().find(|(id, _)| *id == delivery.endpoint) else {
            continue;
        };
        let failing = now.failing_since;
        let (new, disable) = match settle.health {
            Health::Failing(since) if failing.is_none() => (Some(since), false),
            Health::Recovered if failing.is_some() => (None, false),
            Health::Disable { fail_since } if !now.disabled => (failing.or(Some(fail_since)), true),
            _ => continue,
        };
        changed.push(*at);
        orgs.push(delivery.org.raw().as_slice());
        apps.push(delivery.app.raw().as_slice());
        endpoints.push(delivery.endpoint.raw().as_slice());
        since.push(new.map(Timestamp::as_micros));
        disabled.push(disable);
        if disable {
            disabling.push((delivery.org, delivery.app, delivery.endpoint, new));
        }
    }
    if changed.is_empty() {
        return Ok(changed);
    }
    for (org, app, endpoint, _) in &disabling {
        let of = (*org, *app, *endpoint);
        catalog::past_headers::keep(tx, of, ports.clock.now()).await?;
    }
    let sql = "/* health */ UPDATE endpoint e SET first_failure_at = u.since,
             disabled = e.disabled OR u.disable, revision = e.revision + u.disable::integer
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::boolean[])
             AS u (org, app, endpoint, since, disable)
         WHERE e.org = u.org AND e.app = u.app AND e.endpoint = u.endpoint";
    tx.execute(sql, &[&orgs, &apps, &endpoints, &since, &disabled]).await?;
    for (org, app, endpoint, since) in disabling {
        disable(tx, ports, (org, app, endpoint), since).await?;
    }
    Ok(changed)
}

/// Endpoints that are not deleted, nor their applications; in the order of their keys, so that two
/// nodes wait for each other in one direction only.
async fn lock(tx: &Tx, settles: &[(usize, &Settle)]) -> Result<Vec<(EndpointId, Known)>> {
    let delivery = |(_, settle): &(usize, &'_ Settle)| settle.delivery.clone();
    let keys: Vec<_> = settles.iter().map(delivery).collect();
    let orgs: Vec<&[u8]> = keys.iter().map(|key| key.org.raw().as_slice()).collect();
    let apps: Vec<&[u8]> = keys.iter().map(|key| key.app.raw().as_slice()).collect();
    let endpoints: Vec<&[u8]> = keys.iter().map(|key| key.endpoint.raw().as_slice()).collect();
    let sql = "/* health */ SELECT e.endpoint, e.first_failure_at, e.disabled
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS u (org, app, endpoint)
         JOIN endpoint e ON e.org = u.org AND e.app = u.app AND e.endpoint = u.endpoint
         JOIN application a ON a.org = u.org AND a.app = u.app
         WHERE e.deleted_at IS NULL AND a.deleted_at IS NULL
         ORDER BY e.org, e.app, e.endpoint FOR UPDATE OF e";
    let found = tx.query(sql, &[&orgs, &apps, &endpoints]).await?;
    let known = |row: &Row| {
        let known = Known { failing_since: rows::opt_time(row, 1)?, disabled: rows::get(row, 2)? };
        Ok((rows::id(row, 0)?, known))
    };
    found.iter().map(known).collect()
}

async fn disable(
    tx: &Tx,
    ports: &Ports,
    (org, app, endpoint): (OrganizationId, ApplicationId, EndpointId),
    since: Option<Timestamp>,
) -> Result<()> {
    catalog::bump_application(tx, org, app).await?;
    catalog::audit_disabling(tx, ports, org, endpoint, since).await
}
