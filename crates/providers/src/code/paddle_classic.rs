//! Paddle Classic: RSA over the form's fields, written as PHP's `serialize` does. Recalled.
//! <https://developer.paddle.com/classic/webhook-reference/verifying-webhooks>

use std::{collections::BTreeMap, fmt::Write};

use super::{Given, by_secret};
use crate::{
    Reason, encoding,
    row::{Algorithm, Encoding},
    verdict::Proof,
    verify::pair,
};

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let signature = given.view.form_value("p_signature").ok_or(Reason::MissingSignature)?;
    let signature = encoding::decode(Encoding::Base64, signature.as_bytes())
        .ok_or(Reason::MalformedSignature)?;
    let fields: BTreeMap<&str, &str> = given
        .view
        .form()
        .iter()
        .filter(|(name, _)| name != "p_signature")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let signed = serialized(&fields);
    let secret = by_secret(given.secrets, |secret| {
        let key = pair::public_key_pem(secret.text()).ok_or(Reason::UnusableSecret)?;
        Ok(pair::verifies(Algorithm::RsaSha1, &key, signed.as_bytes(), &signature))
    })?;
    Ok(Proof { secret: Some(secret), ..Proof::default() })
}

fn serialized(fields: &BTreeMap<&str, &str>) -> String {
    let mut text = format!("a:{}:{{", fields.len());
    for (name, value) in fields {
        // Writing to a String cannot fail. Lengths are in bytes.
        let _ = write!(text, "s:{}:\"{name}\";s:{}:\"{value}\";", name.len(), value.len());
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::serialized;

    #[test]
    fn as_php_writes_it() {
        let fields = [("b", "é"), ("a", "1")].into_iter().collect();
        assert_eq!(serialized(&fields), "a:2:{s:1:\"a\";s:1:\"1\";s:1:\"b\";s:2:\"é\";}");
    }
}
