//! What tokens say.

use std::time::Duration;

use domain::{
    clock::Timestamp,
    entropy::Entropy,
    id::{ApplicationId, OrganizationId, TokenId},
    name::FeatureFlag,
    token::{Access, Capability, Scope, Token},
};
use serde::{Deserialize, Serialize};

use super::{Caller, Keys, hash_of};

/// Who signs our own tokens. Not looked at in others'.
const ISSUER: &str = "hookwright";

/// The claims of a token, as it comes in. Times are numbers of seconds, fractions allowed (RFC 7519,
/// `NumericDate`).
#[derive(Deserialize)]
pub(super) struct ClaimsIn {
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    jti: Option<String>,
    org: Option<OrganizationId>,
    #[serde(default)]
    feature_flags: Vec<FeatureFlag>,
    capabilities: Option<Vec<Capability>>,
    session_id: Option<String>,
    access: Option<serde_json::Value>,
}

impl ClaimsIn {
    /// How much a token of an organization may do.
    fn access(&self) -> Access {
        match &self.access {
            Some(access) if access == Access::Read.as_str() => Access::Read,
            _ => Access::Full,
        }
    }

    /// Who calls. `Err` says what is wrong with the token.
    pub(super) fn caller(
        self,
        hash: [u8; 32],
        now: Timestamp,
        leeway: Duration,
    ) -> Result<Caller, &'static str> {
        let access = self.access();
        let sub = self.sub.ok_or("Invalid token (missing `sub`).")?;
        let expires_at = self.exp.map(instant).ok_or("Invalid token (missing `exp`).")?;
        if now >= expires_at.plus(leeway) {
            return Err("Invalid token (expired).");
        }
        if self.nbf.is_some_and(|nbf| instant(nbf) > now.plus(leeway)) {
            return Err("Invalid token (not valid yet).");
        }
        let token: Option<TokenId> = self.jti.and_then(|jti| jti.parse().ok());
        // An id of ours tells the time more exactly than `iat`.
        let issued_at = match token {
            Some(id) => id.timestamp(),
            None => self.iat.map_or(Timestamp::EPOCH, instant),
        };
        let (org, scope) = match (self.org, sub.parse(), sub.parse::<ApplicationId>()) {
            (None, Ok(org), _) => (org, Scope::Organization(access)),
            (Some(org), Ok(own), _) if org == own && access == Access::Read => {
                (org, Scope::Organization(access))
            }
            (Some(org), _, Ok(app)) => (
                org,
                Scope::Application {
                    app,
                    feature_flags: self.feature_flags,
                    capabilities: self.capabilities,
                },
            ),
            _ => return Err("Invalid token (malformed `sub` or `org`)."),
        };
        Ok(Caller { org, scope, token, session_id: self.session_id, hash, issued_at, expires_at })
    }
}

fn instant(secs: f64) -> Timestamp {
    // Saturates, and NaN becomes 0: expired.
    Timestamp::from_micros((secs * 1e6) as i64)
}

#[derive(Serialize)]
struct ClaimsOut<'a> {
    iss: &'a str,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: TokenId,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<OrganizationId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    feature_flags: &'a [FeatureFlag],
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<&'a [Capability]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'a str>,
}

/// A token, and the row to store of it.
#[derive(Clone)]
pub struct Minted {
    /// What is sent as `Authorization: Bearer`.
    pub token: String,
    /// For [`store::Tokens::create_token`].
    pub row: Token,
}

/// Makes a token; `None` where the configuration holds only a public key. `session_id` is for
/// application tokens.
pub fn mint(
    keys: &Keys,
    org: OrganizationId,
    scope: &Scope,
    session_id: Option<String>,
    (now, ttl): (Timestamp, Duration),
    entropy: &dyn Entropy,
) -> Option<Minted> {
    let id = TokenId::generate(now, entropy);
    let expires_at = now.plus(ttl);
    // A token that may only read has `org` as well: a release that does not know of them takes no token
    // of an organization that has it, instead of letting it do everything.
    let read = *scope == Scope::Organization(Access::Read);
    let (app, feature_flags, capabilities) = match scope {
        Scope::Organization(_) => (None, &[][..], None),
        Scope::Application { app, feature_flags, capabilities } => {
            (Some(*app), feature_flags.as_slice(), capabilities.as_deref())
        }
    };
    let claims = ClaimsOut {
        iss: ISSUER,
        sub: app.map_or_else(|| org.to_string(), |app| app.to_string()),
        iat: now.as_secs(),
        nbf: now.as_secs(),
        exp: expires_at.as_secs(),
        jti: id,
        org: (app.is_some() || read).then_some(org),
        feature_flags,
        capabilities,
        session_id: session_id.as_deref(),
        access: read.then_some(Access::Read.as_str()),
    };
    let token = keys.sign(&claims)?;
    let row = Token {
        id,
        org,
        app,
        session_id,
        name: None,
        access: scope.access(),
        hash: Some(hash_of(&token)),
        last_used_at: None,
        created_at: now,
        expires_at,
    };
    Some(Minted { token, row })
}

/// Makes a token of an organization: what `hookwright token` prints.
pub fn mint_organization(
    keys: &Keys,
    org: OrganizationId,
    now: Timestamp,
    ttl: Duration,
    entropy: &dyn Entropy,
) -> Option<Minted> {
    mint(keys, org, &Scope::Organization(Access::Full), None, (now, ttl), entropy)
}
