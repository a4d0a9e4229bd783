//! A new master key: everything that is sealed is sealed again, a few rows at a time. What is
//! interrupted goes on when it is called again: until the end, both keys open. Nodes may be at work
//! meanwhile if they have both keys, the new one last.

use std::{convert::Infallible, sync::Arc};

use domain::{claim::ClaimKey, id::EndpointId};
use store::{
    StoreError,
    sealed::{Column, channels_owner, rejected_owner, response_owner, source_owner},
    vault::Vault,
};

use crate::{
    PostgresStore, Shared,
    conn::Tx,
    error::{Error, Result},
    rows, schema,
};

/// Rows in one transaction.
const STEP_ROWS: i64 = 200;

/// What was looked at last (`None` at the end), and how many rows were sealed anew.
type Step<P> = (Option<P>, usize);
/// Organization, application.
type ApplicationPlace = [Vec<u8>; 2];
/// Organization, application, endpoint.
type EndpointPlace = [Vec<u8>; 3];
/// Organization, application, endpoint, revision.
type RevisionPlace = ([Vec<u8>; 3], i32);
/// Organization, application, refused request.
type RejectedPlace = [Vec<u8>; 3];
/// Organization, rule.
type RulePlace = [Vec<u8>; 2];
/// Organization, key.
type ResponsePlace = [Vec<u8>; 2];

impl PostgresStore {
    /// Seals everything with the vault's newest key that is not yet. Returns how many rows that were.
    /// Afterwards the older keys are not needed any more.
    pub async fn reseal(&self) -> Result<usize, StoreError> {
        let shared = &*self.shared;
        let vault = &shared.ports.vault;
        let of_applications = shared
            .reseal_all(|tx, after| async move { applications(&tx, vault, after).await })
            .await?;
        let of_endpoints = shared
            .reseal_all(|tx, after| async move { endpoints(&tx, vault, after).await })
            .await?;
        let of_past_headers = shared
            .reseal_all(|tx, after| async move { past_headers(&tx, vault, after).await })
            .await?;
        let of_responses = shared
            .reseal_all(|tx, after| async move { responses(&tx, vault, after).await })
            .await?;
        let of_rejected =
            shared.reseal_all(|tx, after| async move { rejected(&tx, vault, after).await }).await?;
        let of_rules =
            shared.reseal_all(|tx, after| async move { rules(&tx, vault, after).await }).await?;
        let check = |tx: Arc<Tx>| async move {
            schema::write_key_check(&tx, vault).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = shared.change(check).await?;
        let of_catalogue = of_applications + of_endpoints + of_past_headers;
        Ok(of_catalogue + of_responses + of_rejected + of_rules)
    }
}

impl Shared {
    /// Goes through a table, a transaction for each step. Its first place is before all keys.
    async fn reseal_all<P, F>(&self, step: impl Fn(Arc<Tx>, P) -> F) -> Result<usize>
    where
        P: Clone + Default,
        F: Future<Output = Result<Step<P>>>,
    {
        let mut resealed = 0;
        let mut after = Some(P::default());
        while let Some(from) = after {
            let step = |tx| {
                let step = step(tx, from.clone());
                async { Ok(Ok::<_, Infallible>(step.await?)) }
            };
            let Ok((last, rows)) = self.change(step).await?;
            (after, resealed) = (last, resealed + rows);
        }
        Ok(resealed)
    }
}

/// The sources of the applications behind `after`. The rows are locked, or an edit that comes between
/// would be undone.
async fn applications(
    tx: &Tx,
    vault: &Vault,
    after: ApplicationPlace,
) -> Result<Step<ApplicationPlace>> {
    let found = tx
        .query(
            "/* reseal */ SELECT org, app, source FROM application
             WHERE (org, app) > ($1, $2)
             ORDER BY org, app LIMIT $3 FOR UPDATE",
            &[&after[0], &after[1], &STEP_ROWS],
        )
        .await?;
    let mut resealed = 0;
    for row in &found {
        let Some(sealed) = rows::get::<Option<&[u8]>>(row, 2)? else { continue };
        let owner = source_owner(rows::id(row, 0)?, rows::id(row, 1)?);
        let Some(anew) = vault.reseal(&owner, sealed)? else { continue };
        tx.execute(
            "/* reseal */ UPDATE application SET source = $3 WHERE org = $1 AND app = $2",
            &[&rows::bytes(row, 0)?, &rows::bytes(row, 1)?, &anew],
        )
        .await?;
        resealed += 1;
    }
    let Some(last) = found.last() else { return Ok((None, resealed)) };
    let part = |column| Ok::<_, Error>(rows::bytes(last, column)?.to_vec());
    Ok((Some([part(0)?, part(1)?]), resealed))
}

/// What is secret of the endpoints behind `after`, each value by itself: a node of the release before
/// seals those that it knows, and leaves the others as they are. The rows are locked.
async fn endpoints(tx: &Tx, vault: &Vault, after: EndpointPlace) -> Result<Step<EndpointPlace>> {
    let found = tx
        .query(
            "/* reseal */ SELECT org, app, endpoint, secrets, headers, transformation,
             CASE WHEN url_sealed THEN url END FROM endpoint
             WHERE (org, app, endpoint) > ($1, $2, $3)
             ORDER BY org, app, endpoint LIMIT $4 FOR UPDATE",
            &[&after[0], &after[1], &after[2], &STEP_ROWS],
        )
        .await?;
    let mut resealed = 0;
    for row in &found {
        let id: EndpointId = rows::id(row, 2)?;
        let anew = |column: Column, at: usize| -> Result<Option<Vec<u8>>> {
            let Some(sealed) = rows::get::<Option<&[u8]>>(row, at)? else { return Ok(None) };
            Ok(vault.reseal(&column.owner(id), sealed)?)
        };
        let (secrets, headers) = (anew(Column::Secrets, 3)?, anew(Column::Headers, 4)?);
        let transformation = anew(Column::Transformation, 5)?;
        let url = anew(Column::Url, 6)?;
        if [&secrets, &headers, &transformation, &url].into_iter().all(Option::is_none) {
            continue;
        }
        let key = [rows::bytes(row, 0)?, rows::bytes(row, 1)?, id.raw().as_slice()];
        tx.execute(
            "/* reseal */ UPDATE endpoint SET secrets = coalesce($4, secrets),
             headers = coalesce($5, headers), transformation = coalesce($6, transformation),
             url = coalesce($7, url) WHERE org = $1 AND app = $2 AND endpoint = $3",
            &[&key[0], &key[1], &key[2], &secrets, &headers, &transformation, &url],
        )
        .await?;
        resealed += 1;
    }
    let Some(last) = found.last() else { return Ok((None, resealed)) };
    let part = |column| Ok::<_, Error>(rows::bytes(last, column)?.to_vec());
    Ok((Some([part(0)?, part(1)?, part(2)?]), resealed))
}

/// The past headers behind `after`, once all endpoints are done: what is copied from them by then is sealed
/// anew already, and what was copied before, while they were locked, is here.
async fn past_headers(
    tx: &Tx,
    vault: &Vault,
    (key, revision): RevisionPlace,
) -> Result<Step<RevisionPlace>> {
    let found = tx
        .query(
            "/* reseal */ SELECT org, app, endpoint, revision, headers FROM past_headers
             WHERE (org, app, endpoint, revision) > ($1, $2, $3, $4)
             ORDER BY org, app, endpoint, revision LIMIT $5 FOR UPDATE",
            &[&key[0], &key[1], &key[2], &revision, &STEP_ROWS],
        )
        .await?;
    let mut resealed = 0;
    for row in &found {
        let Some(sealed) = rows::get::<Option<&[u8]>>(row, 4)? else { continue };
        let owner = Column::Headers.owner(rows::id(row, 2)?);
        let Some(anew) = vault.reseal(&owner, sealed)? else { continue };
        let key = [rows::bytes(row, 0)?, rows::bytes(row, 1)?, rows::bytes(row, 2)?];
        tx.execute(
            "/* reseal */ UPDATE past_headers SET headers = $5
             WHERE org = $1 AND app = $2 AND endpoint = $3 AND revision = $4",
            &[&key[0], &key[1], &key[2], &rows::get::<i32>(row, 3)?, &anew],
        )
        .await?;
        resealed += 1;
    }
    let Some(last) = found.last() else { return Ok((None, resealed)) };
    let part = |column| Ok::<_, Error>(rows::bytes(last, column)?.to_vec());
    Ok((Some(([part(0)?, part(1)?, part(2)?], rows::get(last, 3)?)), resealed))
}

/// The saved answers behind `after`.
async fn responses(tx: &Tx, vault: &Vault, after: ResponsePlace) -> Result<Step<ResponsePlace>> {
    let found = tx
        .query(
            "/* reseal */ SELECT org, key, body FROM response WHERE (org, key) > ($1, $2)
             ORDER BY org, key LIMIT $3 FOR UPDATE",
            &[&after[0], &after[1], &STEP_ROWS],
        )
        .await?;
    let mut resealed = 0;
    for row in &found {
        let (org, key, sealed) = (rows::bytes(row, 0)?, rows::bytes(row, 1)?, rows::bytes(row, 2)?);
        let claim = key.try_into().map_err(|_| Error::corrupt("a key is not 16 bytes long"))?;
        let owner = response_owner(ClaimKey(claim));
        let Some(body) = vault.reseal(&owner, sealed)? else { continue };
        tx.execute(
            "/* reseal */ UPDATE response SET body = $3 WHERE org = $1 AND key = $2",
            &[&org, &key, &body],
        )
        .await?;
        resealed += 1;
    }
    let Some(last) = found.last() else { return Ok((None, resealed)) };
    let part = |column| Ok::<_, Error>(rows::bytes(last, column)?.to_vec());
    Ok((Some([part(0)?, part(1)?]), resealed))
}

/// The channels of the alert rules behind `after`.
async fn rules(tx: &Tx, vault: &Vault, after: RulePlace) -> Result<Step<RulePlace>> {
    let found = tx
        .query(
            "/* reseal */ SELECT org, id, channels FROM alert_rule WHERE (org, id) > ($1, $2)
             ORDER BY org, id LIMIT $3 FOR UPDATE",
            &[&after[0], &after[1], &STEP_ROWS],
        )
        .await?;
    let mut resealed = 0;
    for row in &found {
        let owner = channels_owner(rows::id(row, 0)?, rows::id(row, 1)?);
        let Some(anew) = vault.reseal(&owner, rows::bytes(row, 2)?)? else { continue };
        tx.execute(
            "/* reseal */ UPDATE alert_rule SET channels = $3 WHERE org = $1 AND id = $2",
            &[&rows::bytes(row, 0)?, &rows::bytes(row, 1)?, &anew],
        )
        .await?;
        resealed += 1;
    }
    let Some(last) = found.last() else { return Ok((None, resealed)) };
    let part = |column| Ok::<_, Error>(rows::bytes(last, column)?.to_vec());
    Ok((Some([part(0)?, part(1)?]), resealed))
}

/// What sources refused, behind `after`.
async fn rejected(tx: &Tx, vault: &Vault, after: RejectedPlace) -> Result<Step<RejectedPlace>> {
    let found = tx
        .query(
            "/* reseal */ SELECT org, app, id, content FROM rejected
             WHERE (org, app, id) > ($1, $2, $3) ORDER BY org, app, id LIMIT $4 FOR UPDATE",
            &[&after[0], &after[1], &after[2], &STEP_ROWS],
        )
        .await?;
    let mut resealed = 0;
    for row in &found {
        let owner = rejected_owner(rows::id(row, 0)?, rows::id(row, 1)?, rows::id(row, 2)?);
        let Some(anew) = vault.reseal(&owner, rows::bytes(row, 3)?)? else { continue };
        let key = [rows::bytes(row, 0)?, rows::bytes(row, 1)?, rows::bytes(row, 2)?];
        tx.execute(
            "/* reseal */ UPDATE rejected SET content = $4
             WHERE org = $1 AND app = $2 AND id = $3",
            &[&key[0], &key[1], &key[2], &anew],
        )
        .await?;
        resealed += 1;
    }
    let Some(last) = found.last() else { return Ok((None, resealed)) };
    let part = |column| Ok::<_, Error>(rows::bytes(last, column)?.to_vec());
    Ok((Some([part(0)?, part(1)?, part(2)?]), resealed))
}
