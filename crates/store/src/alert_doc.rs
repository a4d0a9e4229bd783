//! What stores keep of an alert rule beside what is sealed of it: the same text in each of them.

use std::time::Duration;

use domain::{
    alert::{Condition, Rule},
    clock::Timestamp,
    id::{AlertRuleId, OrganizationId},
};
use serde::{Deserialize, Serialize};

use crate::{Result, StoreError, sealed, vault::Vault};

#[derive(Serialize, Deserialize)]
struct Doc {
    name: String,
    enabled: bool,
    condition: Condition,
    hold: Duration,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A rule without its channels, as JSON.
pub fn rule_doc(rule: &Rule) -> String {
    let Rule { name, enabled, condition, hold, created_at, updated_at, .. } = rule.clone();
    let doc = Doc { name, enabled, condition, hold, created_at, updated_at };
    serde_json::to_string(&doc).expect("only lists, text and numbers are written so")
}

/// A rule, from what [`rule_doc`] and [`sealed::seal_channels`] made of it.
pub fn read_rule(
    vault: &Vault,
    org: OrganizationId,
    id: AlertRuleId,
    doc: &str,
    channels: &[u8],
) -> Result<Rule> {
    let doc: Doc = serde_json::from_str(doc).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let Doc { name, enabled, condition, hold, created_at, updated_at } = doc;
    let channels = sealed::open_channels(vault, org, id, channels)?;
    Ok(Rule { org, id, name, enabled, condition, hold, channels, created_at, updated_at })
}
