//! Who calls: tokens are JSON Web Tokens (RFC 7519). An organization's token has an organization's id
//! as `sub`; an application's token has `org` and the application's id as `sub`. A token is verified
//! once; after that its hash is known, until it expires or is revoked.

mod claims;
mod keys;
mod permit;
mod revocations;
mod uses;
mod watch;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest;
use axum::extract::FromRequestParts;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId, TokenId},
    token::{Access, Actor, Capability, Revocation, Scope, Token},
};
use http::{HeaderMap, Method, header, request::Parts};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use self::{claims::ClaimsIn, revocations::Revocations, uses::Verified};
pub use self::{
    claims::{Minted, mint, mint_organization},
    keys::{InvalidKey, JwtAlgorithm, Keys},
};
use crate::{error::ApiError, state::ApiState};

/// Verified tokens that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
/// Longest token that is looked at.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * 1024;

const NO_TOKEN: ApiError = ApiError::Unauthorized("Invalid token");
const SECRET_AS_TOKEN: ApiError = ApiError::Unauthorized(
    "Invalid token: this is the JWT secret itself, which signs tokens. Keep it to yourself, and use \
     a token that is signed with it (`hookwright token` makes one).",
);

/// A verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The environment.
    pub org: OrganizationId,
    /// What it may reach.
    pub scope: Scope,
    /// The token's id, if it has one of ours.
    pub token: Option<TokenId>,
    /// The portal session it belongs to.
    pub session_id: Option<String>,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl Caller {
    /// For audit rows.
    pub fn actor(&self) -> Actor {
        Actor::Token(self.token)
    }

    /// The application that this is a token of, if it is of one.
    pub fn application(&self) -> Option<ApplicationId> {
        match self.scope {
            Scope::Organization(_) => None,
            Scope::Application { app, .. } => Some(app),
        }
    }

    /// 403 unless this is a token of the organization.
    pub fn organization(&self) -> Result<(), ApiError> {
        match self.scope {
            Scope::Organization(_) => Ok(()),
            Scope::Application { .. } => Err(ApiError::Forbidden),
        }
    }

    /// 403 if this token may only read and the method does more than that: for every route of an
    /// organization, whatever it does.
    fn may_use(&self, method: &Method) -> Result<(), ApiError> {
        let reads = *method == Method::GET || *method == Method::HEAD;
        match self.scope {
            Scope::Organization(Access::Read) if !reads => Err(ApiError::Forbidden),
            _ => Ok(()),
        }
    }

    /// 404 unless this token reaches that application: of others it may not even know whether they
    /// exist. 403 if it does, but may not do that there.
    pub fn reaches(&self, app: ApplicationId, need: Capability) -> Result<(), ApiError> {
        match &self.scope {
            Scope::Organization(Access::Read) if !need.only_reads() => Err(ApiError::Forbidden),
            Scope::Organization(_) => Ok(()),
            Scope::Application { app: own, .. } if *own != app => Err(ApiError::NOT_FOUND),
            Scope::Application { capabilities: Some(list), .. }
                if !need.granted_by().iter().any(|granted| list.contains(granted)) =>
            {
                Err(ApiError::Forbidden)
            }
            Scope::Application { .. } => Ok(()),
        }
    }
}

/// Verifies tokens and remembers which are good, and which are not any more.
pub struct Auth {
    keys: Keys,
    leeway: Duration,
    verified: Mutex<LruCache<[u8; 32], Verified>>,
    revocations: RwLock<Revocations>,
    /// Those that were stored before that many organizations were loaded are known.
    known: AtomicU64,
}

impl Auth {
    /// With nothing revoked. Clocks may differ by `leeway`.
    pub fn new(keys: Keys, leeway: Duration) -> Self {
        Self {
            keys,
            leeway,
            verified: Mutex::new(LruCache::new(REMEMBERED)),
            revocations: RwLock::default(),
            known: AtomicU64::new(0),
        }
    }

    /// The signing key.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Takes what is stored, or has just been stored, into account.
    pub fn revoke(&self, revocations: impl IntoIterator<Item = Revocation>, now: Timestamp) {
        let new: Vec<_> = {
            // Most are known where all are read again and again; requests need not wait meanwhile.
            let known = self.revocations.read();
            revocations.into_iter().filter(|revocation| !known.has(revocation, now)).collect()
        };
        if new.is_empty() {
            return;
        }
        let mut known = self.revocations.write();
        for revocation in new {
            known.add(revocation, now);
        }
    }

    /// All is taken into account that was stored before so many organizations were loaded: see
    /// [`publish::Catalogues::organization_loads`].
    fn knows(&self, organization_loads: u64) {
        self.known.fetch_max(organization_loads, Ordering::AcqRel);
    }

    fn known(&self) -> u64 {
        self.known.load(Ordering::Acquire)
    }

    /// Whether a caller's token was revoked, as far as is known.
    pub fn refuses(&self, caller: &Caller, now: Timestamp) -> bool {
        self.revocations.read().refuse(caller, now)
    }

    /// Whether the token of a row was revoked, as far as is known.
    pub fn refuses_row(&self, token: &Token, now: Timestamp) -> bool {
        self.revocations.read().refuse_row(token, now)
    }

    /// Who sends these headers, if it may use this method at all.
    pub fn caller(
        &self,
        method: &Method,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Arc<Caller>, ApiError> {
        let token = bearer(headers).ok_or(NO_TOKEN)?;
        let hash = hash_of(token);
        let known = self.verified.lock().get(&hash).cloned();
        let Verified { caller, used, .. } = match known {
            Some(known) if now < known.caller.expires_at.plus(self.leeway) => known,
            _ => self.verify(token, hash, now)?,
        };
        if self.refuses(&caller, now) {
            return Err(ApiError::REVOKED);
        }
        used.store(now.as_micros(), Ordering::Relaxed);
        caller.may_use(method)?;
        Ok(caller)
    }

    fn verify(&self, token: &str, hash: [u8; 32], now: Timestamp) -> Result<Verified, ApiError> {
        let Some(claims) = self.keys.verify::<ClaimsIn>(token) else {
            return Err(if self.keys.is_secret(token) { SECRET_AS_TOKEN } else { NO_TOKEN });
        };
        let caller = claims.caller(hash, now, self.leeway).map_err(ApiError::Unauthorized)?;
        let verified = Verified::new(caller);
        self.verified.lock().put(hash, verified.clone());
        Ok(verified)
    }
}

/// The SHA-256 of a token: what it is known and revoked by.
fn hash_of(token: &str) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, token.as_bytes());
    hash.as_ref().try_into().expect("SHA-256 is 32 bytes")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN_BYTES).then_some(token)
}

/// Extracts any caller with a valid token.
pub struct AnyCaller(pub Arc<Caller>);

/// Extracts a caller with a token of the organization.
pub struct OrgCaller(pub Arc<Caller>);

impl FromRequestParts<ApiState> for AnyCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        state.auth.caller(&parts.method, &parts.headers, state.clock.now()).map(Self)
    }
}

impl FromRequestParts<ApiState> for OrgCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let AnyCaller(caller) = AnyCaller::from_request_parts(parts, state).await?;
        caller.organization()?;
        Ok(Self(caller))
    }
}
