//! Signing with private keys, and tokens.

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use domain::clock::Timestamp;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::{Draft, SignError, SignedRequest, set_first};
use crate::{
    Secret, encoding,
    row::{Algorithm, Encoding, JwtAlgorithm, JwtRule, KeyForm},
    verify::{jwt as jws, pair},
};

/// Signs with a private key: PKCS #8 in PEM, or, as the provider writes its public keys, in hex or
/// base64; for Ed25519 the 32 bytes of the seed will do.
pub(super) fn sign(
    algorithm: Algorithm,
    form: KeyForm,
    secret: &Secret,
    message: &[u8],
) -> Result<Vec<u8>, SignError> {
    let text = secret.text();
    let bytes = match pair::pem(text) {
        Some((label, der)) if label == "PRIVATE KEY" => Some(der),
        Some(_) => None,
        None if form == KeyForm::RawHex => encoding::hex(text.as_bytes()),
        None => encoding::pasted_base64(text),
    };
    let wrong = || SignError::Secret("the private key is needed, as PKCS #8");
    let key = bytes.ok_or_else(wrong)?;
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::Ed25519 => {
            let pair = match key.len() {
                32 => Ed25519KeyPair::from_seed_unchecked(&key),
                _ => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key),
            };
            Ok(pair.map_err(|_| wrong())?.sign(message).as_ref().to_vec())
        }
        Algorithm::EcdsaP256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key);
            let pair = pair.map_err(|_| wrong())?;
            Ok(pair.sign(&random, message).map_err(|_| wrong())?.as_ref().to_vec())
        }
        Algorithm::RsaSha256 => {
            let pair = RsaKeyPair::from_pkcs8(&key).map_err(|_| wrong())?;
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| wrong())?;
            Ok(signature)
        }
        Algorithm::RsaSha1 => Err(SignError::Secret("new signatures with SHA-1 are not made")),
    }
}

/// A token with the claims that the rule asks for, put where it belongs.
pub(super) fn jwt(
    rule: &JwtRule,
    mut draft: Draft,
    secret: &Secret,
    now: Timestamp,
) -> Result<SignedRequest, SignError> {
    let mut claims = match &draft.claims {
        Value::Object(claims) => claims.clone(),
        _ => serde_json::Map::new(),
    };
    claims.insert("iat".to_owned(), json!(now.as_secs()));
    claims.insert("exp".to_owned(), json!(now.as_secs().saturating_add(300)));
    for (name, value) in &rule.claims {
        claims.insert(name.clone(), json!(value));
    }
    if let Some((name, written)) = &rule.body_claim {
        let hash = digest::digest(&digest::SHA256, &draft.clone().finish().body);
        claims.insert(name.clone(), json!(encoding::encode(*written, hash.as_ref())));
    }
    if let Some(name) = &rule.request_claim {
        claims.insert(name.clone(), json!(jws::request_hash("POST", draft.url())));
    }
    let algorithm = *rule.algorithms.first().ok_or(SignError::OnlyTheProvider)?;
    let token = token(algorithm, secret, &Value::Object(claims))?;
    match &rule.places {
        None if draft.given_body() => {
            return Err(SignError::Sample("the body is the token: let it be made up"));
        }
        None => {
            draft.header("content-type", "text/plain");
            draft.use_body(token.into_bytes());
        }
        Some(places) => {
            let in_authorization = places.first().is_some_and(|p| p.is_header("authorization"));
            let scheme = if rule.request_claim.is_some() { "JWT" } else { "Bearer" };
            let value = if in_authorization { format!("{scheme} {token}") } else { token };
            set_first(&mut draft, places, &value)?;
        }
    }
    Ok(draft.finish())
}

fn token(algorithm: JwtAlgorithm, secret: &Secret, claims: &Value) -> Result<String, SignError> {
    let wrong = SignError::Secret("the private key is needed, in PEM");
    let pem = secret.text().as_bytes();
    let key = match algorithm {
        JwtAlgorithm::Hs256 => Ok(EncodingKey::from_secret(pem)),
        JwtAlgorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
        JwtAlgorithm::Es256 => EncodingKey::from_ec_pem(pem),
        JwtAlgorithm::EdDsa => EncodingKey::from_ed_pem(pem),
    };
    let key = key.map_err(|_| wrong.clone())?;
    let header = json!({ "alg": algorithm.word(), "typ": "JWT" }).to_string();
    let part = |text: &str| encoding::encode(Encoding::Base64Url, text.as_bytes());
    let signed = format!("{}.{}", part(&header), part(&claims.to_string()));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jws::jws(algorithm));
    Ok(format!("{signed}.{}", signature.map_err(|_| wrong)?))
}
