use std::collections::BTreeSet;

use super::MOST_FIELDS;

/// The fields of an `application/x-www-form-urlencoded` body, decoded.
pub(crate) fn urlencoded(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body)
        .take(MOST_FIELDS)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// Names and values without anything between them, sorted by name and value, each pair once: what
/// Twilio and Mandrill sign.
pub(crate) fn sorted(fields: &[(String, String)]) -> String {
    let pairs: BTreeSet<_> = fields.iter().collect();
    pairs.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect()
}
