use std::fmt;

use serde_json::{Value, ser::PrettyFormatter};

/// Longer bodies are not spelt otherwise, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;

/// Another spelling of a body: what was most likely signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyChange {
    /// Without the line end that it has here.
    WithoutLineEnd,
    /// With a line end that it has not here.
    WithLineEnd,
    /// With CRLF at the end.
    WithCrlfEnd,
    /// With LF for each CRLF.
    CrlfToLf,
    /// With CRLF for each LF.
    LfToCrlf,
    /// Without space around it, or a byte order mark.
    Trimmed,
    /// As JSON without any space.
    Minified,
    /// As JSON, with two or four spaces or a tab for each level.
    Pretty,
    /// As JSON with a space after each colon and comma, as Python writes it.
    Spaced,
    /// As JSON with `\u` for what is not ASCII.
    Escaped,
    /// As JSON with `\/` for each slash.
    SlashesEscaped,
    /// As a form that is encoded otherwise.
    FormReencoded,
}

impl fmt::Display for BodyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutLineEnd => "without its trailing line end",
            Self::WithLineEnd => "with a trailing line end",
            Self::WithCrlfEnd => "with CRLF at its end",
            Self::CrlfToLf => "with LF in place of CRLF",
            Self::LfToCrlf => "with CRLF in place of LF",
            Self::Trimmed => "without the space or byte order mark around it",
            Self::Minified => "as minified JSON",
            Self::Pretty => "as indented JSON",
            Self::Spaced => "as JSON with spaces after colons and commas",
            Self::Escaped => "as JSON with non-ASCII characters escaped",
            Self::SlashesEscaped => "as JSON with escaped slashes",
            Self::FormReencoded => "as a form with another percent-encoding",
        })
    }
}

/// All spellings that differ from the body. JSON keeps the order of its members only if that is
/// alphabetical: whoever sorted them has lost what was signed.
pub(super) fn spellings(body: &[u8]) -> Vec<(BodyChange, Vec<u8>)> {
    if body.len() > LONGEST_BODY {
        return Vec::new();
    }
    let mut all = Vec::new();
    let mut add = |change, spelt: Vec<u8>| {
        if spelt != body {
            all.push((change, spelt));
        }
    };
    let without = body.strip_suffix(b"\n").unwrap_or(body);
    add(BodyChange::WithoutLineEnd, without.strip_suffix(b"\r").unwrap_or(without).to_vec());
    add(BodyChange::WithLineEnd, [body, b"\n"].concat());
    add(BodyChange::WithCrlfEnd, [body, b"\r\n"].concat());
    let bare = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    add(BodyChange::Trimmed, bare.trim_ascii().to_vec());
    if let Ok(text) = std::str::from_utf8(body) {
        let lf = text.replace("\r\n", "\n");
        add(BodyChange::LfToCrlf, lf.replace('\n', "\r\n").into_bytes());
        add(BodyChange::CrlfToLf, lf.into_bytes());
        add(BodyChange::SlashesEscaped, text.replace("\\/", "/").replace('/', "\\/").into_bytes());
    }
    if let Some(minified) = minified(body) {
        // The plainest first: in ASCII, escaped JSON is the minified one, and nothing was escaped.
        add(BodyChange::Minified, minified.clone());
        add(BodyChange::Spaced, spaced(&minified));
        add(BodyChange::Escaped, escaped(&minified));
    }
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        for indent in [&b"  "[..], b"    ", b"\t"] {
            add(BodyChange::Pretty, pretty(&value, indent));
        }
        add(BodyChange::Minified, value.to_string().into_bytes());
    } else if body.contains(&b'=') {
        let fields = crate::body::urlencoded(body);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        fields.iter().for_each(|(name, value)| {
            form.append_pair(name, value);
        });
        let form = form.finish();
        add(BodyChange::FormReencoded, form.replace('+', "%20").into_bytes());
        add(BodyChange::FormReencoded, form.into_bytes());
    }
    all
}

/// JSON without the space between its tokens: members keep their order, numbers and escapes their
/// spelling.
fn minified(body: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).ok()?;
    let mut out = Vec::with_capacity(body.len());
    each_token(body, |byte, in_text| {
        if in_text || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
    });
    Some(out)
}

fn spaced(minified: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(minified.len() * 2);
    each_token(minified, |byte, in_text| {
        out.push(byte);
        if !in_text && matches!(byte, b':' | b',') {
            out.push(b' ');
        }
    });
    out
}

fn escaped(json: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(json.len());
    for c in String::from_utf8_lossy(json).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out.into_bytes()
}

fn pretty(value: &Value, indent: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Writing to a Vec cannot fail, and keys of a Value are texts.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    out
}

/// Calls with every byte of a JSON text, and whether it is part of a string.
fn each_token(json: &[u8], mut with: impl FnMut(u8, bool)) {
    let (mut in_text, mut escape) = (false, false);
    for &byte in json {
        let part = in_text || byte == b'"';
        with(byte, part);
        match byte {
            b'"' if !escape => in_text = !in_text,
            _ => {}
        }
        escape = in_text && byte == b'\\' && !escape;
    }
}
