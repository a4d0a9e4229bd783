//! A request together with what has been read of it: each part is read at most once, and only if a
//! rule asks for it.

use std::{borrow::Cow, cell::OnceCell};

use serde_json::Value;

use crate::{
    Request, body,
    request::LONGEST_HEADER,
    row::{Piece, Place, Places, Pointer},
};

/// An event's id or type is not used if it is longer than this, in bytes.
const LONGEST_VALUE: usize = 256;

/// A longer body is not read as JSON, in bytes: its values would take many times that.
const LONGEST_JSON: usize = 8 * 1024 * 1024;

pub(crate) struct View<'a> {
    pub(crate) request: Request<'a>,
    json: OnceCell<Option<Value>>,
    form: OnceCell<Vec<(String, String)>>,
}

/// What else a place may lead into.
#[derive(Clone, Copy, Default)]
pub(crate) struct Beside<'p> {
    /// Fields of the signature.
    pub(crate) signature: &'p [(String, String)],
    /// Claims of a verified token.
    pub(crate) claims: Option<&'p Value>,
    /// The document in the body, if it wraps one.
    pub(crate) document: Option<&'p [u8]>,
}

impl<'a> View<'a> {
    pub(crate) fn new(request: Request<'a>) -> Self {
        Self { request, json: OnceCell::new(), form: OnceCell::new() }
    }

    /// The body as a JSON document, whatever its content type says: for whoever needs more than a value.
    pub(crate) fn json(&self) -> Option<&Value> {
        let read = || {
            let body = (self.request.body.len() <= LONGEST_JSON).then_some(self.request.body)?;
            serde_json::from_slice(body).ok()
        };
        self.json.get_or_init(read).as_ref()
    }

    /// The body as a form of either kind.
    pub(crate) fn form(&self) -> &[(String, String)] {
        self.form.get_or_init(|| {
            let content_type = self.request.header_text("content-type").unwrap_or_default();
            let multipart = content_type
                .get(..10)
                .is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
            if multipart {
                body::multipart_fields(content_type, self.request.body)
            } else {
                body::urlencoded(self.request.body)
            }
        })
    }

    pub(crate) fn form_value(&self, name: &str) -> Option<&str> {
        let found = self.form().iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// A value of a JSON body, at a pointer without `*`. Without building the document, unless that is
    /// there already.
    fn json_text(&self, at: &Pointer) -> Option<String> {
        if at.path.contains('*') {
            return body::json_text(self.json()?, at).map(Cow::into_owned);
        }
        let text = match self.json.get() {
            Some(document) => {
                let at = Pointer { path: at.path.clone(), inner: None };
                body::json_text(document.as_ref()?, &at)?.into_owned()
            }
            None => body::json_select(self.request.body, &at.path)?,
        };
        match &at.inner {
            None => Some(text),
            Some(inner) => body::json_select(text.as_bytes(), inner),
        }
    }

    /// What stands at the first of the places that holds anything.
    pub(crate) fn first(&self, places: &Places, beside: Beside<'_>) -> Option<Cow<'_, [u8]>> {
        places.iter().find_map(|place| self.at(place, beside))
    }

    /// The same as text.
    pub(crate) fn first_text(&self, places: &Places, beside: Beside<'_>) -> Option<String> {
        String::from_utf8(self.first(places, beside)?.into_owned()).ok()
    }

    /// Everything that stands at any of the places.
    pub(crate) fn all(&self, places: &Places) -> Vec<Cow<'_, [u8]>> {
        places.iter().flat_map(|place| self.every(place)).collect()
    }

    fn every(&self, place: &Place) -> Vec<Cow<'_, [u8]>> {
        match place {
            Place::Header(name) => self.request.headers_named(name).map(Cow::Borrowed).collect(),
            Place::Headers(prefix) => self
                .request
                .headers
                .iter()
                .filter(|(n, v)| {
                    n.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix))
                        && !v.is_empty()
                        && v.len() <= LONGEST_HEADER
                })
                .map(|(_, v)| Cow::Borrowed(*v))
                .collect(),
            Place::Json(at) if at.path.contains('*') => {
                let Some(root) = self.json() else { return Vec::new() };
                body::json_values(root, &at.path)
                    .into_iter()
                    .map(|v| Cow::Borrowed(v.as_str().unwrap_or_default().as_bytes()))
                    .collect()
            }
            _ => self.at(place, Beside::default()).into_iter().collect(),
        }
    }

    /// What stands at a place. None if it is empty.
    pub(crate) fn at(&self, place: &Place, beside: Beside<'_>) -> Option<Cow<'_, [u8]>> {
        let owned = |text: String| Cow::Owned(text.into_bytes());
        let value = match place {
            Place::Header(name) => Cow::Borrowed(self.request.header(name)?),
            Place::Headers(_) => self.every(place).into_iter().next()?,
            Place::Query(name) => owned(self.request.query_value(name)?),
            Place::Form(name, None) => Cow::Borrowed(self.form_value(name)?.as_bytes()),
            Place::Form(name, Some(inner)) => {
                owned(body::json_select(self.form_value(name)?.as_bytes(), inner)?)
            }
            Place::Json(at) => owned(self.json_text(at)?),
            Place::Claim(at) => owned(body::json_text(beside.claims?, at)?.into_owned()),
            Place::Signature(name) => {
                owned(beside.signature.iter().find(|(n, _)| n == name)?.1.clone())
            }
            Place::Xml { path, absolute, attribute } => owned(body::xml_value(
                beside.document.unwrap_or(self.request.body),
                path,
                *absolute,
                attribute.as_deref(),
            )?),
            Place::OtherKey(name) => {
                Cow::Borrowed(body::first_other_key(self.json()?, name)?.as_bytes())
            }
        };
        (!value.is_empty()).then_some(value)
    }

    /// An event's id or type: none if a place in it is empty, or if it is too long or not printable.
    pub(crate) fn expression(&self, pieces: &[Piece], beside: Beside<'_>) -> Option<String> {
        let mut value = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::At(places) => value.push_str(&self.first_text(places, beside)?),
                _ => return None,
            }
        }
        (value.len() <= LONGEST_VALUE && !value.chars().any(char::is_control)).then_some(value)
    }
}
