//! Tables as text (RFC 4180), for programs that show them.

/// A table that is being written.
pub struct Csv(String);

impl Csv {
    /// With its line of names.
    pub fn new(names: &str) -> Self {
        Self(format!("{names}\r\n"))
    }

    /// Adds a line.
    pub fn line(&mut self, fields: impl IntoIterator<Item = String>) {
        for (at, field) in fields.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.0.push_str(&quoted(&field));
        }
        self.0.push_str("\r\n");
    }

    /// What was written since the last time.
    pub fn text(&mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

/// A field, in quotes where it needs them. One that a spreadsheet would take for a formula begins with an
/// apostrophe, so that it is shown and not computed.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    if !field.contains([',', '"', '\r', '\n']) {
        return field;
    }
    format!("\"{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_what_they_are() {
        let mut table = Csv::new("a,b");
        table.line(["x".to_owned(), "y, \"z\"\n".to_owned()]);
        table.line(["=1+1".to_owned(), String::new()]);
        assert_eq!(table.text(), "a,b\r\nx,\"y, \"\"z\"\"\n\"\r\n'=1+1,\r\n");
        assert_eq!(table.text(), "");
    }
}
