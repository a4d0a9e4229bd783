//! What surrounds all routes.

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::StreamBody;
use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn whatever_is_not_there_is_told_in_json() {
    let server = Server::new().await;
    let org = server.org();
    for path in ["/nothing", "/api/v1/nothing", "/api/v2/app", "/api/v1", "/api/v1/app//x/y"] {
        let reply = org.raw("GET", path, "").await;
        assert_eq!(reply.error(), (404, "not_found".into()), "{path}");
    }
    let reply = org.delete("/app").await;
    assert_eq!(reply.error(), (405, "method_not_allowed".into()));
    let allow = reply.headers["allow"].to_str().expect("text");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn long_bodies_are_drained_and_refused() {
    let server = Server::with(|options| options.body_limit = 1_000).await;
    let org = server.org();
    let body = |bytes: usize| {
        let name = "x".repeat(bytes - r#"{"name":""}"#.len());
        json!({ "name": name }).to_string()
    };
    assert_eq!(org.raw("POST", "/api/v1/app", body(1_000)).await.status, 201);
    let reply = org.raw("POST", "/api/v1/app", body(1_001)).await;
    assert_eq!(reply.error(), (413, "payload_too_large".into()));
    assert_eq!(reply.json()["detail"], "Request payload is too large.");

    // In pieces, of a length that is not told: read to the end.
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let feeding = tokio::spawn(async move {
        for _ in 0..100 {
            sender.send(Bytes::from(vec![b' '; 500])).await.expect("is read to the end");
        }
    });
    let stream = futures_stream(receiver);
    let request = org.request("POST", "/api/v1/app").body(Body::new(StreamBody::new(stream)));
    let reply = server.send(request.expect("request")).await;
    assert_eq!(reply.error(), (413, "payload_too_large".into()));
    feeding.await.expect("all was taken");
}

fn futures_stream(
    mut receiver: tokio::sync::mpsc::Receiver<Bytes>,
) -> impl futures_util::Stream<Item = Result<http_body::Frame<Bytes>, std::io::Error>> {
    futures_util::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|data| data.map(|data| Ok(http_body::Frame::data(data))))
    })
}

#[tokio::test(start_paused = true)]
async fn bodies_that_never_end_are_given_up() {
    let server = Server::in_memory().await;
    let org = server.org();
    let (_sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let stream = futures_stream(receiver);
    let request = org.request("POST", "/api/v1/app").body(Body::new(StreamBody::new(stream)));
    let reply = server.send(request.expect("request")).await;
    assert_eq!(reply.error(), (408, "request_timeout".into()));
    assert_eq!(reply.headers["connection"], "close");
}

#[tokio::test]
async fn bodies_in_pieces_are_put_together() {
    let server = Server::new().await;
    let org = server.org();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        for piece in [r#"{"na"#, r#"me":"#, r#""Acme"}"#] {
            sender.send(Bytes::from(piece)).await.expect("is read");
        }
    });
    let stream = futures_stream(receiver);
    let request = org.request("POST", "/api/v1/app/").body(Body::new(StreamBody::new(stream)));
    assert_eq!(server.send(request.expect("request")).await.ok(201)["name"], "Acme");
}

#[tokio::test]
async fn browsers_of_any_origin_may_call() {
    let server = Server::new().await;
    let preflight = Request::builder()
        .method("OPTIONS")
        .uri("/api/v1/app/x/msg")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,x-own")
        .body(Body::empty())
        .expect("request");
    let reply = server.send(preflight).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["access-control-allow-origin"], "*");
    assert_eq!(reply.headers["access-control-allow-methods"], "PATCH");
    assert_eq!(reply.headers["access-control-allow-headers"], "authorization,x-own");
    assert_eq!(reply.headers["access-control-max-age"], "600");
    let request = server.stranger().request("GET", "/api/v1/app");
    let request = request.header("origin", "https://app.example.com").body(Body::empty());
    let reply = server.send(request.expect("request")).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["access-control-allow-origin"]),
        (401, &"*".parse().expect("value"))
    );
}

#[tokio::test]
async fn the_description_is_served() {
    let server = Server::new().await;
    let nobody = server.stranger();
    let docs = nobody.raw("GET", "/docs/", "").await;
    let page = String::from_utf8(docs.body.to_vec()).expect("text");
    assert!(page.contains("/api/v1/app/{app_id}/msg") && page.contains("MessageIn"));
    for outside in ["src=", "http://", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(nobody.raw("GET", "/api/v1/openapi.json", "").await.json()["openapi"], "3.1.0");
}
