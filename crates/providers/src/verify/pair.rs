//! Public-key signatures.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{encoding::pasted_base64, row::Algorithm};

/// Whether a signature is genuine. The key is raw, or a SubjectPublicKeyInfo in DER.
pub(crate) fn verifies(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::Ed25519 => &ED25519,
        Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        Algorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RsaSha1 => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    };
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

/// The key of a PEM text: a public key, or the one in a certificate.
pub(crate) fn public_key_pem(text: &str) -> Option<Vec<u8>> {
    let (label, der) = pem(text)?;
    match label.as_str() {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Some(der),
        "CERTIFICATE" => certificate_key(&der),
        _ => None,
    }
}

/// The SubjectPublicKeyInfo of a certificate in DER.
pub(crate) fn certificate_key(der: &[u8]) -> Option<Vec<u8>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then(|| certificate.public_key().raw.to_vec())
}

/// The first block of a PEM text (RFC 7468): its label and bytes.
pub(crate) fn pem(text: &str) -> Option<(String, Vec<u8>)> {
    // Secrets often travel through JSON and environments, where line ends turn into `\n`.
    let text = text.replace("\\n", "\n");
    let after = text.split_once("-----BEGIN ")?.1;
    let (label, rest) = after.split_once("-----")?;
    let inside = rest.split_once("-----END ")?.0;
    let base64: String = inside.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    Some((label.to_owned(), pasted_base64(&base64)?))
}
