//! Answers to the questions that senders ask before they trust an address.

mod echo;
mod keyed;
mod subscribe;

use crate::{Provider, Request, Secret, row::Challenge, view::View};

/// Reflected text is no longer than this, in bytes; a longer question is not answered.
const LONGEST_ECHO: usize = 2_048;

/// What is answered instead of taking the request in as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Of the body; empty if there is none. Never HTML: reflected text is `text/plain`.
    pub content_type: &'static str,
    /// Further headers, names in lower case. Values are printable ASCII.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// What has to be done as well.
    pub effect: Option<Effect>,
}

/// What a question asks to do beside the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keep this as the source's secret. Only if the source has none yet, or is being set up anew:
    /// the question itself is not signed, and whoever sends one could replace a secret.
    StoreSecret(String),
    /// Call this address with a GET, through the guard against private addresses. The provider's
    /// rules have pinned its host.
    CallUrl(String),
}

impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StoreSecret(_) => f.write_str("StoreSecret(hidden)"),
            Self::CallUrl(url) => f.debug_tuple("CallUrl").field(url).finish(),
        }
    }
}

impl Reply {
    fn empty(status: u16) -> Self {
        Self { status, content_type: "", headers: Vec::new(), body: String::new(), effect: None }
    }

    /// Reflected text. `nosniff`, so that no browser takes it for anything else.
    fn text(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > LONGEST_ECHO {
            return None;
        }
        let nosniff = ("x-content-type-options".to_owned(), "nosniff".to_owned());
        let reply = Self::empty(200);
        Some(Self {
            content_type: "text/plain; charset=utf-8",
            headers: vec![nosniff],
            body: text.to_owned(),
            ..reply
        })
    }

    fn json(value: &serde_json::Value) -> Option<Self> {
        let body = value.to_string();
        (body.len() <= 2 * LONGEST_ECHO).then(|| Self {
            content_type: "application/json",
            headers: vec![("x-content-type-options".to_owned(), "nosniff".to_owned())],
            body,
            ..Self::empty(200)
        })
    }

    fn with(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }
}

/// Everything that an answer may depend on.
struct Question<'q> {
    provider: &'q Provider,
    view: View<'q>,
    secrets: &'q [Secret],
    verified: bool,
}

impl Question<'_> {
    fn method(&self) -> &str {
        self.view.request.method
    }

    fn query(&self, name: &str) -> Option<String> {
        self.view.request.query_value(name)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.provider.settings().get(name).map(String::as_str).filter(|s| !s.is_empty())
    }

    /// A text in a JSON body.
    fn member(&self, pointer: &str) -> Option<&str> {
        self.view.json()?.pointer(pointer)?.as_str()
    }
}

impl Provider {
    /// The answer, if the request is a question of this provider and not an event. `verified` says
    /// whether [`Provider::verify`] called it genuine: questions that are signed are answered only
    /// then. A request that gets no reply here is an event, or nothing.
    ///
    /// Ask this before refusing a request: most questions come unsigned.
    pub fn challenge(
        &self,
        request: &Request<'_>,
        secrets: &[Secret],
        verified: bool,
    ) -> Option<Reply> {
        let challenge = self.rules().challenge.as_ref()?;
        let view = View::new(*request);
        let question = Question { provider: self, view, secrets, verified };
        match challenge {
            Challenge::SlackUrlVerification => echo::slack(&question),
            Challenge::DiscordPing => echo::discord(&question),
            Challenge::MetaHub => keyed::meta(&question),
            Challenge::ZoomUrlValidation => keyed::zoom(&question),
            Challenge::OktaVerification => echo::okta(&question),
            Challenge::DropboxGet => echo::query(&question, "challenge"),
            Challenge::GetEcho(name) => echo::query(&question, name),
            Challenge::HeaderEcho(name) => echo::header(&question, name),
            Challenge::JsonEcho(name) => echo::json(&question, name),
            Challenge::NotionVerificationToken => subscribe::notion(&question),
            Challenge::MsGraphValidationToken => echo::msgraph(&question),
            Challenge::EventGridValidation => subscribe::event_grid(&question),
            Challenge::CloudEventsOptions => subscribe::cloud_events(&question),
            Challenge::SnsConfirmation => subscribe::sns(&question),
            Challenge::TwitchCallback => echo::twitch(&question),
            Challenge::TwitterCrc => keyed::twitter(&question),
            Challenge::EbayChallengeCode => keyed::ebay(&question),
            Challenge::XeroIntent => echo::xero(&question),
            Challenge::BraintreeGet => keyed::braintree(&question),
            Challenge::HeadOk => (question.method() == "HEAD").then(|| Reply::empty(200)),
            Challenge::GetOk => {
                matches!(question.method(), "GET" | "HEAD").then(|| Reply::empty(200))
            }
            Challenge::BasicUnauthorized => {
                let asks = request.headers_named("authorization").next().is_none();
                asks.then(|| {
                    let realm =
                        ("www-authenticate".to_owned(), "Basic realm=\"webhook\"".to_owned());
                    Reply { headers: vec![realm], ..Reply::empty(401) }
                })
            }
        }
    }
}
