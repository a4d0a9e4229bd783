//! Tokens that we made, and tokens that are refused.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    token::{Revocation, Revoked, Token},
};
use rusqlite::{Row, params};
use store::Tokens;

use crate::{
    EmbeddedStore, catalog,
    error::{Error, Result},
    rows,
    writer::Label,
};

pub(crate) fn revocation(row: &Row<'_>) -> Result<Revocation> {
    let org = row.get::<_, Option<[u8; 20]>>(1)?.map(OrganizationId::from_raw);
    let app = row.get::<_, Option<[u8; 20]>>(2)?.map(ApplicationId::from_raw);
    let what = match (row.get(0)?, org, app, row.get(3)?) {
        (Some(hash), ..) => Revoked::Token(hash),
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

#[async_trait]
impl Tokens for EmbeddedStore {
    async fn create_token(&self, token: Token) -> store::Result<()> {
        self.writer
            .write(Label::other("create_token"), move |tx| {
                tx.conn
                    .prepare_cached(
                        "/* create_token */ INSERT INTO token
                         (id, org, app, session_id, created_at, expires_at)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![
                        token.id.raw(),
                        token.org.raw(),
                        token.app.as_ref().map(ApplicationId::raw),
                        token.session_id,
                        token.created_at.as_micros(),
                        token.expires_at.as_micros(),
                    ])?;
                Ok(())
            })
            .await
    }

    async fn revoke(&self, org: OrganizationId, revocation: Revocation) -> store::Result<()> {
        self.writer
            .write(Label::other("revoke"), move |tx| {
                let (token, scope, session) = match &revocation.what {
                    Revoked::Token(hash) => (Some(hash), None, None),
                    Revoked::Application(org, app) => (None, Some((org, app)), None),
                    Revoked::Session(org, app, session) => (None, Some((org, app)), Some(session)),
                };
                tx.conn
                    .prepare_cached(
                        "/* revoke */ INSERT INTO revocation
                         (token, org, app, session_id, issued_until, at, forget_at)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        token,
                        scope.map(|(org, _)| org.raw()),
                        scope.map(|(_, app)| app.raw()),
                        session,
                        revocation.issued_until.as_micros(),
                        revocation.at.as_micros(),
                        revocation.forget_at.as_micros(),
                    ])?;
                let org_no = tx.org_no(org)?;
                catalog::bump_organization(tx, org_no)
            })
            .await
    }

    async fn revocations(&self, now: Timestamp) -> store::Result<Vec<Revocation>> {
        self.readers
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "/* revocations */ SELECT token, org, app, session_id, issued_until, at,
                     forget_at FROM revocation WHERE forget_at > ?1",
                )?;
                let mut rows = statement.query([now.as_micros()])?;
                let mut revocations = Vec::new();
                while let Some(row) = rows.next()? {
                    revocations.push(revocation(row)?);
                }
                Ok(revocations)
            })
            .await
    }
}
