//! The key that tokens are signed and verified with. One algorithm, from the configuration: a token
//! never chooses how it is verified.

use std::{fmt, str::FromStr};

use aws_lc_rs::constant_time;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::Jwk};
use serde::{Serialize, de::DeserializeOwned};

/// A signature algorithm of RFC 7518 (EdDSA: RFC 8037).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    Rs512,
    /// Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    const fn library(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Hs384 => Algorithm::HS384,
            Self::Hs512 => Algorithm::HS512,
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl FromStr for JwtAlgorithm {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Ok(match text {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "EdDSA" => Self::EdDsa,
            _ => return Err(InvalidKey::Algorithm),
        })
    }
}

/// Why there is no key. Never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not one of ours.
    #[error("the JWT algorithm is one of HS256, HS384, HS512, RS256, RS384, RS512, EdDSA")]
    Algorithm,
    /// HMAC, and no secret.
    #[error("an HS algorithm needs a JWT secret that is not empty")]
    NoSecret,
    /// RSA or Ed25519, and no PEM of that kind.
    #[error("an RS or EdDSA algorithm needs a PEM key pair (PKCS#8) or public key of its kind")]
    Pem,
}

/// Signs and verifies tokens.
pub struct Keys {
    algorithm: Algorithm,
    validation: Validation,
    verify: DecodingKey,
    sign: Option<EncodingKey>,
    secret: Option<Vec<u8>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Keys {
    /// From `key`: the secret itself for the HS algorithms; for the others a PEM text, of a private
    /// key (PKCS#8), or of a public key, which verifies but does not sign.
    pub fn new(algorithm: JwtAlgorithm, key: &[u8]) -> Result<Self, InvalidKey> {
        let of_rsa = !matches!(algorithm, JwtAlgorithm::EdDsa);
        let symmetric =
            matches!(algorithm, JwtAlgorithm::Hs256 | JwtAlgorithm::Hs384 | JwtAlgorithm::Hs512);
        let algorithm = algorithm.library();
        let (verify, sign, secret) = if symmetric {
            if key.is_empty() {
                return Err(InvalidKey::NoSecret);
            }
            let sign = EncodingKey::from_secret(key);
            (DecodingKey::from_secret(key), Some(sign), Some(key.to_vec()))
        } else if String::from_utf8_lossy(key).contains("PRIVATE KEY") {
            let read = if of_rsa { EncodingKey::from_rsa_pem } else { EncodingKey::from_ed_pem };
            let sign = read(key).map_err(|_| InvalidKey::Pem)?;
            (public_half(&sign, algorithm)?, Some(sign), None)
        } else {
            let read = if of_rsa { DecodingKey::from_rsa_pem } else { DecodingKey::from_ed_pem };
            (read(key).map_err(|_| InvalidKey::Pem)?, None, None)
        };
        let mut validation = Validation::new(algorithm);
        // Times are judged by our own clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(Self { algorithm, validation, verify, sign, secret })
    }

    /// The claims of a token that was signed with this key.
    pub(super) fn verify<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let data = jsonwebtoken::decode(token, &self.verify, &self.validation).ok()?;
        Some(data.claims)
    }

    /// A token; `None` if there is only a public key.
    pub(super) fn sign<C: Serialize>(&self, claims: &C) -> Option<String> {
        jsonwebtoken::encode(&Header::new(self.algorithm), claims, self.sign.as_ref()?).ok()
    }

    /// Whether somebody sends the secret where a token belongs.
    pub(super) fn is_secret(&self, token: &str) -> bool {
        let same =
            |s: &Vec<u8>| constant_time::verify_slices_are_equal(s, token.as_bytes()).is_ok();
        self.secret.as_ref().is_some_and(same)
    }
}

fn public_half(sign: &EncodingKey, algorithm: Algorithm) -> Result<DecodingKey, InvalidKey> {
    let jwk = Jwk::from_encoding_key(sign, algorithm).map_err(|_| InvalidKey::Pem)?;
    DecodingKey::from_jwk(&jwk).map_err(|_| InvalidKey::Pem)
}
