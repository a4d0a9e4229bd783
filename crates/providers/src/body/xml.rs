//! One value of an XML document, read as a stream: no tree, no entities but the five, no DTD.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

/// Elements within elements.
const DEEPEST: usize = 64;
/// Events that are read before the search is given up.
const MOST_EVENTS: usize = 100_000;

/// The text of the first element whose names, without namespaces, end with `path` (or are it, if
/// `absolute`), or of its attribute. Surrounding space is dropped.
pub(crate) fn value(
    xml: &[u8],
    path: &[String],
    absolute: bool,
    attribute: Option<&str>,
) -> Option<String> {
    // Other encodings than UTF-8 are not read.
    let mut reader = Reader::from_str(std::str::from_utf8(xml).ok()?);
    let mut open: Vec<String> = Vec::new();
    // Set while inside the element that is looked for: its depth and its text so far.
    let mut inside: Option<(usize, String)> = None;
    for _ in 0..MOST_EVENTS {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                open.push(local(&start));
                if open.len() > DEEPEST {
                    return None;
                }
                if inside.is_none() && fits(&open, path, absolute) {
                    match attribute {
                        Some(name) => return attribute_of(&start, name),
                        None => inside = Some((open.len(), String::new())),
                    }
                }
            }
            Event::Empty(start) => {
                open.push(local(&start));
                if inside.is_none() && fits(&open, path, absolute) {
                    return attribute.and_then(|name| attribute_of(&start, name));
                }
                open.pop();
            }
            Event::End(_) => {
                if let Some((depth, text)) = &inside
                    && *depth == open.len()
                {
                    return Some(text.trim().to_owned()).filter(|t| !t.is_empty());
                }
                open.pop();
            }
            Event::Text(text) => {
                if let Some((depth, so_far)) = &mut inside
                    && *depth == open.len()
                {
                    so_far.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some((depth, so_far)) = &mut inside
                    && *depth == open.len()
                {
                    so_far.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(entity) => {
                if let Some((_, so_far)) = &mut inside {
                    so_far.push(match &*entity {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => entity.resolve_char_ref().ok()??,
                    });
                }
            }
            Event::Eof => return None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    None
}

fn local(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

fn fits(open: &[String], path: &[String], absolute: bool) -> bool {
    if absolute { open == path } else { open.ends_with(path) }
}

fn attribute_of(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found =
        start.attributes().filter_map(Result::ok).find(|a| a.key.local_name().as_ref() == name)?;
    let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned();
    Some(value).filter(|v| !v.is_empty())
}
