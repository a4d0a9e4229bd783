use std::fmt;

use crate::{
    Provider, Secret, encoding,
    row::{KeyForm, Rule},
};

/// What has to be done with a secret for it to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretChange {
    /// Space, line ends or quotes around it do not belong to it.
    Trimmed,
    /// Its characters are the key: nothing is decoded.
    AsText,
    /// It is hex for the key.
    AsHex,
    /// It is base64 for the key.
    AsBase64,
    /// What follows its prefix (`whsec_`) is base64 for the key.
    WithoutPrefix,
    /// What it stands for in base64 is the secret.
    Decoded,
}

impl fmt::Display for SecretChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trimmed => "without the space or quotes around it",
            Self::AsText => "as plain text, not decoded",
            Self::AsHex => "decoded from hex",
            Self::AsBase64 => "decoded from base64",
            Self::WithoutPrefix => "without its prefix, decoded from base64",
            Self::Decoded => "as the text that it is base64 for",
        })
    }
}

/// A secret, read otherwise.
pub(super) struct Reading {
    pub(super) index: usize,
    pub(super) change: SecretChange,
    pub(super) secret: Secret,
    /// The provider, with keys in the other form.
    pub(super) provider: Provider,
}

pub(super) fn readings(provider: &Provider, secrets: &[Secret]) -> Vec<Reading> {
    let mut all = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        let text = secret.text();
        let mut add = |change, secret: &str, form: Option<KeyForm>| {
            let provider = match form {
                None => provider.clone(),
                Some(form) => match with_form(provider, form) {
                    Some(provider) => provider,
                    None => return,
                },
            };
            all.push(Reading { index, change, secret: Secret::new(secret), provider });
        };
        let trimmed = text.trim().trim_matches(['"', '\'', '`']).trim();
        if trimmed != text {
            add(SecretChange::Trimmed, trimmed, None);
        }
        add(SecretChange::AsText, trimmed, Some(KeyForm::Utf8));
        add(SecretChange::AsHex, trimmed, Some(KeyForm::Hex));
        add(SecretChange::AsBase64, trimmed, Some(KeyForm::Base64));
        if let Some((_, rest)) = trimmed.split_once('_') {
            add(SecretChange::WithoutPrefix, rest, Some(KeyForm::Base64));
        }
        let decoded = encoding::pasted_base64(trimmed).and_then(|d| String::from_utf8(d).ok());
        if let Some(decoded) = decoded {
            add(SecretChange::Decoded, &decoded, None);
        }
    }
    all
}

/// The provider with another form of keys, if it has shared ones and this form is another.
fn with_form(provider: &Provider, form: KeyForm) -> Option<Provider> {
    let mut provider = provider.clone();
    match &mut provider.rules_mut().rule {
        Rule::Signed(rule) if matches!(rule.mac, crate::row::Mac::Hmac(_)) && rule.key != form => {
            rule.key = form;
        }
        _ => return None,
    }
    Some(provider)
}
