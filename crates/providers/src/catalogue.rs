//! The providers that Hookwright knows.

use std::sync::LazyLock;

use crate::{Provider, row::Row};

/// Written by the build script, which has checked every row.
const ROWS: &str = include_str!(concat!(env!("OUT_DIR"), "/catalogue.json"));

static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let rows: Vec<Row> = serde_json::from_str(ROWS).expect("the build script wrote these rows");
    rows.into_iter()
        .map(|row| Provider::from_row(row).expect("the build script has checked this row"))
        .collect()
});

/// All of them, by id.
pub fn all() -> &'static [Provider] {
    &PROVIDERS
}

/// The one with this id or alias.
pub fn find(id: &str) -> Option<&'static Provider> {
    all().iter().find(|p| p.row().id == id || p.row().aliases.iter().any(|a| a == id))
}
