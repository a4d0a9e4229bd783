//! Who may call, and how that ends.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId, TokenId},
    name::FeatureFlag,
};

/// What a portal token may do beyond looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Capability {
    /// Read everything of the application but secrets.
    ViewBase,
    /// Read endpoint secrets.
    ViewEndpointSecret,
    /// Rotate and read endpoint secrets.
    ManageEndpointSecret,
    /// Change transformations.
    ManageTransformations,
    /// Resend, recover and send examples.
    CreateAttempts,
    /// Create, change and delete endpoints, secrets included.
    ManageEndpoint,
}

impl Capability {
    /// All of them: what a token without a list has.
    pub const ALL: [Self; 6] = [
        Self::ViewBase,
        Self::ViewEndpointSecret,
        Self::ManageEndpointSecret,
        Self::ManageTransformations,
        Self::CreateAttempts,
        Self::ManageEndpoint,
    ];

    /// Those that allow what this one allows. Whoever may do anything may look; whoever manages a
    /// secret or its endpoint sees it.
    pub const fn granted_by(self) -> &'static [Self] {
        match self {
            Self::ViewBase => &Self::ALL,
            Self::ViewEndpointSecret => {
                &[Self::ViewEndpointSecret, Self::ManageEndpointSecret, Self::ManageEndpoint]
            }
            Self::ManageEndpointSecret => &[Self::ManageEndpointSecret, Self::ManageEndpoint],
            Self::ManageTransformations => &[Self::ManageTransformations],
            Self::CreateAttempts => &[Self::CreateAttempts],
            Self::ManageEndpoint => &[Self::ManageEndpoint],
        }
    }
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole organization.
    Organization,
    /// One application, through the portal.
    Application {
        /// Which.
        app: ApplicationId,
        /// Which guarded event types it sees.
        feature_flags: Vec<FeatureFlag>,
        /// What it may do; `None` is everything.
        capabilities: Option<Vec<Capability>>,
    },
}

/// The row of a token that we made. Tokens that a product signs itself have none; they end by
/// [`Revocation`] all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Named in the token itself.
    pub id: TokenId,
    /// The environment.
    pub org: OrganizationId,
    /// `None` for a token of the organization.
    pub app: Option<ApplicationId>,
    /// Lets `expire-all` end the tokens of one session.
    pub session_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// The end of a token before its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// What is refused.
    pub what: Revoked,
    /// Of tokens of an application or session, those issued until then; newer ones are good.
    pub issued_until: Timestamp,
    /// From when on.
    pub at: Timestamp,
    /// When the row may go, because whatever it refuses has expired by itself.
    pub forget_at: Timestamp,
}

/// What a [`Revocation`] refuses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The token whose SHA-256 this is.
    Token([u8; 32]),
    /// Every token of the application issued until [`Revocation::issued_until`].
    Application(OrganizationId, ApplicationId),
    /// Those of one session of it.
    Session(OrganizationId, ApplicationId, String),
}

/// Who did something: goes into the audit row of every catalogue write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A caller with a token; the id if the token names one.
    Token(Option<TokenId>),
    /// Hookwright itself.
    System,
}
