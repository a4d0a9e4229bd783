//! Reads the catalogue with the types that the crate itself uses, refuses a row that is wrong, and
//! leaves all rows as one JSON text for the crate to embed.

#[allow(dead_code, unused_imports)]
#[path = "src/row/mod.rs"]
mod row;

use std::{collections::BTreeMap, error::Error, fs, path::Path};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<toml::Value>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=catalogue");
    println!("cargo::rerun-if-changed=src/row");
    let mut files: Vec<_> =
        fs::read_dir("catalogue")?.map(|f| f.map(|f| f.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut rows: BTreeMap<String, row::Row> = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for path in files {
        let file: File = toml::from_str(&fs::read_to_string(&path)?)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        for value in file.provider {
            let row = read(value).map_err(|e| format!("{}: {e}", path.display()))?;
            for id in std::iter::once(&row.id).chain(&row.aliases) {
                if let Some(other) = ids.insert(id.clone(), row.id.clone()) {
                    let why = format!("provider {other} has the id {id} already");
                    return Err(format!("{}: {why}", path.display()).into());
                }
            }
            rows.insert(row.id.clone(), row);
        }
    }
    let rows: Vec<_> = rows.into_values().collect();
    // Cargo sets OUT_DIR for build scripts; there is no other way to learn it.
    #[allow(clippy::disallowed_methods)]
    let out = std::env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("catalogue.json"), serde_json::to_string(&rows)?)?;
    Ok(())
}

fn read(value: toml::Value) -> Result<row::Row, String> {
    let id = value.get("id").and_then(|id| id.as_str()).unwrap_or("without an id").to_owned();
    let row: row::Row = serde_path_to_error::deserialize(value)
        .map_err(|e| format!("provider {id}: field `{}`: {}", e.path(), e.inner().message()))?;
    row.check_catalogue().map_err(|e| e.to_string())?;
    let (with_defaults, _) = row.with_settings(&BTreeMap::new()).map_err(|e| e.to_string())?;
    with_defaults.parse().map_err(|e| e.to_string())?;
    Ok(row)
}
