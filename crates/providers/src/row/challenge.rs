//! The ways in which senders ask whether an address is ours.

use super::RowError;

macro_rules! challenges {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// What a sender asks before, or between, its events. Written as the word, and for the last
        /// two as `header-echo:Name` and `json-echo:field`.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Challenge {
            $($(#[$doc])* $variant,)*
            /// `GET ?name=x` → x as text.
            GetEcho(String),
            /// A request with the header → the same header in the answer.
            HeaderEcho(String),
            /// `{"field": x}` → `{"field": x}`.
            JsonEcho(String),
        }

        const PLAIN: &[(&str, Challenge)] = &[$(($word, Challenge::$variant),)*];
    };
}

challenges! {
    /// Slack: `type` is `url_verification`, signed → `challenge` as text.
    SlackUrlVerification = "slack-url-verification",
    /// Discord: a signed `type` 1 → `{"type":1}`, 0 → 204.
    DiscordPing = "discord-ping",
    /// Meta: `hub.verify_token` as set → `hub.challenge` as text.
    MetaHub = "meta-hub-challenge",
    /// Zoom: `plainToken` → its HMAC.
    ZoomUrlValidation = "zoom-url-validation",
    /// Okta: a GET with a header → `{"verification": value}`.
    OktaVerification = "okta-verification",
    /// Dropbox: `GET ?challenge=x` → x as text, `nosniff`.
    DropboxGet = "dropbox-get-challenge",
    /// Notion: the first POST carries the secret.
    NotionVerificationToken = "notion-verification-token",
    /// Microsoft Graph: `POST ?validationToken=x` → x as text.
    MsGraphValidationToken = "msgraph-validation-token",
    /// Azure Event Grid: a validation event → its code.
    EventGridValidation = "eventgrid-subscription-validation",
    /// CloudEvents: OPTIONS with `WebHook-Request-Origin`.
    CloudEventsOptions = "cloudevents-options",
    /// Amazon SNS: a signed confirmation whose address is to be called.
    SnsConfirmation = "sns-subscription-confirmation",
    /// Twitch: a signed message of its own type → `challenge` as text.
    TwitchCallback = "twitch-callback-verification",
    /// X: `GET ?crc_token=x` → its HMAC.
    TwitterCrc = "twitter-crc",
    /// eBay: `GET ?challenge_code=x` → a hash over x, the token that was set, and the address.
    EbayChallengeCode = "ebay-challenge-code",
    /// Xero: an event without events, signed well or badly → 200 or 401, both empty.
    XeroIntent = "xero-intent-to-receive",
    /// Braintree: `GET ?bt_challenge=x` → the public key and the HMAC of x.
    BraintreeGet = "braintree-get-challenge",
    /// HEAD → 200.
    HeadOk = "head-ok",
    /// GET or HEAD → 200.
    GetOk = "get-ok",
    /// No credentials → 401 that asks for them.
    BasicUnauthorized = "basic-unauthorized",
}

impl Challenge {
    /// Reads the word.
    pub fn parse(text: &str) -> Result<Self, RowError> {
        if let Some((_, plain)) = PLAIN.iter().find(|(word, _)| *word == text) {
            return Ok(plain.clone());
        }
        let (word, name) = text.split_once(':').unwrap_or((text, ""));
        let name_fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        match word {
            "get-echo" if name_fits => Ok(Self::GetEcho(name.to_owned())),
            "header-echo" if name_fits => Ok(Self::HeaderEcho(name.to_owned())),
            "json-echo" if name_fits => Ok(Self::JsonEcho(name.to_owned())),
            "get-echo" | "header-echo" | "json-echo" => {
                Err(RowError::new("challenge", text, "after the colon stands a name of 1 to 64"))
            }
            _ => Err(RowError::new("challenge", text, "there is no such challenge")),
        }
    }
}
