//! Tokens that we made, and tokens that are refused.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId, TokenId},
    page::{Page, PageRequest},
    token::{Access, Actor, Revocation, Revoked, Token},
};
use rusqlite::{OptionalExtension, Row, params};
use store::{Tokens, audit, paging::Window, tokens::TokenUse};

use crate::{
    EmbeddedStore, catalog,
    error::{Error, Result},
    rows,
    tx::Tx,
    writer::Label,
};

/// What [`token`] reads.
pub(crate) const COLUMNS: &str =
    "id, org, app, session_id, name, access, hash, last_used_at, created_at, expires_at";

pub(crate) fn token(row: &Row<'_>) -> Result<Token> {
    Ok(Token {
        id: rows::id(row, 0)?,
        org: rows::id(row, 1)?,
        app: row.get::<_, Option<[u8; 20]>>(2)?.map(ApplicationId::from_raw),
        session_id: row.get(3)?,
        name: row.get(4)?,
        access: Access::from_code(row.get(5)?),
        hash: row.get(6)?,
        last_used_at: rows::opt_time(row, 7)?,
        created_at: rows::time(row, 8)?,
        expires_at: rows::time(row, 9)?,
    })
}

/// Adds the row of a token.
pub(crate) fn add(tx: &Tx<'_>, token: &Token) -> Result<()> {
    let sql = format!(
        "/* create_token */ INSERT INTO token ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    );
    tx.conn.prepare_cached(&sql)?.execute(params![
        token.id.raw(),
        token.org.raw(),
        token.app.as_ref().map(ApplicationId::raw),
        token.session_id,
        token.name,
        token.access.code(),
        token.hash,
        token.last_used_at.map(Timestamp::as_micros),
        token.created_at.as_micros(),
        token.expires_at.as_micros(),
    ])?;
    Ok(())
}

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

/// Adds the row of a revocation.
pub(crate) fn add_revocation(tx: &Tx<'_>, revocation: &Revocation) -> Result<()> {
    let (token, scope, session) = match &revocation.what {
        Revoked::Token(hash) => (Some(hash), None, None),
        Revoked::Application(org, app) => (None, Some((org, app)), None),
        Revoked::Session(org, app, session) => (None, Some((org, app)), Some(session)),
    };
    let sql = "/* revoke */ INSERT INTO revocation
               (token, org, app, session_id, issued_until, at, forget_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.conn.prepare_cached(sql)?.execute(params![
        token,
        scope.map(|(org, _)| org.raw()),
        scope.map(|(_, app)| app.raw()),
        session,
        revocation.issued_until.as_micros(),
        revocation.at.as_micros(),
        revocation.forget_at.as_micros(),
    ])?;
    Ok(())
}

#[async_trait]
impl Tokens for EmbeddedStore {
    async fn create_token(&self, actor: &Actor, token: Token) -> store::Result<()> {
        let actor = actor.clone();
        self.writer
            .write(Label::other("create_token"), move |tx| {
                add(tx, &token)?;
                let org_no = tx.org_no(token.org)?;
                let detail = audit::of_token(&token);
                catalog::audit(tx, org_no, &actor, "token.create", &token.id, &detail)
            })
            .await
    }

    async fn list_tokens(
        &self,
        org: OrganizationId,
        page: PageRequest<TokenId>,
    ) -> store::Result<Page<Token>> {
        self.readers
            .read(move |conn| {
                let window = Window::new(&page);
                let sql = format!(
                    "/* list_tokens */ SELECT {COLUMNS} FROM token
                     WHERE org = ?1 AND id > ?2 AND id < ?3 ORDER BY id {} LIMIT ?4",
                    window.direction()
                );
                let mut statement = conn.prepare_cached(&sql)?;
                let wanted = window.wanted() as i64;
                let params = params![org.raw(), window.above, window.below, wanted];
                let mut rows = statement.query(params)?;
                let mut tokens = Vec::new();
                while let Some(row) = rows.next()? {
                    tokens.push(token(row)?);
                }
                Ok(window.page(tokens))
            })
            .await
    }

    async fn token(&self, org: OrganizationId, id: TokenId) -> store::Result<Option<Token>> {
        let sql = format!("/* token */ SELECT {COLUMNS} FROM token WHERE org = ?1 AND id = ?2");
        self.readers
            .read(move |conn| {
                let mut statement = conn.prepare_cached(&sql)?;
                let found = statement.query_row([org.raw(), id.raw()], |row| Ok(token(row)));
                found.optional()?.transpose()
            })
            .await
    }

    async fn note_token_uses(&self, uses: Vec<TokenUse>) -> store::Result<()> {
        self.writer
            .write(Label::other("note_token_uses"), move |tx| {
                let mut statement = tx.conn.prepare_cached(
                    "/* note_token_uses */ UPDATE token SET last_used_at = ?3
                     WHERE org = ?1 AND id = ?2 AND coalesce(last_used_at, 0) < ?3",
                )?;
                for TokenUse { org, id, at } in &uses {
                    statement.execute(params![org.raw(), id.raw(), at.as_micros()])?;
                }
                Ok(())
            })
            .await
    }

    async fn revoke(
        &self,
        actor: &Actor,
        org: OrganizationId,
        token: Option<TokenId>,
        revocation: Revocation,
    ) -> store::Result<()> {
        let actor = actor.clone();
        self.writer
            .write(Label::other("revoke"), move |tx| {
                add_revocation(tx, &revocation)?;
                let org_no = tx.org_no(org)?;
                let (target, detail) = audit::of_revocation(token, &revocation);
                catalog::audit(tx, org_no, &actor, "token.revoke", &target, &detail)?;
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
