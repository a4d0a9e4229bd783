//! What browsers get, whether the UI was built or a stub stands in for it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use axum::{body::Body, extract::Request, response::Response};
use hookwright_console::Console;
use http::StatusCode;
use http_body_util::BodyExt;

fn console() -> Console {
    let calls = AtomicU8::new(0);
    let random = move |bytes: &mut [u8]| bytes.fill(calls.fetch_add(1, Ordering::Relaxed));
    Console::new(&["https://shop.example.com".to_owned()], Arc::new(random))
}

fn ask(console: &Console, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    console.answer(&request.body(Body::empty()).expect("a request"))
}

fn get(path: &str) -> Response {
    ask(&console(), "GET", path, &[])
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

async fn body(response: Response) -> Vec<u8> {
    response.into_body().collect().await.expect("a body").to_bytes().to_vec()
}

/// A script of the page; none if the stub was built.
async fn script() -> Option<String> {
    let page = String::from_utf8(body(get("/console")).await).expect("text");
    let (_, script) = page.split_once("src=\"")?;
    script.split('"').next().map(str::to_owned)
}

#[test]
fn it_serves_its_own_paths_only() {
    for path in
        ["/", "/console", "/console/", "/console/app/x", "/portal", "/portal/x", "/assets/x"]
    {
        assert!(Console::serves(path), "{path}");
    }
    for path in ["/consoles", "/portals", "/docs", "/api/v1/app", "/in/token", "/assets"] {
        assert!(!Console::serves(path), "{path}");
    }
}

#[tokio::test]
async fn every_link_into_console_and_portal_is_the_page() {
    let page = body(get("/console")).await;
    assert!(page.starts_with(b"<!doctype html>"));
    for path in ["/console/app/app_1/msg/msg_1", "/console/", "/portal", "/portal/app/app_1"] {
        let response = get(path);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(body(response).await, page, "{path}");
    }
    let root = get("/");
    assert_eq!((root.status().as_u16(), header(&root, "location")), (307, "/console"));
}

#[tokio::test]
async fn a_page_has_a_strict_policy_with_a_nonce_of_its_own() {
    let console = console();
    let policy = |nonce: &str, ancestors: &str| {
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; \
             img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors {ancestors}"
        )
    };
    let first = ask(&console, "GET", "/console", &[]);
    let nonce = "00".repeat(16);
    assert_eq!(header(&first, "content-security-policy"), policy(&nonce, "'none'"));
    let second = ask(&console, "GET", "/portal", &[]);
    let ancestors = "'self' https://shop.example.com";
    assert_eq!(header(&second, "content-security-policy"), policy(&"01".repeat(16), ancestors));
    let html = String::from_utf8(body(second).await).expect("text");
    assert!(!html.contains("{{nonce}}") && !html.contains(&nonce));
    assert!(!html.contains("<style") && !html.contains("<script>") && !html.contains("http"));
}

#[test]
fn every_answer_has_the_common_headers() {
    for path in ["/", "/console", "/portal", "/assets/none.js"] {
        let response = get(path);
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin");
        assert!(header(&response, "permissions-policy").contains("camera=()"));
    }
}

#[tokio::test]
async fn files_are_kept_forever_and_told_by_their_etag() {
    let Some(script) = script().await else { return };
    let console = console();
    let plain = ask(&console, "GET", &script, &[]);
    assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&plain, "content-encoding"), "");
    let etag = header(&plain, "etag").to_owned();
    let same = format!("\"other\", W/{etag}");
    let again = ask(&console, "GET", &script, &[("if-none-match", &same)]);
    assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, &*etag));
    assert!(body(again).await.is_empty());
    let other = ask(&console, "GET", &script, &[("if-none-match", "\"other\"")]);
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn files_are_compressed_for_who_takes_it() {
    let Some(script) = script().await else { return };
    let console = console();
    let plain = body(ask(&console, "GET", &script, &[])).await;
    for (accepted, compressed) in
        [("gzip, deflate, br", true), ("br;q=0.5", true), ("gzip", false), ("br;q=0", false)]
    {
        let response = ask(&console, "GET", &script, &[("accept-encoding", accepted)]);
        assert_eq!(header(&response, "content-encoding") == "br", compressed, "{accepted}");
        assert_eq!(header(&response, "vary"), "accept-encoding");
        assert_eq!(header(&response, "content-type"), "text/javascript; charset=utf-8");
        assert_eq!(body(response).await.len() < plain.len(), compressed, "{accepted}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_asked_for() {
    for path in ["/assets/none.js", "/assets/", "/assets/../index.html", "/assets/index.html"] {
        assert_eq!(get(path).status(), StatusCode::NOT_FOUND, "{path}");
    }
    let post = ask(&console(), "POST", "/console", &[]);
    assert_eq!((post.status().as_u16(), header(&post, "allow")), (405, "GET, HEAD"));
    let head = ask(&console(), "HEAD", "/console", &[]);
    assert_eq!(head.status(), StatusCode::OK);
    assert!(body(head).await.is_empty());
}
