//! Taking the text of a signature apart.

use crate::{
    Reason,
    row::{Shape, SignedRule},
    view::View,
};

/// Signatures that are tried. DocuSign sends up to a hundred.
const MOST_SIGNATURES: usize = 128;

/// Signatures that share their fields, such as a timestamp.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) signatures: Vec<String>,
    pub(crate) fields: Vec<(String, String)>,
}

/// All groups of all places that hold a signature.
pub(crate) fn groups(rule: &SignedRule, view: &View<'_>) -> Result<Vec<Group>, Reason> {
    let texts = view.all(&rule.places);
    if texts.is_empty() {
        return Err(Reason::MissingSignature);
    }
    if texts.len() > MOST_SIGNATURES {
        return Err(Reason::TooManySignatures);
    }
    let mut groups = Vec::new();
    let mut left = MOST_SIGNATURES;
    for text in &texts {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        let Some(text) = without_prefix(&rule.shape, text) else { continue };
        let parts: Vec<&str> = match &rule.shape.groups {
            Some(separator) => text.split(separator.as_str()).take(MOST_SIGNATURES).collect(),
            None => vec![text],
        };
        for part in parts {
            let group = group(&rule.shape, part);
            left = left.checked_sub(group.signatures.len()).ok_or(Reason::TooManySignatures)?;
            if !group.signatures.is_empty() || !group.fields.is_empty() {
                groups.push(group);
            }
        }
    }
    if groups.is_empty() { Err(Reason::MalformedSignature) } else { Ok(groups) }
}

fn without_prefix<'t>(shape: &Shape, text: &'t str) -> Option<&'t str> {
    let Some(prefix) = &shape.prefix else { return Some(text) };
    match text.strip_prefix(prefix.as_str()) {
        Some(rest) => Some(rest),
        None => shape.prefix_optional.then_some(text),
    }
}

fn group(shape: &Shape, text: &str) -> Group {
    let Some(separator) = &shape.items else {
        return Group { signatures: vec![text.to_owned()], fields: Vec::new() };
    };
    let mut group = Group::default();
    for (index, item) in text.split(separator.as_str()).take(2 * MOST_SIGNATURES).enumerate() {
        let item = item.trim_matches(' ');
        match (&shape.kv, &shape.version) {
            (Some(kv), Some(version)) if version == "*" => {
                if let Some((_, value)) = item.rsplit_once(kv.as_str()) {
                    group.signatures.push(value.to_owned());
                }
            }
            (Some(kv), Some(version)) => match item.split_once(kv.as_str()) {
                Some((name, value)) if name == version => group.signatures.push(value.to_owned()),
                Some((name, value)) => group.fields.push((name.to_owned(), value.to_owned())),
                None => {}
            },
            _ if index < shape.first => group.fields.push((index.to_string(), item.to_owned())),
            _ => group.signatures.push(item.to_owned()),
        }
    }
    group
}
