use std::{collections::BTreeMap, fmt};

use domain::clock::Timestamp;
use serde::Deserialize;

use crate::{
    Keys, Provider, Request, RowError, Secret, Verdict, catalogue,
    encoding::decode,
    row::{Encoding, Row},
};

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vectors {
    /// Always 1.
    format: u32,
    /// An id of the catalogue, or of `row`.
    pub provider: String,
    row: Option<Row>,
    /// The source's.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    now: i64,
    /// What made the signatures.
    #[serde(default)]
    pub signed_by: String,
    /// Whose verifiers have said the same.
    #[serde(default)]
    pub checked_with: Vec<String>,
    /// Where the cases were published first.
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    keys: BTreeMap<String, String>,
    request: Base,
    /// In order.
    pub cases: Vec<Case>,
}

/// What all cases of a file start from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    secret: Option<String>,
}

/// One case: what it changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// What must come out.
    pub expect: Expected,
    method: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    body: Option<String>,
    body_base64: Option<String>,
    secret: Option<String>,
}

/// What a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// The request is genuine.
    Genuine,
    /// It is not.
    Refused,
    /// Verifiers may differ.
    Either,
}

impl Expected {
    /// Whether a verdict is the expected one. Asking for a key that the file has not is neither.
    pub fn agrees(self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Genuine(_) => self != Self::Refused,
            Verdict::Refused(_) => self != Self::Genuine,
            Verdict::NeedsKey(_) => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Genuine => "genuine",
            Self::Refused => "refused",
            Self::Either => "either",
        })
    }
}

impl Vectors {
    /// Reads a file's text.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let file: Self =
            serde_path_to_error::deserialize(&mut reader).map_err(|e| e.to_string())?;
        if file.format != 1 {
            return Err(format!("format {} is not known", file.format));
        }
        if file.cases.is_empty() {
            return Err("there are no cases".to_owned());
        }
        Ok(file)
    }

    /// The provider that the file is about, with the file's settings.
    pub fn provider(&self) -> Result<Provider, String> {
        let say = |e: RowError| e.to_string();
        let provider = match &self.row {
            Some(row) => Provider::from_row(row.clone()).map_err(say)?,
            None => catalogue::find(&self.provider)
                .ok_or_else(|| format!("there is no provider {}", self.provider))?
                .clone(),
        };
        provider.configured(&self.settings).map_err(say)
    }

    /// What `provider` says of a case.
    pub fn run(&self, provider: &Provider, case: &Case) -> Result<Verdict, String> {
        let mut headers: BTreeMap<&str, &str> =
            self.request.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        for (name, value) in &case.headers {
            match value {
                Some(value) => headers.insert(name, value),
                None => headers.remove(name.as_str()),
            };
        }
        let headers: Vec<(&str, &[u8])> =
            headers.into_iter().map(|(n, v)| (n, v.as_bytes())).collect();
        let body = match (&case.body, &case.body_base64) {
            (Some(body), _) => body.as_bytes().to_vec(),
            (None, Some(base64)) => decode(Encoding::Base64, base64.as_bytes())
                .ok_or_else(|| format!("case {}: body_base64 is not base64", case.name))?,
            (None, None) => self.request.body.as_bytes().to_vec(),
        };
        let request = Request {
            method: case.method.as_ref().unwrap_or(&self.request.method),
            url: case.url.as_ref().unwrap_or(&self.request.url),
            headers: &headers,
            body: &body,
        };
        let secret = case.secret.as_ref().or(self.request.secret.as_ref());
        let secrets: Vec<Secret> = secret.map(|s| Secret::new(s.clone())).into_iter().collect();
        let mut keys = Keys::new();
        for (url, text) in &self.keys {
            keys.insert(url.clone(), text.clone());
        }
        Ok(provider.verify(&request, &secrets, Timestamp::from_secs(self.now), &keys))
    }
}
