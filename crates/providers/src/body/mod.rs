//! Reading a body, and only as far as an id, a type or a signature needs it. Nothing here is
//! believed before the signature is.

mod form;
mod json;
mod multipart;
mod select;
mod xml;

pub(crate) use form::{sorted, urlencoded};
pub(crate) use json::{first_other_key, text as json_text, values as json_values};
pub(crate) use multipart::fields as multipart_fields;
pub(crate) use select::select as json_select;
pub(crate) use xml::value as xml_value;

/// Fields of a form or query that are looked at.
pub(crate) const MOST_FIELDS: usize = 2_000;
