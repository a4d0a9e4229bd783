use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{SignedRequest, blank};
use crate::row::{Content, Place};

/// A request in the making: what is put at a place is there to be read from it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    url: String,
    headers: Vec<(String, String)>,
    content: Option<Content>,
    json: Value,
    form: BTreeMap<String, Value>,
    /// Path of names, attribute, text.
    xml: Vec<(Vec<String>, Option<String>, String)>,
    pub(super) claims: Value,
    given: Option<Vec<u8>>,
}

impl Draft {
    pub(super) fn new(url: &str, content: Option<Content>) -> Self {
        Self {
            url: url.to_owned(),
            headers: Vec::new(),
            content,
            json: blank(content),
            form: BTreeMap::new(),
            xml: Vec::new(),
            claims: Value::Object(Map::new()),
            given: None,
        }
    }

    pub(super) fn use_body(&mut self, body: Vec<u8>) {
        self.given = Some(body);
    }

    pub(super) fn given_body(&self) -> bool {
        self.given.is_some()
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn set(&mut self, place: &Place, value: &str) {
        let text = || Value::String(value.to_owned());
        match place {
            Place::Header(name) => self.header(name, value),
            Place::Headers(prefix) => self.header(&format!("{prefix}1"), value),
            Place::Query(name) => {
                let pair = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair(name, value)
                    .finish();
                self.url.push(if self.url.contains('?') { '&' } else { '?' });
                self.url.push_str(&pair);
            }
            Place::Form(name, inner) => {
                let field = self.form.entry(name.clone()).or_insert(Value::Null);
                match inner {
                    None => *field = text(),
                    Some(inner) => put(field, inner, text()),
                }
            }
            Place::Json(at) => put_pointer(&mut self.json, &at.path, at.inner.as_deref(), text()),
            Place::Claim(at) => {
                put_pointer(&mut self.claims, &at.path, at.inner.as_deref(), text());
            }
            Place::OtherKey(_) => {
                if let Value::Object(members) = &mut self.json {
                    members.remove("sample");
                }
                put(&mut self.json, &format!("/{value}"), Value::Bool(true));
            }
            Place::Xml { path, attribute, .. } => {
                self.xml.push((path.clone(), attribute.clone(), value.to_owned()));
            }
            // Written with the signature itself.
            Place::Signature(_) => {}
        }
    }

    pub(super) fn set_number(&mut self, pointer: &str, number: &str) {
        let number = number.parse::<i64>().map_or(Value::Null, Value::from);
        put(&mut self.json, pointer, number);
    }

    /// Whether something stands at a place of a header, form or JSON.
    pub(super) fn has(&self, place: &Place) -> bool {
        match place {
            Place::Header(name) => self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)),
            Place::Form(name, None) => self.form.contains_key(name),
            Place::Form(name, Some(inner)) => {
                self.form.get(name).is_some_and(|v| v.pointer(inner).is_some())
            }
            Place::Json(at) => self.json.pointer(&at.path).is_some(),
            _ => false,
        }
    }

    fn body(&self) -> (&'static str, Vec<u8>) {
        if !self.xml.is_empty() {
            return ("text/xml; charset=utf-8", xml(&self.xml).into_bytes());
        }
        let wants_form = matches!(self.content, Some(Content::Form)) || !self.form.is_empty();
        if wants_form && self.json.pointer("/signature").is_none() {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in &self.form {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                form.append_pair(name, &text);
            }
            form.append_pair("sample", "true");
            return ("application/x-www-form-urlencoded", form.finish().into_bytes());
        }
        match self.content {
            Some(Content::Empty) => ("", Vec::new()),
            _ => ("application/json", self.json.to_string().into_bytes()),
        }
    }

    pub(super) fn finish(mut self) -> SignedRequest {
        let (content_type, made) = self.body();
        let body = self.given.take().unwrap_or(made);
        let typed = self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type"));
        if !typed && !content_type.is_empty() {
            self.headers.insert(0, ("content-type".to_owned(), content_type.to_owned()));
        }
        SignedRequest { method: "POST", url: self.url, headers: self.headers, body }
    }
}

fn put_pointer(root: &mut Value, path: &str, inner: Option<&str>, value: Value) {
    match inner {
        None => put(root, path, value),
        Some(inner) => {
            // JSON in a text: read what is there, add to it, write it again.
            let before = root.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let mut wrapped = serde_json::from_str(before).unwrap_or(Value::Null);
            put(&mut wrapped, inner, value);
            put(root, path, Value::String(wrapped.to_string()));
        }
    }
}

/// Puts a value at a pointer and makes what is missing on the way: a list where the step is a small
/// number or `*`, an object elsewhere.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let mut at = root;
    for step in pointer.split('/').skip(1).filter(|s| !s.is_empty()) {
        let index = if step == "*" { Some(0) } else { step.parse().ok().filter(|i| *i < 8) };
        at = match index {
            Some(index) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let Value::Array(items) = at else { return };
                if items.len() <= index {
                    items.resize(index + 1, Value::Null);
                }
                let Some(item) = items.get_mut(index) else { return };
                item
            }
            None => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                let Value::Object(members) = at else { return };
                members.entry(step.to_owned()).or_insert(Value::Null)
            }
        };
    }
    *at = value;
}

/// Elements, each in a chain of its own under one root, unless all paths begin at the root.
fn xml(values: &[(Vec<String>, Option<String>, String)]) -> String {
    let mut text = String::from("<sample>");
    for (path, attribute, value) in values {
        let value = quick_xml::escape::escape(value.as_str());
        let (last, outer) = match path.split_last() {
            Some((last, outer)) => (last.as_str(), outer),
            None => continue,
        };
        outer.iter().for_each(|name| text.push_str(&format!("<{name}>")));
        match attribute {
            Some(attribute) => text.push_str(&format!("<{last} {attribute}=\"{value}\"/>")),
            None => text.push_str(&format!("<{last}>{value}</{last}>")),
        }
        outer.iter().rev().for_each(|name| text.push_str(&format!("</{name}>")));
    }
    text.push_str("</sample>");
    text
}
