//! A new master key: everything that is sealed is sealed again, a few rows at a time. What is
//! interrupted goes on when it is called again: until the end, both keys open. Nodes may be at work
//! meanwhile if they have both keys, the new one last.

use std::{convert::Infallible, sync::Arc};

use domain::{claim::ClaimKey, id::EndpointId};
use store::{
    StoreError,
    sealed::{Column, response_owner},
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
/// Organization, application, endpoint.
type EndpointPlace = [Vec<u8>; 3];
/// Organization, key.
type ResponsePlace = [Vec<u8>; 2];

impl PostgresStore {
    /// Seals everything with the vault's newest key that is not yet. Returns how many rows that were.
    /// Afterwards the older keys are not needed any more.
    pub async fn reseal(&self) -> Result<usize, StoreError> {
        let shared = &*self.shared;
        let vault = &shared.ports.vault;
        let of_endpoints = shared
            .reseal_all(|tx, after| async move { endpoints(&tx, vault, after).await })
            .await?;
        let of_responses = shared
            .reseal_all(|tx, after| async move { responses(&tx, vault, after).await })
            .await?;
        let check = |tx: Arc<Tx>| async move {
            schema::write_key_check(&tx, vault).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = shared.change(check).await?;
        Ok(of_endpoints + of_responses)
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

fn anew(vault: &Vault, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
    Ok(vault.seal(owner, &vault.open(owner, sealed)?))
}

fn is_new(vault: &Vault, sealed: &[u8]) -> bool {
    Vault::key_of(sealed) == Some(vault.newest())
}

/// What is secret of the endpoints behind `after`. All of one was sealed by the same write: its secrets
/// tell with which key. The rows are locked, or an edit that comes between would be undone.
async fn endpoints(tx: &Tx, vault: &Vault, after: EndpointPlace) -> Result<Step<EndpointPlace>> {
    let found = tx
        .query(
            "/* reseal */ SELECT org, app, endpoint, secrets, headers, url, url_sealed
             FROM endpoint WHERE (org, app, endpoint) > ($1, $2, $3)
             ORDER BY org, app, endpoint LIMIT $4 FOR UPDATE",
            &[&after[0], &after[1], &after[2], &STEP_ROWS],
        )
        .await?;
    let mut resealed = 0;
    for row in &found {
        let secrets = rows::bytes(row, 3)?;
        if is_new(vault, secrets) {
            continue;
        }
        let id: EndpointId = rows::id(row, 2)?;
        let again = |column: Column, sealed: &[u8]| anew(vault, &column.owner(id), sealed);
        let secrets = again(Column::Secrets, secrets)?;
        let headers = rows::get::<Option<&[u8]>>(row, 4)?;
        let headers = headers.map(|sealed| again(Column::Headers, sealed)).transpose()?;
        let url = match (rows::bytes(row, 5)?, rows::get(row, 6)?) {
            (sealed, true) => again(Column::Url, sealed)?,
            (plain, false) => plain.to_vec(),
        };
        let key = [rows::bytes(row, 0)?, rows::bytes(row, 1)?, id.raw().as_slice()];
        tx.execute(
            "/* reseal */ UPDATE endpoint SET secrets = $4, headers = $5, url = $6
             WHERE org = $1 AND app = $2 AND endpoint = $3",
            &[&key[0], &key[1], &key[2], &secrets, &headers, &url],
        )
        .await?;
        resealed += 1;
    }
    let Some(last) = found.last() else { return Ok((None, resealed)) };
    let part = |column| Ok::<_, Error>(rows::bytes(last, column)?.to_vec());
    Ok((Some([part(0)?, part(1)?, part(2)?]), resealed))
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
        if is_new(vault, sealed) {
            continue;
        }
        let claim = key.try_into().map_err(|_| Error::corrupt("a key is not 16 bytes long"))?;
        let body = anew(vault, &response_owner(ClaimKey(claim)), sealed)?;
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
