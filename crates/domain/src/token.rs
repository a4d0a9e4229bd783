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

    /// Whether it only reads: what a token that may only look has.
    pub const fn only_reads(self) -> bool {
        matches!(self, Self::ViewBase | Self::ViewEndpointSecret)
    }

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

/// How much a token may do with what it reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Read and change.
    #[default]
    Full,
    /// Only read.
    Read,
}

impl Access {
    /// What is stored.
    pub const fn code(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Read => 1,
        }
    }

    /// From what is stored. What a newer version may have written is taken for the lesser one.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Full,
            _ => Self::Read,
        }
    }

    /// The API's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Read => "read",
        }
    }
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole organization.
    Organization(Access),
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

impl Scope {
    /// How much it may do at the most.
    pub fn access(&self) -> Access {
        match self {
            Self::Organization(access) => *access,
            Self::Application { capabilities: Some(list), .. }
                if list.iter().all(|capability| capability.only_reads()) =>
            {
                Access::Read
            }
            Self::Application { .. } => Access::Full,
        }
    }
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
    /// What people call it.
    pub name: Option<String>,
    /// How much it may do.
    pub access: Access,
    /// Its SHA-256, by which it is revoked; `None` of one that a release before this one made.
    pub hash: Option<[u8; 32]>,
    /// When it was last used, as far as that has been written: a minute late, or a little more.
    pub last_used_at: Option<Timestamp>,
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
