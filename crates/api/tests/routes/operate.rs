//! Nodes, the store, and how an endpoint's work stands.

use std::{sync::Arc, time::Duration};

use domain::{
    breaker::BreakerState,
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
};
use hookwright_api::{LaneState, NodeFacts, NodeState, StoreFacts};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::{START, Server};

/// A node that says what it is told to.
#[derive(Default)]
struct Told {
    lane: Mutex<Option<LaneState>>,
}

impl NodeState for Told {
    fn facts(&self) -> NodeFacts {
        NodeFacts { name: "one".into(), started_at: START, shards: 1_024, leaving: false }
    }

    fn lane(&self, _: OrganizationId, _: ApplicationId, _: EndpointId) -> Option<LaneState> {
        *self.lane.lock()
    }
}

#[tokio::test]
async fn a_node_alone_tells_of_itself() {
    let server = Server::in_memory_with(|options| options.node = Arc::new(Told::default())).await;
    let nodes = server.org().get("/operate/nodes").await.ok(200);
    assert_eq!(
        nodes,
        json!({
            "data": [{
                "id": "local",
                "name": "one",
                "version": env!("CARGO_PKG_VERSION"),
                "startedAt": "2026-09-21T14:13:20Z",
                "silentForMs": 0,
                "leaving": false,
                "shards": 1_024,
                "epoch": 0,
                "overdueLanes": null,
                "oldestOverdue": null,
            }],
            "self": "local",
        })
    );
}

#[tokio::test]
async fn nodes_that_share_a_store_are_listed() {
    let (a, b) = Server::two().await;
    for node in [&a, &b] {
        node.store.heartbeat(false).await.expect("a heartbeat");
    }
    let nodes = b.org().get("/operate/nodes").await.ok(200);
    assert_eq!(nodes["data"].as_array().map(Vec::len), Some(2));
    let own =
        nodes["data"].as_array().expect("data").iter().find(|node| node["id"] == nodes["self"]);
    assert_eq!(own.expect("among them")["name"], "b");
    assert_eq!(nodes["data"][0]["overdueLanes"], 0);
}

#[tokio::test]
async fn the_store_tells_how_it_fares() {
    let day = Duration::from_secs(86_400);
    let facts = StoreFacts { kind: "postgres", history: 30 * day, payload: 7 * day };
    let server = Server::with(|options| options.store_facts = facts).await;
    let org = server.org();
    let app = org.app().await;
    org.endpoint(&app).await;
    org.message(&app).await;
    // As a whole: any organization sees the same.
    let store = server.org().get("/operate/store").await.ok(200);
    assert_eq!((&store["kind"], &store["pending"]), (&json!("postgres"), &json!(1)));
    assert_eq!(store["retention"], json!({"historySecs": 2_592_000, "payloadSecs": 604_800}));
    assert_eq!(store["oldestDue"], "2026-09-21T14:13:20Z");
    for field in ["bytes", "walBytes", "unscheduled", "queued"] {
        assert!(store[field].is_u64(), "{field}: {store}");
    }
    assert_eq!(store["full"], false);
}

#[tokio::test]
async fn an_endpoint_s_work_is_told_where_it_is_done() {
    let told = Arc::new(Told::default());
    let node = told.clone();
    let server = Server::with(|options| options.node = node).await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint/{}/state", org.endpoint(&app).await);
    let elsewhere = org.get(&path).await.ok(200);
    assert_eq!((&elsewhere["here"], &elsewhere["breaker"]), (&json!(false), &json!(null)));
    assert!(elsewhere.as_object().expect("fields").contains_key("throttled"));
    let lane = |breaker, held_until| LaneState {
        breaker,
        held_until,
        window: 8,
        in_flight: 3,
        queued: 2,
        cold: true,
        throttled: false,
    };
    let held: Timestamp = START.plus(Duration::from_secs(4));
    for (breaker, held, shown) in [
        (BreakerState::Closed, None, "closed"),
        (BreakerState::Open, Some(held), "open"),
        (BreakerState::HalfOpen, None, "half_open"),
    ] {
        *told.lane.lock() = Some(lane(breaker, held));
        let state = org.get(&path).await.ok(200);
        assert_eq!(
            state,
            json!({
                "here": true, "breaker": shown, "heldUntil": held.map(|at| at.to_string()),
                "window": 8, "inFlight": 3, "queued": 2, "cold": true, "throttled": false,
            })
        );
    }
    assert_eq!(org.get(&format!("/app/{app}/endpoint/none/state")).await.status, 404);
}
