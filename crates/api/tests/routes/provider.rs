//! The catalogue of providers, and the doctor.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use providers::{Sample, Secret, catalogue};
use serde_json::{Value, json};

use crate::support::{START, Server, column};

#[tokio::test]
async fn are_listed() {
    let server = Server::new().await;
    let org = server.org();
    let page = org.get("/provider").await.ok(200);
    assert_eq!(column(&page, "id").len(), catalogue::all().len());
    assert_eq!(page["done"], true);
    let meta = org.get("/provider/meta").await.ok(200);
    assert_eq!((&meta["needsSecret"], &meta["experimental"]), (&json!(true), &json!(false)));
    let setting = &meta["settings"][0];
    assert_eq!((&setting["name"], &setting["required"]), (&json!("verifyToken"), &json!(true)));
    let openai = org.get("/provider/open-ai").await.ok(200);
    assert_eq!(openai["types"], json!(["openai", "open-ai"]));
    assert_eq!(org.get("/provider/nobody").await.error(), (404, "not_found".into()));
}

/// A request as GitHub signs it with `hush`.
fn captured() -> Value {
    let sample = Sample {
        url: "https://example.com/in".into(),
        id: "72d3162e".into(),
        event_type: "push".into(),
        body: None,
    };
    let github = catalogue::find("github").expect("in the catalogue");
    let made = github.sign(&sample, &Secret::new("hush"), START).expect("signs");
    let headers: serde_json::Map<String, Value> =
        made.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    json!({"method": made.method, "url": made.url, "headers": headers,
        "bodyBase64": BASE64.encode(&made.body)})
}

#[tokio::test]
async fn the_doctor_says_why() {
    let server = Server::new().await;
    let org = server.org();
    let verify = async |request: &Value, secrets: Value| {
        let body = json!({"request": request, "secrets": secrets, "at": "2026-09-21T14:13:20Z"});
        org.post("/provider/github/verify", body).await
    };
    let request = captured();
    let said = verify(&request, json!(["other", "hush"])).await.ok(200);
    assert_eq!((&said["verdict"], &said["secretIndex"]), (&json!("genuine"), &json!(1)));
    assert_eq!((&said["eventType"], &said["findings"]), (&json!("push"), &json!([])));

    let mut changed = request.clone();
    let mut body = BASE64.decode(request["bodyBase64"].as_str().expect("text")).expect("base64");
    body.push(b'\n');
    changed["bodyBase64"] = json!(BASE64.encode(body));
    let reply = verify(&changed, json!(["hush"])).await;
    let said = reply.json();
    assert_eq!(
        (&said["verdict"], &said["findings"][0]["type"]),
        (&json!("refused"), &json!("body"))
    );
    let said = verify(&request, json!(["wrong"])).await.ok(200);
    assert_eq!(said["findings"][0]["type"], "nothing_fits");
    // What would have been right is not told.
    let headers = request["headers"].as_object().expect("headers");
    let (_, signature) = headers
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case("x-hub-signature-256"))
        .expect("signed");
    let signature = signature.as_str().and_then(|s| s.strip_prefix("sha256=")).expect("hex");
    assert!(!said.to_string().contains(signature) && !said.to_string().contains("wrong\""));
}

#[tokio::test]
async fn the_doctor_is_asked_properly() {
    let server = Server::new().await;
    let org = server.org();
    let request = json!({"headers": {}});
    for (provider, body, what) in [
        ("nobody", json!({"request": request}), (404, "not_found")),
        ("github", json!({"request": request}), (422, "body.secrets")),
        ("github", json!({}), (422, "body.request")),
        (
            "github",
            json!({"request": request, "secrets": ["s"], "config": {"secret": "s"}}),
            (422, "body.config"),
        ),
        (
            "github",
            json!({"request": request, "secrets": ["s"], "config": {"x": 1}}),
            (422, "body.config.x"),
        ),
        ("meta", json!({"request": request, "secrets": ["s"]}), (422, "body.config.verifyToken")),
        (
            "github",
            json!({"request": {"headers": {}, "bodyBase64": "%"}, "secrets": ["s"]}),
            (422, "body.request.bodyBase64"),
        ),
        ("github", json!({"request": request, "secrets": ["s"], "at": "today"}), (422, "body.at")),
    ] {
        let reply = org.post(&format!("/provider/{provider}/verify"), body.clone()).await;
        assert_eq!(reply.error(), (what.0, what.1.into()), "{body}");
    }
    let custom = json!({"request": {"headers": {"Authorization": ["Bearer hush"]}},
        "secrets": ["hush"], "config": {"scheme": "bearer"}});
    let said = org.post("/provider/custom/verify", custom).await.ok(200);
    assert_eq!(said["verdict"], "genuine");
}
