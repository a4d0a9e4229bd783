//! What a server shows of its past.
use crate::api::Api;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Entries of a page.
const PAGE: usize = 250;

/// Differences that are printed.
const PRINTED: usize = 10;

/// Everything that a server has kept of the time before a moment, by what it is and its id:
/// applications, endpoints and their secrets, messages with their payloads, deliveries, attempts.
pub struct History(BTreeMap<String, Value>);

impl History {
    /// Reads it all. Applications and endpoints are shown as they are now.
    pub fn read(api: &Api, before: Timestamp) -> Result<Self> {
        let mut history = Self(BTreeMap::new());
        let apps = pages(api, "/api/v1/app?")?;
        for app in &apps {
            let app = format!("/api/v1/app/{}", id(app)?);
            history.add_all(&app, pages(api, &format!("{app}/msg?before={before}&"))?)?;
            let endpoints = pages(api, &format!("{app}/endpoint?"))?;
            for endpoint in &endpoints {
                let id = id(endpoint)?;
                let path = format!("{app}/endpoint/{id}");
                history.0.insert(format!("{path} secret"), get(api, &format!("{path}/secret"))?);
                let mut deliveries = pages(api, &format!("{path}/msg?before={before}&"))?;
                for delivery in deliveries.iter_mut().filter_map(Value::as_object_mut) {
                    // What was pending then is done by now, or is not.
                    delivery.retain(|key, _| {
                        !["status", "statusText", "nextAttempt"].contains(&&**key)
                    });
                }
                history.add_all(&path, deliveries)?;
                let attempts =
                    format!("{app}/attempt/endpoint/{id}?before={before}&with_msg=false&");
                history.add_all(&format!("{path} attempt"), pages(api, &attempts)?)?;
            }
            history.add_all(&app, endpoints)?;
        }
        history.add_all("", apps)?;
        Ok(history)
    }

    fn add_all(&mut self, of: &str, things: Vec<Value>) -> Result<()> {
        for thing in things {
            self.0.insert(format!("{of} {}", id(&thing)?), thing);
        }
        Ok(())
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many entries are not the same in the other one; prints the first of them.
    pub fn differences(&self, other: &Self) -> usize {
        let keys = self.0.keys().chain(other.0.keys().filter(|key| !self.0.contains_key(*key)));
        let different: Vec<_> = keys.filter(|key| self.0.get(*key) != other.0.get(*key)).collect();
        for key in different.iter().take(PRINTED) {
            let shown = |of: &Self| of.0.get(*key).map_or("nothing".to_owned(), Value::to_string);
            println!("  {key}: {} became {}", shown(self), shown(other));
        }
        different.len()
    }
}

/// All entries of a list; `path` ends in `?` or `&`.
fn pages(api: &Api, path: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut iterator = String::new();
    loop {
        let mut page = get(api, &format!("{path}limit={PAGE}{iterator}"))?;
        let Value::Array(entries) = page["data"].take() else { anyhow::bail!("{path}: no list") };
        all.extend(entries);
        if page["done"] == true {
            return Ok(all);
        }
        let next = page["iterator"].as_str().with_context(|| format!("{path}: no iterator"))?;
        iterator = format!("&iterator={next}");
    }
}

fn id(thing: &Value) -> Result<&str> {
    thing["id"].as_str().with_context(|| format!("no id: {thing}"))
}

fn get(api: &Api, path: &str) -> Result<Value> {
    let (status, answer) = api.call("GET", path, None)?;
    ensure!(status == 200, "{path}: {status} {answer}");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_or_new_or_another_is_different() {
        let history = |entries: &[(&str, u32)]| {
            let entry = |(key, value): &(&str, u32)| ((*key).to_owned(), (*value).into());
            History(entries.iter().map(entry).collect())
        };
        let one = history(&[("a", 1), ("b", 2), ("c", 3)]);
        assert_eq!(one.differences(&one), 0);
        assert_eq!(one.differences(&history(&[("a", 1), ("b", 7), ("d", 4)])), 3);
    }
}
