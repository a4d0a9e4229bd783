//! Texts with places in braces: the signed bytes, event ids, event types.

use super::{Places, RowError, places::places};

/// At most this many pieces.
const MOST_PIECES: usize = 32;
/// A template's text is no longer than this, in bytes.
const LONGEST_TEMPLATE: usize = 500;

/// One piece of the signed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Itself.
    Text(String),
    /// The body as received.
    Body,
    /// The timestamp, as received.
    Timestamp,
    /// The message id.
    Id,
    /// The public URL.
    Url,
    /// The method, in upper case.
    Method,
    /// The secret.
    Secret,
    /// The fields of a form, sorted, each name followed by its value.
    FormSorted,
    /// What stands at a place.
    At(Places),
}

/// The signed bytes.
pub type Template = Vec<Piece>;

/// An event id or type: pieces that are text or places. Empty if one of its places is.
pub type Expression = Vec<Piece>;

/// Reads a template.
pub fn template(field: &str, text: &str) -> Result<Template, RowError> {
    if text.is_empty() || text.len() > LONGEST_TEMPLATE {
        return Err(RowError::new(field, text, "a template has 1 to 500 bytes"));
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('{') {
            let Some((token, after)) = inside.split_once('}') else {
                return Err(RowError::new(field, text, "a { without its }"));
            };
            pieces.push(match token {
                "body" => Piece::Body,
                "ts" => Piece::Timestamp,
                "id" => Piece::Id,
                "url" => Piece::Url,
                "method" => Piece::Method,
                "secret" => Piece::Secret,
                "form_sorted_kv" => Piece::FormSorted,
                place => Piece::At(places(field, place)?),
            });
            rest = after;
        } else {
            let end = rest.find('{').unwrap_or(rest.len());
            pieces.push(Piece::Text(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    if pieces.len() > MOST_PIECES {
        return Err(RowError::new(field, text, "at most 32 pieces"));
    }
    Ok(pieces)
}

/// Reads an event id or type: places alone, or a text with places in braces.
pub fn expression(field: &str, text: &str) -> Result<Expression, RowError> {
    if !text.contains('{') {
        return Ok(vec![Piece::At(places(field, text)?)]);
    }
    let pieces = template(field, text)?;
    if pieces.iter().any(|p| !matches!(p, Piece::Text(_) | Piece::At(_))) {
        return Err(RowError::new(field, text, "only places and text make an id or a type"));
    }
    Ok(pieces)
}
