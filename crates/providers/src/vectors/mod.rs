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

mod file;

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::Verdict;

pub use file::{Case, Expected, Vectors};

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
    let mut providers = BTreeSet::new();
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
