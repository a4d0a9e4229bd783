//! Tokens that we made, and tokens that are refused.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId, TokenId},
    token::{Revocation, Revoked, Token},
};
use store::Tokens;
use tokio_postgres::Row;

use crate::{
    PostgresStore, catalog,
    conn::Tx,
    error::{Error, Result},
    feed,
    options::Ports,
    rows,
};

/// Sessions stand in JSON: callers name them, and may put a NUL into a name.
pub(crate) fn session_text(session: Option<&str>) -> Option<String> {
    session.map(rows::to_json)
}

pub(crate) fn revocation(row: &Row) -> Result<Revocation> {
    let token = rows::get::<Option<&[u8]>>(row, 0)?.map(<[u8; 32]>::try_from);
    let org: Option<OrganizationId> = rows::opt_id(row, 1)?;
    let app: Option<ApplicationId> = rows::opt_id(row, 2)?;
    let what = match (token, org, app, rows::opt_json(row, 3)?) {
        (Some(Ok(hash)), ..) => Revoked::Token(hash),
        (None, Some(org), Some(app), Some(session)) => Revoked::Session(org, app, session),
        (None, Some(org), Some(app), None) => Revoked::Application(org, app),
        _ => return Err(Error::corrupt("a revocation of nothing")),
    };
    Ok(Revocation {
        what,
        issued_until: rows::time(row, 4)?,
        at: rows::time(row, 5)?,
        forget_at: rows::time(row, 6)?,
    })
}

pub(crate) async fn create(tx: &Tx, token: &Token) -> Result<()> {
    tx.execute(
        "/* create_token */ INSERT INTO token (org, id, app, session_id, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &token.org.raw().as_slice(),
            &token.id.raw().as_slice(),
            &token.app.as_ref().map(|app| app.raw().as_slice()),
            &session_text(token.session_id.as_deref()),
            &token.created_at.as_micros(),
            &token.expires_at.as_micros(),
        ],
    )
    .await?;
    Ok(())
}

async fn revoke(
    tx: &Tx,
    ports: &Ports,
    caller: OrganizationId,
    revocation: &Revocation,
) -> Result<()> {
    let (token, scope, session) = match &revocation.what {
        Revoked::Token(hash) => (Some(hash.as_slice()), None, None),
        Revoked::Application(org, app) => (None, Some((org, app)), None),
        Revoked::Session(org, app, session) => (None, Some((org, app)), Some(session.as_str())),
    };
    // Of no meaning: rows are found by when they may be forgotten.
    let id = TokenId::generate(ports.clock.now(), &*ports.entropy);
    tx.execute(
        "/* revoke */ INSERT INTO revocation
         (id, token, org, app, session_id, issued_until, at, forget_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &id.raw().as_slice(),
            &token,
            &scope.map(|(org, _)| org.raw().as_slice()),
            &scope.map(|(_, app)| app.raw().as_slice()),
            &session_text(session),
            &revocation.issued_until.as_micros(),
            &revocation.at.as_micros(),
            &revocation.forget_at.as_micros(),
        ],
    )
    .await?;
    catalog::bump_organization(tx, caller).await?;
    let tell = "/* revoke */ SELECT pg_notify($1, 'revocations')";
    tx.query(tell, &[&feed::CHANNEL]).await?;
    Ok(())
}

#[async_trait]
impl Tokens for PostgresStore {
    async fn create_token(&self, token: Token) -> store::Result<()> {
        let token = &token;
        let create = |tx: Arc<Tx>| async move {
            create(&tx, token).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = self.shared.change(create).await?;
        Ok(())
    }

    async fn revoke(&self, org: OrganizationId, revocation: Revocation) -> store::Result<()> {
        let (ports, revocation) = (&self.shared.ports, &revocation);
        let revoke = |tx: Arc<Tx>| async move {
            revoke(&tx, ports, org, revocation).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = self.shared.change(revoke).await?;
        Ok(())
    }

    async fn revocations(&self, now: Timestamp) -> store::Result<Vec<Revocation>> {
        let sql = "/* revocations */ SELECT token, org, app, session_id, issued_until, at,
                   forget_at FROM revocation WHERE forget_at > $1";
        let found = self.shared.read().await?.query(sql, &[&now.as_micros()]).await?;
        let revocations: Result<_> = found.iter().map(revocation).collect();
        Ok(revocations?)
    }
}
