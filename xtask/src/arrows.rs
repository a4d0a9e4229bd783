//! Which of our crates may depend on which. Where the code grows a new arrow, this table and
//! ARCHITECTURE.md are where it is argued for.
use crate::shell;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;

/// What one crate may depend on.
struct Allowed {
    package: &'static str,
    normal: &'static [&'static str],
    /// In its tests, examples and benches, beside the normal ones.
    dev: &'static [&'static str],
}

const DOMAIN: &str = "hookwright-domain";
const STORE: &str = "hookwright-store";
const STORE_MEMORY: &str = "hookwright-store-memory";
const STORE_POSTGRES: &str = "hookwright-store-postgres";
const STORE_EMBEDDED: &str = "hookwright-store-embedded";
const PROVIDERS: &str = "hookwright-providers";
const PUBLISH: &str = "hookwright-publish";
const DESTINATIONS: &str = "hookwright-destinations";
const DISPATCH: &str = "hookwright-dispatch";
const GATEWAY: &str = "hookwright-gateway";
const ALERTS: &str = "hookwright-alerts";
const API: &str = "hookwright-api";
const CONSOLE: &str = "hookwright-console";
const POSTGRES_CLUSTER: &str = "hookwright-postgres-cluster";
const SERVER: &str = "hookwright";
const BENCH: &str = "hookwright-bench";
const XTASK: &str = "xtask";

const ALLOWED: &[Allowed] = &[
    Allowed { package: DOMAIN, normal: &[], dev: &[] },
    Allowed { package: STORE, normal: &[DOMAIN], dev: &[] },
    Allowed { package: STORE_MEMORY, normal: &[STORE, DOMAIN], dev: &[] },
    Allowed { package: STORE_EMBEDDED, normal: &[STORE, DOMAIN], dev: &[] },
    Allowed {
        package: STORE_POSTGRES,
        normal: &[STORE, DOMAIN],
        dev: &[STORE_EMBEDDED, POSTGRES_CLUSTER],
    },
    Allowed { package: DESTINATIONS, normal: &[DOMAIN], dev: &[] },
    Allowed { package: PROVIDERS, normal: &[DOMAIN], dev: &[] },
    Allowed { package: PUBLISH, normal: &[STORE, DOMAIN], dev: &[STORE_MEMORY] },
    Allowed { package: DISPATCH, normal: &[PUBLISH, STORE, DOMAIN], dev: &[STORE_MEMORY] },
    Allowed {
        package: GATEWAY,
        normal: &[PUBLISH, PROVIDERS, STORE, DOMAIN],
        dev: &[STORE_MEMORY],
    },
    Allowed { package: ALERTS, normal: &[PUBLISH, STORE, DOMAIN], dev: &[STORE_MEMORY] },
    Allowed {
        package: API,
        normal: &[PUBLISH, PROVIDERS, STORE, DOMAIN],
        dev: &[STORE_MEMORY, STORE_POSTGRES, POSTGRES_CLUSTER],
    },
    Allowed { package: CONSOLE, normal: &[], dev: &[] },
    Allowed {
        package: SERVER,
        normal: &[
            API,
            CONSOLE,
            ALERTS,
            GATEWAY,
            PROVIDERS,
            DISPATCH,
            PUBLISH,
            PROVIDERS,
            DESTINATIONS,
            STORE_EMBEDDED,
            STORE_POSTGRES,
            STORE,
            DOMAIN,
        ],
        dev: &[STORE_MEMORY, POSTGRES_CLUSTER],
    },
    Allowed { package: POSTGRES_CLUSTER, normal: &[], dev: &[] },
    Allowed { package: BENCH, normal: &[], dev: &[] },
    Allowed { package: XTASK, normal: &[POSTGRES_CLUSTER], dev: &[] },
];

/// Checks the workspace.
pub fn run() -> Result<()> {
    let wrong = wrong_arrows(&metadata()?)?;
    ensure!(wrong.is_empty(), "arrows that the design does not allow:\n  {}", wrong.join("\n  "));
    println!("arrows: {} crates keep to the table", ALLOWED.len());
    Ok(())
}

fn metadata() -> Result<Value> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    Ok(serde_json::from_str(&shell::output(&mut shell::cargo(&arguments))?)?)
}

fn wrong_arrows(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let name_of = |v: &Value| v["name"].as_str().map(str::to_owned).context("a thing unnamed");
    let ours = packages.iter().map(name_of).collect::<Result<BTreeSet<_>>>()?;
    let mut wrong = Vec::new();
    for package in packages {
        let name = name_of(package)?;
        let Some(allowed) = ALLOWED.iter().find(|a| a.package == name) else {
            wrong.push(format!("{name} is not in the table of xtask/src/arrows.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            let to = name_of(dependency)?;
            let dev = dependency["kind"] == "dev" && allowed.dev.contains(&to.as_str());
            if ours.contains(&to) && !dev && !allowed.normal.contains(&to.as_str()) {
                let kind = dependency["kind"].as_str().unwrap_or("normal");
                wrong.push(format!("{name} → {to} ({kind})"));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_workspace_keeps_to_the_arrows() {
        assert_eq!(wrong_arrows(&metadata().expect("metadata")).expect("read"), [""; 0]);
    }

    #[test]
    fn a_wrong_arrow_is_found() {
        let on = |name: &str, kind: Value| json!({ "name": name, "kind": kind });
        let package = |name: &str, deps: &[Value]| json!({ "name": name, "dependencies": deps });
        let metadata = json!({ "packages": [
            package(DOMAIN, &[on(STORE, Value::Null)]),
            package(API, &[on(STORE, Value::Null), on(STORE_MEMORY, json!("dev"))]),
            package(STORE, &[on("serde", Value::Null), on(STORE_MEMORY, json!("dev"))]),
            package(STORE_MEMORY, &[]),
            package("hookwright-new", &[]),
        ]});
        assert_eq!(
            wrong_arrows(&metadata).expect("read"),
            [
                "hookwright-domain → hookwright-store (normal)",
                "hookwright-store → hookwright-store-memory (dev)",
                "hookwright-new is not in the table of xtask/src/arrows.rs",
            ]
        );
    }
}
