//! Whether every dependency may be shipped: the allow list of `deny.toml`, which `cargo deny`
//! reads too, against each package's licence expression.
use crate::shell;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spdx::{Expression, ParseMode};

/// Checks all packages that any platform or feature of ours can pull in.
pub fn run() -> Result<()> {
    let allow = allow_list(&std::fs::read_to_string(shell::root().join("deny.toml"))?)?;
    let arguments = ["metadata", "--format-version", "1", "--all-features", "--locked"];
    let metadata: Value = serde_json::from_str(&shell::output(&mut shell::cargo(&arguments))?)?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let faults: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let fault = fault(package["license"].as_str(), &allow)?;
            Some(format!("{} {}: {fault}", package["name"], package["version"]))
        })
        .collect();
    ensure!(
        faults.is_empty(),
        "licences that deny.toml does not allow:\n  {}",
        faults.join("\n  ")
    );
    println!("licences: {} packages are allowed by deny.toml", packages.len());
    Ok(())
}

fn allow_list(deny: &str) -> Result<Vec<String>> {
    let table: toml::Table = deny.parse().context("deny.toml")?;
    let allow = table.get("licenses").and_then(|l| l.get("allow")).and_then(|a| a.as_array());
    let allow = allow.context("deny.toml has no [licenses] allow")?;
    Ok(allow.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
}

/// What is wrong with a licence, if anything.
fn fault(licence: Option<&str>, allow: &[String]) -> Option<String> {
    let Some(licence) = licence else { return Some("states no licence".to_owned()) };
    match Expression::parse_mode(licence, ParseMode::LAX) {
        Err(e) => Some(format!("`{licence}` is no licence expression: {}", e.reason)),
        Ok(expression) => {
            let allowed = expression.evaluate(|term| allow.contains(&term.to_string()));
            (!allowed).then(|| format!("`{licence}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged_by_their_terms() {
        let allow = allow_list("[licenses]\nallow = ['MIT', 'Apache-2.0']").expect("a list");
        for (licence, fine) in [
            ("MIT", true),
            ("MIT OR GPL-3.0-only", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-3.0-only", false),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("whatever I like", false),
        ] {
            assert_eq!(fault(Some(licence), &allow).is_none(), fine, "{licence}");
        }
        assert!(fault(None, &allow).is_some());
    }
}
