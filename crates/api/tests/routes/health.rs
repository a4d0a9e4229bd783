use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::support::Server;

#[tokio::test]
async fn answers_while_the_store_does() {
    let server = Server::in_memory().await;
    let nobody = server.stranger();
    for path in ["/health", "/health/", "/health/ping", "/health/ping/", "/health/ready"] {
        for method in ["GET", "HEAD"] {
            let reply = nobody.raw(method, &format!("/api/v1{path}"), "").await;
            assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0), "{method} {path}");
        }
    }
    server.memory().set_unavailable(true);
    let reply = nobody.get("/health").await;
    assert_eq!(reply.error(), (503, "unavailable".into()));
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(nobody.get("/health/ready").await.status, 503);
    assert_eq!(nobody.get("/health/ping").await.status, 204);
}

#[tokio::test]
async fn a_node_that_may_not_take_requests_is_not_ready() {
    let may = Arc::new(AtomicBool::new(false));
    let asked = may.clone();
    let server = Server::in_memory_with(|options| {
        options.ready = Arc::new(move || asked.load(Ordering::Relaxed));
    })
    .await;
    let nobody = server.stranger();
    let reply = nobody.get("/health/ready").await;
    assert_eq!(reply.error(), (503, "unavailable".into()));
    assert_eq!(reply.headers["retry-after"], "1");
    // It works all the same.
    nobody.get("/health").await.ok(204);
    may.store(true, Ordering::Relaxed);
    nobody.get("/health/ready").await.ok(204);
    server.memory().set_unavailable(true);
    assert_eq!(nobody.get("/health/ready").await.status, 503);
}
