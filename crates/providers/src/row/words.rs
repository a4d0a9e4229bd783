//! The closed sets of words that rows use.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// The word that stands for it in rows.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// How a request is told to be genuine.
    Scheme {
        /// A MAC, or a hash with the secret in it, over a template of bytes.
        Hmac = "hmac",
        /// A public-key signature over a template of bytes.
        Asym = "asym",
        /// A JSON Web Signature (RFC 7515).
        Jwt = "jwt",
        /// A secret value that is sent along.
        Token = "token",
        /// HTTP Basic (RFC 7617); the secret is `user:password`.
        Basic = "basic",
        /// `Authorization: Bearer` with the secret (RFC 6750).
        Bearer = "bearer",
        /// Nothing to tell by: the address itself is the secret.
        None = "none",
        /// A named verifier in this crate.
        Code = "code",
    }
}

words! {
    /// The verifiers that no row can express.
    Code {
        /// Amazon SNS.
        AwsSns = "aws_sns",
        /// Adyen's payment notifications: each item is signed.
        Adyen = "adyen",
        /// Braintree.
        Braintree = "braintree",
        /// Contentful's canonical request.
        Contentful = "contentful",
        /// PayPal's certificate signatures.
        PayPal = "paypal",
        /// MessageBird's older signatures.
        MessageBird = "messagebird",
        /// Plivo's third version.
        PlivoV3 = "plivo_v3",
        /// Paddle Classic.
        PaddleClassic = "paddle_classic",
        /// Adobe I/O Events.
        AdobeIo = "adobe_io",
        /// Apple's App Store: a chain of certificates in the token.
        Apple = "apple",
        /// EasyPost, which signs another spelling of a number.
        EasyPost = "easypost",
    }
}

words! {
    /// Where a provider is listed.
    Category {
        /// Models and agents.
        Ai = "ai",
        /// Subscriptions and invoices.
        Billing = "billing",
        /// Clouds and their event buses.
        Cloud = "cloud",
        /// Shops.
        Commerce = "commerce",
        /// Customers and sales.
        Crm = "crm",
        /// Data pipelines.
        Data = "data",
        /// Code, builds, deployments, alerts.
        Dev = "dev",
        /// Documents, forms, plans.
        Docs = "docs",
        /// Mail.
        Email = "email",
        /// Banks and cards.
        Fintech = "fintech",
        /// No sender in particular.
        Generic = "generic",
        /// Accounts and checks of identity.
        Identity = "identity",
        /// Campaigns.
        Marketing = "marketing",
        /// Video and streams.
        Media = "media",
        /// Chat, SMS, voice.
        Messaging = "messaging",
        /// Payments.
        Payments = "payments",
        /// Notes, meetings, tasks.
        Productivity = "productivity",
        /// Help desks.
        Support = "support",
        /// A custom provider.
        Custom = "custom",
    }
}

words! {
    /// Where the facts of a row come from, the surest first.
    Evidence {
        /// An official library, read and run.
        Library = "library",
        /// The sender's own text.
        Documentation = "documentation",
        /// Another receiver's code.
        Receiver = "receiver",
        /// A catalogue of others.
        Catalogue = "catalogue",
        /// Memory, or a text about the sender by others. Not checked: experimental.
        Recalled = "recalled",
        /// Whoever wrote a custom provider.
        Given = "given",
    }
}

words! {
    /// How bytes are written as text.
    Encoding {
        /// Two digits a byte, in either case.
        Hex = "hex",
        /// With padding (RFC 4648 section 4).
        Base64 = "base64",
        /// URL-safe, without padding (RFC 4648 section 5).
        Base64Url = "base64url",
    }
}

words! {
    /// A hash function.
    Hash {
        /// SHA-1: only because old senders have nothing else.
        Sha1 = "sha1",
        /// SHA-256.
        Sha256 = "sha256",
        /// SHA-512.
        Sha512 = "sha512",
    }
}

words! {
    /// How the secret goes into the hash.
    MacKind {
        /// HMAC (RFC 2104).
        Hmac = "hmac",
        /// A plain hash over bytes with `{secret}` among them.
        Hash = "hash",
    }
}

words! {
    /// A public-key signature scheme.
    Algorithm {
        /// Ed25519 (RFC 8032).
        Ed25519 = "ed25519",
        /// ECDSA on P-256 with SHA-256, the signature in DER.
        EcdsaP256 = "ecdsa-p256-sha256",
        /// RSA PKCS #1 v1.5 with SHA-256.
        RsaSha256 = "rsa-sha256",
        /// RSA PKCS #1 v1.5 with SHA-1.
        RsaSha1 = "rsa-sha1",
    }
}

words! {
    /// An algorithm of JSON Web Signatures (RFC 7518).
    JwtAlgorithm {
        /// HMAC with SHA-256.
        Hs256 = "HS256",
        /// ECDSA on P-256.
        Es256 = "ES256",
        /// RSA PKCS #1 v1.5 with SHA-256.
        Rs256 = "RS256",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}

words! {
    /// How a secret or public key is written.
    KeyForm {
        /// Its bytes are the key.
        Utf8 = "utf8",
        /// Hex.
        Hex = "hex",
        /// Base64.
        Base64 = "base64",
        /// `whsec_` and base64 (Standard Webhooks).
        Whsec = "whsec",
        /// The key is the SHA-256 of the text.
        Sha256 = "sha256",
        /// A public key in PEM.
        Pem = "pem",
        /// A raw public key in hex.
        RawHex = "raw-hex",
        /// A raw public key in base64.
        RawBase64 = "raw-base64",
        /// A SubjectPublicKeyInfo in base64.
        SpkiBase64 = "spki-base64",
        /// A JSON Web Key Set (RFC 7517), fetched or given.
        Jwks = "jwks",
    }
}

words! {
    /// How a timestamp is written.
    TimeUnit {
        /// Seconds since the Unix epoch.
        Seconds = "s",
        /// Milliseconds since the Unix epoch.
        Millis = "ms",
        /// ISO 8601 with an offset (RFC 3339).
        Iso = "iso",
        /// As in HTTP's `Date` (RFC 9110 section 5.6.7).
        HttpDate = "http-date",
    }
}

words! {
    /// Another spelling of the URL that a sender may have signed.
    UrlVariant {
        /// Without the port.
        WithoutPort = "without-port",
        /// With the scheme's own port.
        WithPort = "with-port",
        /// With some of its percent-encodings undone, as HubSpot asks.
        Decoded = "decoded",
    }
}

words! {
    /// What tells duplicates where there is no event id.
    Dedupe {
        /// Equal bodies are one event.
        Body = "body",
    }
}

impl Evidence {
    /// Whether a row with this evidence is to be called experimental.
    pub const fn experimental(self) -> bool {
        matches!(self, Self::Recalled)
    }
}

macro_rules! defaults {
    ($($name:ident = $variant:ident,)*) => {
        $(impl Default for $name { fn default() -> Self { Self::$variant } })*
    };
}

// What a field means when a row leaves it out.
defaults! {
    Category = Custom,
    Evidence = Given,
    MacKind = Hmac,
    KeyForm = Utf8,
    TimeUnit = Seconds,
}
