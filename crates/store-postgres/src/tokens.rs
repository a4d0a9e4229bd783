//! Tokens that we made, and tokens that are refused.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId, TokenId},
    page::{Page, PageRequest},
    token::{Access, Actor, Revocation, Revoked, Token},
};
use store::{Tokens, audit, paging::Window, tokens::TokenUse};
use tokio_postgres::Row;

use crate::{
    PostgresStore, catalog,
    conn::Tx,
    error::{Error, Result},
    feed,
    options::Ports,
    rows,
};

/// What [`token`] reads.
pub(crate) const COLUMNS: &str =
    "id, org, app, session_id, name, access, hash, last_used_at, created_at, expires_at";

/// Sessions and names stand in JSON: callers choose them, and may put a NUL into them.
fn text(said: Option<&str>) -> Option<String> {
    said.map(rows::to_json)
}

fn hash(row: &Row, column: usize) -> Result<Option<[u8; 32]>> {
    let bytes = rows::get::<Option<&[u8]>>(row, column)?;
    bytes.map(|bytes| bytes.try_into().map_err(Error::corrupt)).transpose()
}

pub(crate) fn token(row: &Row) -> Result<Token> {
    Ok(Token {
        id: rows::id(row, 0)?,
        org: rows::id(row, 1)?,
        app: rows::opt_id(row, 2)?,
        session_id: rows::opt_json(row, 3)?,
        name: rows::opt_json(row, 4)?,
        access: Access::from_code(rows::narrow(rows::get::<i16>(row, 5)?)?),
        hash: hash(row, 6)?,
        last_used_at: rows::opt_time(row, 7)?,
        created_at: rows::time(row, 8)?,
        expires_at: rows::time(row, 9)?,
    })
}

pub(crate) fn revocation(row: &Row) -> Result<Revocation> {
    let org: Option<OrganizationId> = rows::opt_id(row, 1)?;
    let app: Option<ApplicationId> = rows::opt_id(row, 2)?;
    let what = match (hash(row, 0)?, org, app, rows::opt_json(row, 3)?) {
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

/// Adds the row of a token.
pub(crate) async fn add(tx: &Tx, token: &Token) -> Result<()> {
    let sql = format!(
        "/* create_token */ INSERT INTO token ({COLUMNS})
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    );
    tx.execute(
        &sql,
        &[
            &token.id.raw().as_slice(),
            &token.org.raw().as_slice(),
            &token.app.as_ref().map(|app| app.raw().as_slice()),
            &text(token.session_id.as_deref()),
            &text(token.name.as_deref()),
            &i16::from(token.access.code()),
            &token.hash.as_ref().map(<[u8; 32]>::as_slice),
            &token.last_used_at.map(Timestamp::as_micros),
            &token.created_at.as_micros(),
            &token.expires_at.as_micros(),
        ],
    )
    .await?;
    Ok(())
}

/// Adds the row of a revocation. `at` is when it came.
pub(crate) async fn add_revocation(
    tx: &Tx,
    ports: &Ports,
    revocation: &Revocation,
    at: Timestamp,
) -> Result<()> {
    let (token, scope, session) = match &revocation.what {
        Revoked::Token(hash) => (Some(hash.as_slice()), None, None),
        Revoked::Application(org, app) => (None, Some((org, app)), None),
        Revoked::Session(org, app, session) => (None, Some((org, app)), Some(session.as_str())),
    };
    // Of no meaning: rows are found by when they may be forgotten.
    let id = TokenId::generate(at, &*ports.entropy);
    tx.execute(
        "/* revoke */ INSERT INTO revocation
         (id, token, org, app, session_id, issued_until, at, forget_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &id.raw().as_slice(),
            &token,
            &scope.map(|(org, _)| org.raw().as_slice()),
            &scope.map(|(_, app)| app.raw().as_slice()),
            &text(session),
            &revocation.issued_until.as_micros(),
            &revocation.at.as_micros(),
            &revocation.forget_at.as_micros(),
        ],
    )
    .await?;
    Ok(())
}

/// Rows of several tokens are locked in one order: nodes write of the same ones.
const NOTE_USES: &str = "/* note_token_uses */ WITH used AS MATERIALIZED (
         SELECT t.org, t.id, u.at FROM token t
         JOIN unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS u (org, id, at)
             ON t.org = u.org AND t.id = u.id
         WHERE coalesce(t.last_used_at, 0) < u.at ORDER BY t.org, t.id FOR UPDATE OF t
     )
     UPDATE token t SET last_used_at = used.at FROM used WHERE t.org = used.org AND t.id = used.id";

#[async_trait]
impl Tokens for PostgresStore {
    async fn create_token(&self, actor: &Actor, token: Token) -> store::Result<()> {
        let (ports, token, detail) = (&self.shared.ports, &token, &audit::of_token(&token));
        let create = |tx: Arc<Tx>| async move {
            add(&tx, token).await?;
            let (org, action) = (token.org, "token.create");
            catalog::audit(&tx, ports, org, actor, action, &token.id, detail).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = self.shared.change(create).await?;
        Ok(())
    }

    async fn list_tokens(
        &self,
        org: OrganizationId,
        page: PageRequest<TokenId>,
    ) -> store::Result<Page<Token>> {
        let window = Window::new(&page);
        let sql = format!(
            "/* list_tokens */ SELECT {COLUMNS} FROM token
             WHERE org = $1 AND id > $2 AND id < $3 ORDER BY id {} LIMIT $4",
            window.direction()
        );
        let (org, limit) = (org.raw().as_slice(), window.wanted() as i64);
        let conn = self.shared.read().await?;
        let found = conn.query(&sql, &[&org, &window.above, &window.below, &limit]).await?;
        let tokens: Result<_> = found.iter().map(token).collect();
        Ok(window.page(tokens?))
    }

    async fn token(&self, org: OrganizationId, id: TokenId) -> store::Result<Option<Token>> {
        let sql = format!("/* token */ SELECT {COLUMNS} FROM token WHERE org = $1 AND id = $2");
        let conn = self.shared.read().await?;
        let found = conn.query_opt(&sql, &[&org.raw().as_slice(), &id.raw().as_slice()]).await?;
        Ok(found.as_ref().map(token).transpose()?)
    }

    async fn note_token_uses(&self, uses: Vec<TokenUse>) -> store::Result<()> {
        let uses = &uses;
        let note = |tx: Arc<Tx>| async move {
            let orgs: Vec<_> = uses.iter().map(|used| used.org.raw().as_slice()).collect();
            let ids: Vec<_> = uses.iter().map(|used| used.id.raw().as_slice()).collect();
            let times: Vec<_> = uses.iter().map(|used| used.at.as_micros()).collect();
            tx.execute(NOTE_USES, &[&orgs, &ids, &times]).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = self.shared.change(note).await?;
        Ok(())
    }

    async fn revoke(
        &self,
        actor: &Actor,
        org: OrganizationId,
        token: Option<TokenId>,
        revocation: Revocation,
    ) -> store::Result<()> {
        let (ports, revocation) = (&self.shared.ports, &revocation);
        let (target, detail) = &audit::of_revocation(token, revocation);
        let revoke = |tx: Arc<Tx>| async move {
            add_revocation(&tx, ports, revocation, ports.clock.now()).await?;
            catalog::audit(&tx, ports, org, actor, "token.revoke", target, detail).await?;
            catalog::bump_organization(&tx, org).await?;
            let tell = "/* revoke */ SELECT pg_notify($1, 'revocations')";
            tx.query(tell, &[&feed::CHANNEL]).await?;
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
