//! The dashboard and the Prometheus rules of the docs name metrics that exist.

use std::{collections::BTreeSet, fs, path::Path};

/// Metrics that a text names; a histogram by its buckets.
fn named(text: &str) -> BTreeSet<String> {
    let of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let starts = text.match_indices("hookwright_").map(|(at, _)| &text[at..]);
    let names = starts.map(|rest| rest.chars().take_while(|c| of_name(*c)).collect::<String>());
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

/// Metrics that the code of our crates makes: string literals of the name alone.
fn made(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            made(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let literals = text.split('"');
            found.extend(literals.filter(|l| l.starts_with("hookwright_")).map(str::to_owned));
        }
    }
}

#[test]
fn what_is_watched_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut exists = BTreeSet::new();
    for entry in fs::read_dir(root.join("crates")).expect("crates").flatten() {
        let src = entry.path().join("src");
        if src.is_dir() {
            made(&src, &mut exists);
        }
    }
    assert!(exists.contains("hookwright_pending_deliveries"), "{exists:?}");
    for file in ["docs/grafana/dashboard.json", "docs/prometheus/alerts.yml"] {
        let text = fs::read_to_string(root.join(file)).expect("a file");
        let named = named(&text);
        assert!(named.len() > 8, "{file} names metrics");
        let unknown: Vec<_> = named.difference(&exists).collect();
        assert!(unknown.is_empty(), "{file} names what does not exist: {unknown:?}");
    }
    let dashboard = fs::read_to_string(root.join("docs/grafana/dashboard.json")).expect("a file");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.iter().all(|panel| panel["targets"][0]["expr"].is_string()));
}

#[test]
fn a_metric_that_does_not_exist_is_found() {
    let text = "sum(rate(hookwright_no_such_total[5m])) / hookwright_lanes{a=\"b\"}";
    let want = ["hookwright_lanes", "hookwright_no_such_total"].map(str::to_owned);
    assert_eq!(named(text), BTreeSet::from(want));
}
