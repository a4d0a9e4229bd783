//! Signing secrets: their text forms, and keys made ready for use.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    constant_time, hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

const HMAC_PREFIX: &str = "whsec_";
const ED25519_PREFIX: &str = "whsk_";
const ED25519_PUBLIC_PREFIX: &str = "whpk_";
/// Bounds of an HMAC key, in bytes.
const HMAC_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=75;

/// Which kind of secret is generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureType {
    /// `v1`: a secret that both sides know.
    #[default]
    Hmac256,
    /// `v1a`: a key pair; receivers know the public half.
    Ed25519,
}

/// Why a text is no signing secret. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Neither `whsec_` nor `whsk_`.
    #[error("a secret starts with whsec_ (HMAC) or whsk_ (Ed25519)")]
    Prefix,
    /// Not base64.
    #[error("a secret is base64 after its prefix")]
    Encoding,
    /// Of the wrong length.
    #[error("a whsec_ secret holds 24 to 75 bytes, a whsk_ secret 64")]
    Length,
    /// The two halves of an Ed25519 key do not belong together.
    #[error("the public half of the whsk_ secret does not belong to its private half")]
    KeyPair,
}

/// A signing secret, ready to sign. Shows itself only through [`SigningSecret::expose`].
pub enum SigningSecret {
    /// For `v1`.
    Hmac {
        /// As given.
        bytes: Zeroizing<Vec<u8>>,
        /// Made ready.
        key: Box<hmac::Key>,
    },
    /// For `v1a`.
    Ed25519 {
        /// Seed and public key, 64 bytes.
        bytes: Zeroizing<Vec<u8>>,
        /// Made ready.
        pair: Box<Ed25519KeyPair>,
    },
}

impl SigningSecret {
    /// A new one: 24 random bytes, or a key pair.
    pub fn generate(kind: SignatureType, entropy: &dyn Entropy) -> Self {
        match kind {
            SignatureType::Hmac256 => {
                let mut bytes = Zeroizing::new(vec![0; 24]);
                entropy.fill(&mut bytes);
                Self::hmac(bytes)
            }
            SignatureType::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                entropy.fill(seed.as_mut());
                let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
                    .expect("any 32 bytes are a seed");
                let mut bytes = Zeroizing::new(seed.to_vec());
                bytes.extend_from_slice(pair.public_key().as_ref());
                Self::Ed25519 { bytes, pair: Box::new(pair) }
            }
        }
    }

    fn hmac(bytes: Zeroizing<Vec<u8>>) -> Self {
        let key = Box::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        Self::Hmac { bytes, key }
    }

    /// The secret itself, as text: for storage (sealed) and for its owner.
    pub fn expose(&self) -> Zeroizing<String> {
        let (prefix, bytes) = match self {
            Self::Hmac { bytes, .. } => (HMAC_PREFIX, bytes),
            Self::Ed25519 { bytes, .. } => (ED25519_PREFIX, bytes),
        };
        Zeroizing::new(format!("{prefix}{}", BASE64.encode(bytes)))
    }

    /// What a receiver needs to verify: the secret of an HMAC, the public half of a key pair.
    pub fn verifying_key(&self) -> Zeroizing<String> {
        match self {
            Self::Hmac { .. } => self.expose(),
            Self::Ed25519 { pair, .. } => Zeroizing::new(format!(
                "{ED25519_PUBLIC_PREFIX}{}",
                BASE64.encode(pair.public_key().as_ref())
            )),
        }
    }

    pub(super) fn verifies(&self, version: &str, signed: &[u8], signature: &[u8]) -> bool {
        match (self, version) {
            (Self::Hmac { key, .. }, "v1") => hmac::verify(key, signed, signature).is_ok(),
            (Self::Ed25519 { pair, .. }, "v1a") => {
                UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref())
                    .verify(signed, signature)
                    .is_ok()
            }
            _ => false,
        }
    }
}

impl FromStr for SigningSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let decode =
            |t: &str| BASE64.decode(t).map(Zeroizing::new).map_err(|_| InvalidSecret::Encoding);
        if let Some(rest) = text.strip_prefix(HMAC_PREFIX) {
            let bytes = decode(rest)?;
            if !HMAC_KEY_BYTES.contains(&bytes.len()) {
                return Err(InvalidSecret::Length);
            }
            return Ok(Self::hmac(bytes));
        }
        let bytes = decode(text.strip_prefix(ED25519_PREFIX).ok_or(InvalidSecret::Prefix)?)?;
        if bytes.len() != 64 {
            return Err(InvalidSecret::Length);
        }
        let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..])
            .map_err(|_| InvalidSecret::KeyPair)?;
        Ok(Self::Ed25519 { bytes, pair: Box::new(pair) })
    }
}

impl PartialEq for SigningSecret {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hmac { bytes: a, .. }, Self::Hmac { bytes: b, .. })
            | (Self::Ed25519 { bytes: a, .. }, Self::Ed25519 { bytes: b, .. }) => {
                constant_time::verify_slices_are_equal(a, b).is_ok()
            }
            _ => false,
        }
    }
}

impl Eq for SigningSecret {}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn round_trips_and_hides() {
        let entropy = SeededEntropy::new(9);
        for kind in [SignatureType::Hmac256, SignatureType::Ed25519] {
            let secret = SigningSecret::generate(kind, &entropy);
            let text = secret.expose();
            assert_eq!(text.parse(), Ok(secret));
        }
        let pair = SigningSecret::generate(SignatureType::Ed25519, &entropy);
        assert!(pair.verifying_key().starts_with("whpk_"));
        assert_eq!(format!("{pair:?}"), "SigningSecret(hidden)");
    }

    #[test]
    fn refuses_what_is_no_secret() {
        let short = format!("whsec_{}", BASE64.encode([0; 23]));
        let long = format!("whsec_{}", BASE64.encode([0; 76]));
        let torn = format!("whsk_{}", BASE64.encode([7; 64]));
        for (text, why) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", InvalidSecret::Prefix),
            ("whsec_%%%", InvalidSecret::Encoding),
            (&short, InvalidSecret::Length),
            (&long, InvalidSecret::Length),
            ("whsk_AAAA", InvalidSecret::Length),
            (&torn, InvalidSecret::KeyPair),
        ] {
            assert_eq!(text.parse::<SigningSecret>(), Err(why), "{text}");
        }
    }
}
