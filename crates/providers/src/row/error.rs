use std::fmt;

/// What is wrong with a row: which field, what it holds, and why that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The row's id, as far as it is known.
    pub row: String,
    /// The field; empty if it is the row as a whole.
    pub field: String,
    /// What it holds, shortened to 100 characters; empty if it is missing.
    pub value: String,
    /// A sentence for whoever wrote the row.
    pub why: String,
}

impl RowError {
    /// For a field of a row whose id is added later.
    pub fn new(field: &str, value: &str, why: impl Into<String>) -> Self {
        Self {
            row: String::new(),
            field: field.to_owned(),
            value: value.chars().take(100).collect(),
            why: why.into(),
        }
    }

    /// The same, of the row with this id.
    #[must_use]
    pub fn of(mut self, row: &str) -> Self {
        self.row = row.chars().take(64).collect();
        self
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.row.is_empty() {
            write!(f, "provider {}: ", self.row)?;
        }
        if self.field.is_empty() {
            return f.write_str(&self.why);
        }
        write!(f, "field `{}`", self.field)?;
        if !self.value.is_empty() {
            write!(f, " holds {:?}", self.value)?;
        }
        write!(f, ": {}", self.why)
    }
}

impl std::error::Error for RowError {}
