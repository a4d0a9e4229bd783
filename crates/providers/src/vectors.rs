//! Test vectors: requests, and what a verifier must say of each. `crates/providers/vectors` is an
//! open set of them that any implementation may use; [`check`] runs such files against ours.
//!
//! A file is a JSON object, at most 4 MiB:
//!
//! | member | is |
//! |---|---|
//! | `format` | 1 |
//! | `provider` | an id of the catalogue |
//! | `row` | instead of the catalogue's row: a custom provider |
//! | `settings` | the source's settings, name → value |
//! | `now` | the verifier's clock, in seconds since the Unix epoch |
//! | `signed_by`, `checked_with`, `source` | whose work the cases are |
//! | `keys` | what is behind addresses of keys, address → text |
//! | `request` | `method`, `url`, `headers` (name → value), `body`, `secret`: what all cases start from |
//! | `cases` | the cases |
//!
//! A case has a `name` and what it expects: `genuine`, `refused`, or `either` where verifiers may
//! differ. Whatever else it has replaces that part of the request: `method`, `url`, `secret`, `body`
//! or `body_base64`, and single `headers`, of which `null` removes one.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use domain::clock::Timestamp;
use serde::Deserialize;

use crate::{
    Keys, Provider, Request, RowError, Secret, Verdict, catalogue,
    encoding::decode,
    row::{Encoding, Row},
};

/// A file is refused if it is longer than this, in bytes.
const LONGEST_FILE: u64 = 4 * 1024 * 1024;

/// What came out of a directory of files.
#[derive(Debug, Default)]
pub struct Report {
    /// Files read.
    pub files: usize,
    /// Providers that they are about.
    pub providers: usize,
    /// Cases with the expected verdict, those that expect `either` among them.
    pub right: usize,
    /// The others.
    pub wrong: Vec<Wrong>,
}

/// A case whose verdict is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Of which file.
    pub file: String,
    /// Which case.
    pub case: String,
    /// What it expects.
    pub expected: Expected,
    /// What the verifier said.
    pub said: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, providers, right, wrong } = self;
        let cases = right + wrong.len();
        write!(f, "{right} of {cases} cases as expected: {files} files, {providers} providers")?;
        for Wrong { file, case, expected, said } in wrong {
            write!(f, "\n{file}: {case}: expected {expected}, but {said}")?;
        }
        Ok(())
    }
}

/// Why a directory cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It, or a file in it, cannot be read.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not in the format.
    #[error("{path}: {why}", path = .path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no `.json` file: nothing would be checked.
    #[error("{}: there are no vector files", .0.display())]
    Empty(PathBuf),
}

/// Runs all `.json` files of a directory.
pub fn check(dir: &Path) -> Result<Report, CheckError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| CheckError::Io { path, error }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io(dir))? {
        let path = entry.map_err(io(dir))?.path();
        if path.extension().is_some_and(|e| e == "json") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(CheckError::Empty(dir.to_owned()));
    }
    paths.sort();
    let mut report = Report::default();
    let mut providers = std::collections::BTreeSet::new();
    for path in paths {
        if fs::metadata(&path).map_err(io(&path))?.len() > LONGEST_FILE {
            let why = "longer than 4 MiB".to_owned();
            return Err(CheckError::Format { path, why });
        }
        let text = fs::read_to_string(&path).map_err(io(&path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let format = |why| CheckError::Format { path: path.clone(), why };
        let file = Vectors::read(&text).map_err(format)?;
        let provider = file.provider().map_err(format)?;
        providers.insert(provider.row().id.clone());
        report.files += 1;
        for case in &file.cases {
            let said = file.run(&provider, case).map_err(format)?;
            if case.expect.agrees(&said) {
                report.right += 1;
            } else {
                let said = in_words(&said);
                let (case, expected) = (case.name.clone(), case.expect);
                report.wrong.push(Wrong { file: name.clone(), case, expected, said });
            }
        }
    }
    report.providers = providers.len();
    Ok(report)
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Genuine(_) => "it is called genuine".to_owned(),
        Verdict::Refused(reason) => format!("it is refused: {reason}"),
        Verdict::NeedsKey(key) => format!("the file has no key for {}", key.url),
    }
}

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
