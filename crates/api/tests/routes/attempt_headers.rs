//! What an attempt was sent with, as far as it can be told. That it is what a receiver really gets is
//! shown by the whole server: see its test `sent`.

use domain::{attempt::Attempt, id::AttemptId};
use serde_json::{Value, json};

use crate::support::{Client, Server, succeeded};

/// A message that was tried once, as the engine would have tried it but for `change`.
struct Tried {
    app: String,
    endpoint: String,
    message: String,
    attempt: AttemptId,
}

impl Tried {
    async fn new(server: &Server, org: &Client<'_>, change: impl FnOnce(&mut Attempt)) -> Self {
        let app = org.app().await;
        let endpoint = org.endpoint(&app).await;
        let headers = json!({"headers": {"X-Own": "mine", "X-Api-Key": "hush"}});
        org.put(&format!("/app/{app}/endpoint/{endpoint}/headers"), headers).await.ok(204);
        let message = org.message(&app).await;
        let hot = server.take_hot().pop().expect("handed over");
        let mut settle = server.outcome(&hot, 200, b"ok", succeeded());
        let attempt = settle.attempt.as_mut().expect("an outcome has one");
        let (tenant, of) = ((attempt.org, attempt.app), attempt.endpoint);
        let known = server.store.endpoints_ever(tenant.0, tenant.1, &[of]).await.expect("read");
        attempt.endpoint_revision = known[0].revision;
        attempt.secrets = known[0].secrets.iter().map(|secret| secret.id).collect();
        attempt.body_hash = hot.message.body.as_ref().expect("a body").hash();
        change(attempt);
        let attempt = attempt.id;
        server.store.settle(vec![settle]).await.expect("settles");
        Self { app, endpoint, message, attempt }
    }

    fn path(&self) -> String {
        let Self { app, message, attempt, .. } = self;
        format!("/app/{app}/msg/{message}/attempt/{attempt}/headers")
    }

    fn whole(&self) -> Value {
        json!({
            "accept": "*/*", "content-length": "7", "content-type": "application/json",
            "host": "example.com", "user-agent": "Hookwright", "webhook-id": self.message,
            "webhook-timestamp": "1790000000", "x-own": "mine",
        })
    }
}

/// Checks what is said of the signature, and takes it away.
fn take_signature(reply: &mut Value) -> Option<Value> {
    reply["sentHeaders"].as_object_mut().expect("headers").remove("webhook-signature")
}

#[tokio::test]
async fn are_calculated() {
    let server = Server::new().await;
    let org = server.org();
    let tried = Tried::new(&server, &org, |_| {}).await;
    let mut reply = org.get(&tried.path()).await.ok(200);
    let signature = take_signature(&mut reply).expect("a signature");
    assert!(signature.as_str().is_some_and(|text| text.starts_with("v1,")), "{signature}");
    let wanted = json!({"sentHeaders": tried.whole(), "sensitive": ["x-api-key"], "unknown": []});
    assert_eq!(reply, wanted);

    // Whoever may read the attempt may read this.
    let portal = org.portal(&tried.app, json!({"capabilities": ["ViewBase"]})).await;
    assert_eq!(portal.get(&tried.path()).await.ok(200)["sensitive"], json!(["x-api-key"]));
    let none = org.portal(&tried.app, json!({"capabilities": []})).await;
    assert_eq!(none.get(&tried.path()).await.error(), (403, "insufficient access".into()));
    let made = org.post("/auth/token", json!({"name": "n", "scope": "read"})).await.ok(201);
    let reader = server.client(made["token"].as_str().expect("a token").to_owned());
    reader.get(&tried.path()).await.ok(200);
    let other =
        tried.path().replace(&tried.attempt.to_string(), "atmpt_23rb8YdGqMT0qIzpgGwdXfHirMu");
    assert_eq!(org.get(&other).await.status, 404);
    assert_eq!(server.org().get(&tried.path()).await.status, 404);
}

/// Credentials of the URL are sent, and not shown. A header of the endpoint goes before them.
#[tokio::test]
async fn hide_credentials() {
    let server = Server::new().await;
    let org = server.org();
    let hidden = |attempt: &mut Attempt| {
        attempt.url = "https://user:****@example.com:8443/hook".into();
    };
    let tried = Tried::new(&server, &org, hidden).await;
    let reply = org.get(&tried.path()).await.ok(200);
    assert_eq!(reply["sensitive"], json!(["authorization", "x-api-key"]));
    assert_eq!(reply["sentHeaders"]["host"], "example.com:8443");
    assert!(!reply.to_string().contains("hush") && !reply.to_string().contains("user:"), "{reply}");
}

/// Whoever listens gets the headers themselves, and the body beside them.
#[tokio::test]
async fn of_listeners_are_those_they_get() {
    let server = Server::new().await;
    let org = server.org();
    let listened = |attempt: &mut Attempt| {
        attempt.url = "https://user:****@listen.hookwright.invalid/me".into();
    };
    let tried = Tried::new(&server, &org, listened).await;
    let mut reply = org.get(&tried.path()).await.ok(200);
    assert!(take_signature(&mut reply).is_some());
    let mut wanted = tried.whole();
    for name in ["host", "content-length"] {
        wanted.as_object_mut().expect("an object").remove(name);
    }
    assert_eq!(reply, json!({"sentHeaders": wanted, "sensitive": ["x-api-key"], "unknown": []}));
}

/// What is not on record any more is not made up.
#[tokio::test]
async fn say_what_they_do_not_know() {
    let server = Server::new().await;
    let org = server.org();
    let reasons = |reply: &Value| -> Vec<String> {
        let reasons = reply["unknown"].as_array().expect("reasons");
        reasons.iter().map(|reason| reason.as_str().expect("text").to_owned()).collect()
    };

    // A revision that nobody remembers: `accept` may have been another one.
    let tried = Tried::new(&server, &org, |attempt| attempt.endpoint_revision = 70).await;
    let mut reply = org.get(&tried.path()).await.ok(200);
    assert!(take_signature(&mut reply).is_some());
    let mut wanted = tried.whole();
    for name in ["accept", "x-own"] {
        wanted.as_object_mut().expect("an object").remove(name);
    }
    assert_eq!((&reply["sentHeaders"], &reply["sensitive"]), (&wanted, &json!([])));
    let said = reasons(&reply);
    assert!(said.len() == 1 && said[0].contains("endpoint's own headers"), "{said:?}");

    // A secret that does not go on to sign is gone.
    let tried = Tried::new(&server, &org, |_| {}).await;
    let rotate = format!("/app/{}/endpoint/{}/secret/rotate", tried.app, tried.endpoint);
    org.post(&rotate, json!({"gracePeriodSeconds": 3600})).await.ok(200);
    let mut reply = org.get(&tried.path()).await.ok(200);
    assert!(take_signature(&mut reply).is_some() && reasons(&reply).is_empty(), "{reply}");
    let tried = Tried::new(&server, &org, |_| {}).await;
    let rotate = format!("/app/{}/endpoint/{}/secret/rotate", tried.app, tried.endpoint);
    org.post(&rotate, json!({"gracePeriodSeconds": 0})).await.ok(200);
    let mut reply = org.get(&tried.path()).await.ok(200);
    assert_eq!(take_signature(&mut reply), None);
    assert_eq!(reply["sentHeaders"], tried.whole());
    let said = reasons(&reply);
    assert!(said.len() == 1 && said[0].contains("secret"), "{said:?}");

    // A payload that is gone, and one that is not what was sent.
    let gone = Tried::new(&server, &org, |_| {}).await;
    org.delete(&format!("/app/{}/msg/{}/content", gone.app, gone.message)).await.ok(204);
    let other = Tried::new(&server, &org, |attempt| attempt.body_hash[0] ^= 1).await;
    for tried in [gone, other] {
        let mut reply = org.get(&tried.path()).await.ok(200);
        assert_eq!(take_signature(&mut reply), None);
        let mut wanted = tried.whole();
        for name in ["content-length", "content-type"] {
            wanted.as_object_mut().expect("an object").remove(name);
        }
        assert_eq!(reply["sentHeaders"], wanted);
        let said = reasons(&reply);
        assert!(said.len() == 1 && said[0].contains("payload"), "{said:?}");
    }
}
