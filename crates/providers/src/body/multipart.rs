//! `multipart/form-data` (RFC 7578), as far as its plain fields go.

use super::MOST_FIELDS;

/// The fields of a body with this content type that are UTF-8 and no files.
pub(crate) fn fields(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let Some(boundary) = boundary(content_type) else { return Vec::new() };
    let delimiter = format!("--{boundary}");
    let mut parts = split(body, delimiter.as_bytes());
    // What stands before the first boundary is a preamble.
    parts.next();
    parts.take(MOST_FIELDS).filter_map(field).collect()
}

fn boundary(content_type: &str) -> Option<&str> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parts.find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim_matches('"');
    (1..=70).contains(&value.len()).then_some(value)
}

fn field(part: &[u8]) -> Option<(String, String)> {
    let part = part.strip_prefix(b"\r\n")?;
    let at = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(part.get(..at)?).ok()?;
    let value = part.get(at + 4..)?.strip_suffix(b"\r\n")?;
    let disposition = head
        .lines()
        .filter_map(|l| l.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case("content-disposition"))?
        .1;
    let parameter = |name: &str| {
        disposition.split(';').find_map(|p| {
            let (n, v) = p.trim().split_once('=')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim_matches('"').to_owned())
        })
    };
    if parameter("filename").is_some() {
        return None;
    }
    Some((parameter("name")?, std::str::from_utf8(value).ok()?.to_owned()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

fn split<'a>(bytes: &'a [u8], by: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let now = rest?;
        match find(now, by) {
            Some(at) => {
                rest = now.get(at + by.len()..);
                now.get(..at)
            }
            None => rest.take(),
        }
    })
}
