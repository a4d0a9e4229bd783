use serde_json::json;

use crate::support::{Server, column};

#[tokio::test]
async fn recoveries_are_listed() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let mut endpoint = String::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        endpoint = org.endpoint(&app).await;
        server.clock.advance(std::time::Duration::from_secs(1));
        let path = format!("/app/{app}/endpoint/{endpoint}/recover");
        let task = org.post(&path, json!({"since": "2026-09-20T00:00:00Z"})).await.ok(202);
        ids.insert(0, task["id"].as_str().expect("id").to_owned());
    }
    // What the store does for itself is not shown.
    org.delete(&format!("/app/{app}/endpoint/{endpoint}")).await.ok(204);
    for (query, want) in [
        ("", &ids[..]),
        ("?limit=2", &ids[..2]),
        ("?status=running&task=endpoint.recover", &ids[..]),
        ("?status=finished", &[]),
        ("?task=endpoint.replay", &[]),
        ("?task=application.stats", &[]),
        ("?task=sdk.generate", &[]),
    ] {
        let page = org.get(&format!("/background-task{query}")).await.ok(200);
        assert_eq!(column(&page, "id"), want, "{query}");
    }
    for query in ["status=x", "task=x"] {
        let reply = org.get(&format!("/background-task?{query}")).await;
        assert_eq!(reply.error(), (400, "generic_error".into()));
    }
    assert_eq!(org.get("/background-task/x").await.error(), (422, "path.task_id".into()));
    assert_eq!(server.org().get(&format!("/background-task/{}", ids[0])).await.status, 404);
}
