//! Captured requests: as raw HTTP/1.1, or as JSON.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;

use super::chunked;

/// All before the body is at most this long, in bytes.
const LONGEST_HEAD: usize = 256 * 1024;
/// What messages quote of a line, in characters.
const QUOTED: usize = 60;

/// A request as it arrived.
pub struct Captured {
    pub method: String,
    /// As the sender knows it, as far as that can be told.
    pub url: String,
    /// Whether the URL was made of the `Host` header, with `https` taken for granted.
    pub url_guessed: bool,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Captured {
    /// Reads a file: JSON if it begins with a brace, raw HTTP otherwise. `public_url` takes the place
    /// of the URL in it.
    pub fn read(file: &[u8], public_url: Option<&str>) -> anyhow::Result<Self> {
        match file.trim_ascii_start().first() {
            None => bail!("it is empty"),
            Some(b'{') => Self::from_json(file, public_url),
            Some(_) => Self::from_http(file, public_url),
        }
    }

    /// The length that the request says its body has, if that is not the length it has here.
    pub fn other_length(&self) -> Option<usize> {
        let length = self.header("content-length")?.trim().parse().ok()?;
        (length != self.body.len() && !self.is_chunked()).then_some(length)
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding")
            .is_some_and(|e| e.to_ascii_lowercase().ends_with("chunked"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    fn from_http(file: &[u8], public_url: Option<&str>) -> anyhow::Result<Self> {
        // RFC 9112, 2.2: empty lines before the request line do not count.
        let start = file.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let mut rest = file.get(start..).unwrap_or_default();
        let (first, after) = line(rest, file.len())?;
        rest = after;
        let (method, target) = request_line(first)?;
        let mut headers = Vec::new();
        loop {
            let (text, after) = line(rest, file.len())?;
            rest = after;
            if text.is_empty() {
                break;
            }
            headers.push(header_line(text, headers.len() + 2)?);
        }
        let mut captured =
            Self { method, url: target, url_guessed: false, headers, body: rest.to_vec() };
        if let Some(url) = public_url {
            captured.url = url.to_owned();
        } else if captured.url.starts_with('/') {
            let host = captured.header("host");
            let host = host.context("it has no Host header: give the sender's URL with --url")?;
            captured.url = format!("https://{host}{}", captured.url);
            captured.url_guessed = true;
        }
        if captured.is_chunked()
            && let Some(whole) = chunked::joined(&captured.body)
        {
            captured.body = whole;
        }
        Ok(captured)
    }

    fn from_json(file: &[u8], public_url: Option<&str>) -> anyhow::Result<Self> {
        let json: Json = serde_json::from_slice(file).context(
            "as JSON it is {\"method\", \"url\", \"headers\", \"bodyBase64\" or \"body\"}",
        )?;
        let body = match (json.body_base64, json.body) {
            (Some(_), Some(_)) => bail!("it has `bodyBase64` and `body`: one of them is enough"),
            (Some(text), None) => BASE64.decode(text).context("`bodyBase64` is not base64")?,
            (None, Some(text)) => text.into_bytes(),
            (None, None) => Vec::new(),
        };
        let url = public_url.map(str::to_owned).or(json.url);
        let url = url.context("it has no `url`: give the one that the sender knows with --url")?;
        let headers = json.headers.into_iter().flat_map(|(name, values)| {
            let values = match values {
                Values::One(value) => vec![value],
                Values::Many(values) => values,
            };
            values.into_iter().map(move |value| (name.clone(), value.into_bytes()))
        });
        let headers = headers.collect();
        Ok(Self { method: json.method.to_uppercase(), url, url_guessed: false, headers, body })
    }
}

/// One line without its end, and what follows it.
fn line(rest: &[u8], whole: usize) -> anyhow::Result<(&[u8], &[u8])> {
    let end = rest.iter().position(|b| *b == b'\n');
    let end = end.context("there is no empty line between its headers and its body")?;
    let (line, after) = rest.split_at(end);
    ensure!(whole - after.len() <= LONGEST_HEAD, "its headers are longer than 256 KiB");
    Ok((line.strip_suffix(b"\r").unwrap_or(line), after.get(1..).unwrap_or_default()))
}

fn request_line(line: &[u8]) -> anyhow::Result<(String, String)> {
    let text = String::from_utf8_lossy(line);
    ensure!(!text.starts_with("HTTP/"), "it is an answer, not a request: {:?}", quoted(&text));
    let parts: Vec<&str> = text.split(' ').collect();
    match parts.as_slice() {
        [method, target, version]
            if is_token(method)
                && ["/", "http://", "https://"].iter().any(|start| target.starts_with(start))
                && version.starts_with("HTTP/") =>
        {
            Ok((method.to_uppercase(), (*target).to_owned()))
        }
        _ => bail!(
            "it begins neither with a request line such as \"POST /in HTTP/1.1\" nor with a brace, \
             but with {:?}",
            quoted(&text)
        ),
    }
}

fn header_line(line: &[u8], number: usize) -> anyhow::Result<(String, Vec<u8>)> {
    let colon = line.iter().position(|b| *b == b':').unwrap_or(0);
    let (name, value) = line.split_at(colon);
    let name = String::from_utf8_lossy(name);
    ensure!(
        is_token(&name),
        "line {number} is no header: {:?}",
        quoted(&String::from_utf8_lossy(line))
    );
    Ok((name.into_owned(), value.get(1..).unwrap_or_default().trim_ascii().to_vec()))
}

fn is_token(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(fits)
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

/// A request as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Json {
    #[serde(default = "post")]
    method: String,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    body_base64: Option<String>,
    body: Option<String>,
}

fn post() -> String {
    "POST".to_owned()
}

/// The values of a header.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a header's value is a text, or a list of texts")]
enum Values {
    One(String),
    Many(Vec<String>),
}
