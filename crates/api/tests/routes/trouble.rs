//! While the store does not answer, every route says so, and that it is worth coming again.

use axum::response::IntoResponse;
use hookwright_api::ApiError;
use publish::{PublishError, Rejected};
use serde_json::Value;
use store::StoreError;

use crate::{
    contract::operations,
    isolation::{World, body},
    support::{Client, Reply, Server, whole},
};

async fn call(client: &Client<'_>, method: &str, path: &str, body: &Value, key: &str) -> Reply {
    let request = client.request(method, &whole(path));
    let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client.server.send(request.body(body.into()).expect("a request")).await
}

/// Over a store that is shared nothing is answered from memory either: it may be old.
#[tokio::test]
async fn every_route_of_a_node_asks_to_come_again() {
    let (server, _) = Server::two().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    let portal = org.portal(&world.app, serde_json::json!({})).await;
    for (method, template, _) in operations() {
        // What is built in, and what goes on right now, is known without a store.
        let known = ["/api/v1/health/ping", "/api/v1/live"].contains(&template.as_str());
        if known || template.starts_with("/api/v1/provider") {
            continue;
        }
        let path = world.path(&template);
        let body = body(&method, &template);
        for (client, key) in [(&org, ""), (&org, "key"), (&portal, "key")] {
            server.memory().set_unavailable(true);
            let reply = call(client, &method, &path, &body, key).await;
            server.memory().set_unavailable(false);
            if reply.status == 403 {
                continue;
            }
            assert_eq!(reply.status, 503, "{method} {path}");
            assert_eq!(reply.headers["retry-after"], "1", "{method} {path}");
        }
    }
}

#[test]
fn what_ends_by_itself_is_worth_coming_again() {
    let away = StoreError::Unavailable("it is restarted".into());
    for error in [away, StoreError::Unknown, StoreError::Overloaded] {
        let errors = [
            ApiError::from(error.clone()),
            PublishError::Store(error.clone()).into(),
            Rejected::Store(error).into(),
        ];
        for error in errors {
            let response = error.into_response();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "1");
        }
    }
}
