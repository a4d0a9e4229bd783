//! The API as a whole: what it offers is what it promises.

use std::collections::BTreeSet;

use serde_json::Value;

/// The operations of the open Svix server, by their paths below `/api/v1`.
const SVIX: [(&str, &str); 43] = [
    ("GET", "/app"),
    ("POST", "/app"),
    ("GET", "/app/{app_id}"),
    ("PUT", "/app/{app_id}"),
    ("PATCH", "/app/{app_id}"),
    ("DELETE", "/app/{app_id}"),
    ("GET", "/app/{app_id}/attempt/endpoint/{endpoint_id}"),
    ("GET", "/app/{app_id}/attempt/msg/{msg_id}"),
    ("GET", "/app/{app_id}/endpoint"),
    ("POST", "/app/{app_id}/endpoint"),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}"),
    ("PUT", "/app/{app_id}/endpoint/{endpoint_id}"),
    ("PATCH", "/app/{app_id}/endpoint/{endpoint_id}"),
    ("DELETE", "/app/{app_id}/endpoint/{endpoint_id}"),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/headers"),
    ("PUT", "/app/{app_id}/endpoint/{endpoint_id}/headers"),
    ("PATCH", "/app/{app_id}/endpoint/{endpoint_id}/headers"),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/msg"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/recover"),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/secret"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/send-example"),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/stats"),
    ("GET", "/app/{app_id}/msg"),
    ("POST", "/app/{app_id}/msg"),
    ("GET", "/app/{app_id}/msg/{msg_id}"),
    ("DELETE", "/app/{app_id}/msg/{msg_id}/content"),
    ("GET", "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}"),
    ("DELETE", "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content"),
    ("GET", "/app/{app_id}/msg/{msg_id}/endpoint"),
    ("POST", "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend"),
    ("POST", "/auth/app-portal-access/{app_id}"),
    ("POST", "/auth/logout"),
    ("GET", "/event-type"),
    ("POST", "/event-type"),
    ("GET", "/event-type/{event_type_name}"),
    ("PUT", "/event-type/{event_type_name}"),
    ("PATCH", "/event-type/{event_type_name}"),
    ("DELETE", "/event-type/{event_type_name}"),
    ("GET", "/health"),
    ("HEAD", "/health"),
    ("GET", "/health/ping"),
    ("HEAD", "/health/ping"),
];

/// The operations of Svix's hosted service for sources.
const INGEST: [(&str, &str); 20] = [
    ("GET", "/source"),
    ("POST", "/source"),
    ("GET", "/source/{source_id}"),
    ("PUT", "/source/{source_id}"),
    ("PATCH", "/source/{source_id}"),
    ("DELETE", "/source/{source_id}"),
    ("POST", "/source/{source_id}/token/rotate"),
    ("POST", "/source/{source_id}/dashboard"),
    ("GET", "/source/{source_id}/endpoint"),
    ("POST", "/source/{source_id}/endpoint"),
    ("GET", "/source/{source_id}/endpoint/{endpoint_id}"),
    ("PUT", "/source/{source_id}/endpoint/{endpoint_id}"),
    ("DELETE", "/source/{source_id}/endpoint/{endpoint_id}"),
    ("GET", "/source/{source_id}/endpoint/{endpoint_id}/secret"),
    ("POST", "/source/{source_id}/endpoint/{endpoint_id}/secret/rotate"),
    ("GET", "/source/{source_id}/endpoint/{endpoint_id}/headers"),
    ("PUT", "/source/{source_id}/endpoint/{endpoint_id}/headers"),
    ("GET", "/source/{source_id}/endpoint/{endpoint_id}/transformation"),
    ("PATCH", "/source/{source_id}/endpoint/{endpoint_id}/transformation"),
    ("GET", "/source/{source_id}/log"),
];

/// The operations of Svix's hosted service for statistics.
const STATISTICS: [(&str, &str); 2] =
    [("POST", "/stats/usage/app"), ("PUT", "/stats/usage/event-types")];

/// What we offer beyond it, for sources.
const OUR_INGEST: [(&str, &str); 1] = [("POST", "/source/{source_id}/log/{log_id}/replay")];

/// What we offer beyond it.
const OURS: [(&str, &str); 47] = [
    ("GET", "/alert"),
    ("GET", "/alert/{alert_id}"),
    ("GET", "/alert/rule"),
    ("POST", "/alert/rule"),
    ("GET", "/alert/rule/{rule_id}"),
    ("PUT", "/alert/rule/{rule_id}"),
    ("DELETE", "/alert/rule/{rule_id}"),
    ("POST", "/alert/rule/{rule_id}/test"),
    ("GET", "/analytics/backlog"),
    ("GET", "/analytics/failing-endpoints"),
    ("GET", "/analytics/query"),
    ("GET", "/analytics/usage"),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/listen"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/listen/{delivery_id}"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/bulk-replay"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/bulk-replay/preview"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/recover/preview"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/replay-missing"),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/replay-missing/preview"),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/state"),
    ("GET", "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/headers"),
    ("POST", "/app/{app_id}/msg/batch"),
    ("POST", "/app/{app_id}/msg/precheck/active"),
    ("GET", "/app/{app_id}/msg/search"),
    ("POST", "/auth/app/{app_id}/expire-all"),
    ("GET", "/audit-log"),
    ("GET", "/audit-log/export"),
    ("POST", "/auth/dashboard-access/{app_id}"),
    ("GET", "/auth/token"),
    ("POST", "/auth/token"),
    ("DELETE", "/auth/token/{token_id}"),
    ("GET", "/background-task"),
    ("GET", "/background-task/{task_id}"),
    ("POST", "/background-task/{task_id}/cancel"),
    ("POST", "/background-task/{task_id}/pause"),
    ("POST", "/background-task/{task_id}/resume"),
    ("GET", "/environment/settings"),
    ("PATCH", "/environment/settings"),
    ("POST", "/event-type/{event_type_name}/validate"),
    ("GET", "/health/ready"),
    ("HEAD", "/health/ready"),
    ("GET", "/live"),
    ("GET", "/operate/nodes"),
    ("GET", "/operate/store"),
    ("GET", "/provider"),
    ("GET", "/provider/{provider_id}"),
    ("POST", "/provider/{provider_id}/verify"),
];

/// All operations of the description: method, path, operation.
pub fn operations() -> Vec<(String, String, Value)> {
    let api: Value = serde_json::from_str(&hookwright_api::openapi_json()).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in api["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("item") {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

#[test]
fn offers_what_it_promises() {
    let offered: BTreeSet<_> =
        operations().into_iter().map(|(method, path, _)| (method, path)).collect();
    let promised: BTreeSet<_> = SVIX
        .iter()
        .chain(&STATISTICS)
        .chain(&OURS)
        .map(|(method, path)| ((*method).to_owned(), format!("/api/v1{path}")))
        .chain(
            INGEST
                .iter()
                .chain(&OUR_INGEST)
                .map(|(method, path)| ((*method).to_owned(), format!("/ingest/api/v1{path}"))),
        )
        .collect();
    assert_eq!(offered, promised);
}

#[test]
fn every_operation_is_described() {
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert!(operation["description"].is_string(), "{method} {path}");
        for name in path.split(['{', '}']).skip(1).step_by(2) {
            let described = operation["parameters"].as_array().is_some_and(|list| {
                list.iter().any(|p| p["name"] == name && p["in"] == "path" && p["required"] == true)
            });
            assert!(described, "{name} of {method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let text = hookwright_api::openapi_json();
    let api: Value = serde_json::from_str(&text).expect("JSON");
    for reference in text.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().expect("ends");
        assert!(api.pointer(pointer).is_some(), "{pointer}");
    }
    for name in ["MessageIn", "MessageOut", "EndpointIn", "EndpointOut", "ListResponseMessageOut"] {
        assert!(api["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

#[test]
fn the_committed_description_is_this_one() {
    let committed = include_str!("../../../../openapi.json");
    assert!(
        committed == hookwright_api::openapi_json(),
        "openapi.json is old: cargo run -p hookwright-api --example openapi > openapi.json"
    );
}
