use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use domain::{
    clock::{Clock, Timestamp},
    id::OrganizationId,
};
use hookwright_api::{JwtAlgorithm, Keys, auth};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::{Client, DAY, SECRET, START, Server};

const ORG: &str = OrganizationId::DEFAULT;

fn token(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET))
        .expect("signs")
}

fn secs(at: Timestamp) -> i64 {
    at.as_secs()
}

async fn status(client: &Client<'_>) -> (u16, String) {
    let reply = client.get("/app").await;
    if reply.status.is_success() { (200, String::new()) } else { reply.error() }
}

#[tokio::test]
async fn tokens_of_products_are_taken_as_they_sign_them() {
    let server = Server::new().await;
    let now = secs(START);
    let unauthorized = (401, "authentication_failed".to_owned());
    let good = (200, String::new());
    let app = "app_23rb8YdGqMT0qIzpgGwdXfHirMu";
    for (claims, want) in [
        (json!({"sub": ORG, "exp": now + 10}), &good),
        (
            json!({"sub": ORG, "exp": now + 10, "iss": "svix-server", "iat": now, "nbf": now, "x": 1}),
            &good,
        ),
        (json!({"sub": ORG, "exp": now as f64 + 0.5}), &good),
        (json!({"sub": ORG, "exp": now - 59}), &good),
        (json!({"sub": ORG, "exp": now - 60}), &unauthorized),
        (json!({"sub": ORG, "exp": now + 10, "nbf": now + 60}), &good),
        (json!({"sub": ORG, "exp": now + 10, "nbf": now + 61}), &unauthorized),
        (json!({"sub": ORG}), &unauthorized),
        (json!({"exp": now + 10}), &unauthorized),
        (json!({"sub": "org_x", "exp": now + 10}), &unauthorized),
        (json!({"sub": "user_1", "exp": now + 10}), &unauthorized),
        (json!({"sub": app, "exp": now + 10}), &unauthorized),
        (json!({"sub": ORG, "org": ORG, "exp": now + 10}), &unauthorized),
        (
            json!({"sub": app, "org": ORG, "exp": now + 10}),
            &(403, "insufficient access".to_owned()),
        ),
        (json!({"sub": app, "org": "org_x", "exp": now + 10}), &unauthorized),
    ] {
        assert_eq!(status(&server.client(token(&claims))).await, *want, "{claims}");
    }
    let reply = server.client(token(&json!({"exp": now + 10}))).get("/app").await;
    assert_eq!(reply.json()["detail"], "Invalid token (missing `sub`).");
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let server = Server::new().await;
    let claims = json!({"sub": ORG, "exp": secs(START) + 10});
    let good = token(&claims);
    let mut forged = vec![
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"other"))
            .expect("signs"),
        // The same key, but not the algorithm that was configured.
        encode(&Header::new(Algorithm::HS512), &claims, &EncodingKey::from_secret(SECRET))
            .expect("signs"),
        good[..good.len() - 2].to_owned(),
        format!("{good}."),
        "x".repeat(100_000),
    ];
    let (_, rest) = good.split_once('.').expect("parts");
    forged.push(format!("eyJhbGciOiJub25lIn0.{rest}"));
    for token in forged {
        let reply = server.client(token).get("/app").await;
        assert_eq!(reply.error(), (401, "authentication_failed".into()));
        assert_eq!(reply.json()["detail"], "Invalid token");
    }
    let secret = String::from_utf8(SECRET.to_vec()).expect("text");
    let reply = server.client(secret.clone()).get("/app").await;
    let detail = reply.json()["detail"].as_str().expect("text").to_owned();
    assert!(detail.contains("JWT secret itself") && !detail.contains(&secret), "{detail}");
    for header in ["Basic abc", "bearer", "", &format!("Token {good}")] {
        let request =
            server.stranger().request("GET", "/api/v1/app").header("authorization", header);
        let reply = server.send(request.body(axum::body::Body::empty()).expect("request")).await;
        assert_eq!(reply.status, 401, "{header}");
    }
    let request = server.stranger().request("GET", "/api/v1/app");
    let request = request.header("authorization", format!("bearer  {good}"));
    let reply = server.send(request.body(axum::body::Body::empty()).expect("request")).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let server = Server::new().await;
    let client = server.client(token(&json!({"sub": ORG, "exp": secs(START) + 10})));
    assert_eq!(status(&client).await.0, 200);
    server.clock.advance(Duration::from_secs(69));
    assert_eq!(status(&client).await.0, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&client).await.0, 401);
}

fn pem(kind: &str, der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64.encode(der)).into_bytes()
}

#[tokio::test]
async fn every_algorithm_works() {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
        rsa::KeySize,
        signature::{Ed25519KeyPair, KeyPair},
    };
    let rsa = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let private: Pkcs8V1Der<'_> = AsDer::<Pkcs8V1Der<'_>>::as_der(&rsa).expect("DER");
    let public: PublicKeyX509Der<'_> = rsa.public_key().as_der().expect("DER");
    let rsa = (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()));
    let ed = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let private: Pkcs8V1Der<'_> = AsDer::<Pkcs8V1Der<'_>>::as_der(&ed).expect("DER");
    let public: PublicKeyX509Der<'_> = ed.public_key().as_der().expect("DER");
    let ed = (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()));
    let hs = (SECRET.to_vec(), SECRET.to_vec());

    for (name, (private, public)) in [
        ("HS256", &hs),
        ("HS384", &hs),
        ("HS512", &hs),
        ("RS256", &rsa),
        ("RS384", &rsa),
        ("RS512", &rsa),
        ("EdDSA", &ed),
    ] {
        let algorithm: JwtAlgorithm = name.parse().expect("known");
        let keys = Keys::new(algorithm, private).expect(name);
        for (key, signs) in [(private, true), (public, private == public)] {
            let server =
                Server::with(|options| options.keys = Keys::new(algorithm, key).expect(name)).await;
            let org = ORG.parse().expect("an id");
            let minted = auth::mint_organization(&keys, org, START, DAY, &*server.entropy);
            let org = server.client(minted.expect("signs").token);
            let app = org.app().await;
            let reply = org.post(&format!("/auth/app-portal-access/{app}"), json!({})).await;
            if signs {
                let token = reply.ok(200)["token"].as_str().expect("token").to_owned();
                let portal = server.client(token);
                portal.get(&format!("/app/{app}")).await.ok(200);
            } else {
                assert_eq!(reply.error(), (400, "cannot_sign".into()), "{name}");
            }
        }
    }
    assert!(Keys::new(JwtAlgorithm::Hs256, b"").is_err());
    assert!(Keys::new(JwtAlgorithm::Rs256, SECRET).is_err());
    assert!(Keys::new(JwtAlgorithm::Rs256, &ed.0).is_err());
    assert!(Keys::new(JwtAlgorithm::EdDsa, &rsa.1).is_err());
    assert!("none".parse::<JwtAlgorithm>().is_err());
}

#[tokio::test]
async fn portal_access_is_a_token_and_a_way_in() {
    let server =
        Server::with(|options| options.public_url = "https://hooks.example.com".into()).await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/auth/app-portal-access/{app}");
    let access = org.post(&path, json!({})).await.ok(200);
    let url = access["url"].as_str().expect("url");
    let key = url.strip_prefix("https://hooks.example.com/portal#key=").expect("our own");
    let key: Value = serde_json::from_slice(&BASE64.decode(key).expect("base64")).expect("JSON");
    assert_eq!(key, json!({"appId": app, "token": access["token"], "region": null}));

    // Seven days, unless asked otherwise.
    let week = server.client(access["token"].as_str().expect("token").to_owned());
    let hour = org.portal(&app, json!({"expiry": 3600})).await;
    server.clock.advance(Duration::from_secs(3_600 + 61));
    assert_eq!(hour.get(&format!("/app/{app}")).await.status, 401);
    server.clock.advance(6 * DAY);
    week.get(&format!("/app/{app}")).await.ok(200);
    server.clock.advance(DAY);
    assert_eq!(week.get(&format!("/app/{app}")).await.status, 401);

    for (body, loc) in [
        (json!({"expiry": 3599}), "body.expiry"),
        (json!({"expiry": 604_801}), "body.expiry"),
        (json!({"expiry": -1}), "body.expiry"),
        (json!({"sessionId": ""}), "body.sessionId"),
        (json!({"sessionId": "x".repeat(65)}), "body.sessionId"),
        (json!({"featureFlags": ["a b"]}), "body.featureFlags.[0]"),
        (json!({"featureFlags": vec!["a"; 26]}), "body.featureFlags"),
        (json!({"featureFlags": vec!["a".repeat(256); 25]}), "body.featureFlags"),
        (json!({"capabilities": ["Everything"]}), "body.capabilities.[0]"),
        (json!({"application": {"name": ""}}), "body.application.name"),
    ] {
        let (status, what) = org.post(&path, body.clone()).await.error();
        assert!(status == 422 && what.starts_with(loc), "{body}: {status} {what}");
    }
    assert_eq!(org.post("/auth/app-portal-access/none", json!({})).await.status, 404);
    let body = json!({"application": {"name": "n", "uid": "made"}});
    org.post("/auth/app-portal-access/made", body.clone()).await.ok(200);
    let reply = org.post("/auth/app-portal-access/other", body).await;
    assert_eq!(reply.error(), (422, "body.application.uid".into()));
    // By its old name, with any body.
    for body in ["null", "", "{}", "nonsense"] {
        let path = format!("/api/v1/auth/dashboard-access/{app}/");
        assert_eq!(org.raw("POST", &path, body).await.status, 200, "{body}");
    }
}

#[tokio::test]
async fn capabilities_are_held_to() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let message = org.message(&app).await;
    let one = format!("/app/{app}/endpoint/{endpoint}");
    let url = json!({"url": "https://example.com/x"});
    let calls = [
        ("ViewBase", "GET", one.clone(), Value::Null),
        ("ViewBase", "GET", format!("/app/{app}"), Value::Null),
        ("ViewBase", "GET", format!("/app/{app}/msg"), Value::Null),
        ("ViewEndpointSecret", "GET", format!("{one}/secret"), Value::Null),
        ("ManageEndpointSecret", "POST", format!("{one}/secret/rotate"), json!({})),
        ("CreateAttempts", "POST", format!("{one}/recover"), json!({"since": START})),
        (
            "CreateAttempts",
            "POST",
            format!("{one}/send-example"),
            json!({"eventType": "svix.ping"}),
        ),
        (
            "CreateAttempts",
            "POST",
            format!("/app/{app}/msg/{message}/endpoint/{endpoint}/resend"),
            json!({}),
        ),
        ("ManageEndpoint", "POST", format!("/app/{app}/endpoint"), url.clone()),
        ("ManageEndpoint", "PATCH", one.clone(), url.clone()),
        ("ManageEndpoint", "PUT", one.clone(), url),
        ("ManageEndpoint", "PUT", format!("{one}/headers"), json!({"headers": {}})),
        ("ManageEndpoint", "PATCH", format!("{one}/headers"), json!({"headers": {}})),
        ("ManageEndpoint", "DELETE", one.clone(), Value::Null),
    ];
    // What each allows beside itself. All of them allow to look.
    let implied = |granted: &str| match granted {
        "ManageEndpointSecret" => &["ViewBase", "ViewEndpointSecret"][..],
        "ManageEndpoint" => &["ViewBase", "ViewEndpointSecret", "ManageEndpointSecret"],
        _ => &["ViewBase"],
    };
    for granted in [
        "ViewBase",
        "ViewEndpointSecret",
        "ManageEndpointSecret",
        "ManageTransformations",
        "CreateAttempts",
        "ManageEndpoint",
    ] {
        let portal = org.portal(&app, json!({"capabilities": [granted]})).await;
        for (needed, method, path, body) in &calls {
            let allowed = *needed == granted || implied(granted).contains(needed);
            // Deleting would end this test; that it may is seen by the one of all routes.
            if allowed && (*method == "DELETE" || path.ends_with("/recover")) {
                continue;
            }
            let reply = portal.call(method, path, body.clone()).await;
            if allowed {
                assert!(reply.status.is_success(), "{granted} {path}: {reply:?}");
            } else {
                assert_eq!(reply.error(), (403, "insufficient access".into()), "{granted} {path}");
            }
        }
    }
    let none = org.portal(&app, json!({"capabilities": []})).await;
    assert_eq!(none.get(&one).await.status, 403);
    let looks = org.portal(&app, json!({"readOnly": true})).await;
    looks.get(&one).await.ok(200);
    assert_eq!(looks.get(&format!("{one}/secret")).await.status, 403);
    assert_eq!(looks.delete(&one).await.status, 403);
}

#[tokio::test]
async fn logout_ends_one_token_for_good() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}");
    let (first, second) = (org.portal(&app, json!({})).await, org.portal(&app, json!({})).await);
    first.get(&path).await.ok(200);
    assert!(first.post("/auth/logout", Value::Null).await.ok(204).is_null());
    assert_eq!(first.get(&path).await.error(), (401, "authentication_failed".into()));
    second.get(&path).await.ok(200);
    assert_eq!(org.post("/auth/logout", Value::Null).await.status, 403);
    org.get(&path).await.ok(200);
    // Also after a restart.
    let again = server.restarted().await;
    assert_eq!(again.client(first.token.clone().expect("token")).get(&path).await.status, 401);
    again.client(second.token.clone().expect("token")).get(&path).await.ok(200);
}

#[tokio::test]
async fn expire_all_ends_all_that_were_made_before() {
    let server = Server::new().await;
    let org = server.org();
    let (app, other) = (org.app().await, org.app().await);
    let expire = format!("/auth/app/{app}/expire-all");
    let sees = async |client: &Client<'_>, app: &str| {
        client.get(&format!("/app/{app}")).await.status == 200
    };
    let old = org.portal(&app, json!({})).await;
    let signed = server.client(token(&json!({
        "sub": app, "org": server.tenant_of(&org), "iat": secs(START), "exp": secs(START) + 864_000,
    })));
    let elsewhere = org.portal(&other, json!({})).await;
    server.clock.advance(Duration::from_millis(10));
    assert!(org.post(&expire, json!({})).await.ok(204).is_null());
    assert!(!sees(&old, &app).await && !sees(&signed, &app).await);
    assert!(sees(&elsewhere, &other).await && sees(&org, &app).await);
    server.clock.advance(Duration::from_millis(10));
    let new = org.portal(&app, json!({})).await;
    assert!(sees(&new, &app).await);

    // Later, and of some sessions only.
    org.post(&expire, json!({"expiry": 60})).await.ok(204);
    server.clock.advance(Duration::from_millis(10));
    let a = org.portal(&app, json!({"sessionId": "a"})).await;
    let b = org.portal(&app, json!({"sessionId": "b"})).await;
    assert!(sees(&new, &app).await);
    server.clock.advance(Duration::from_millis(10));
    org.post(&expire, json!({"sessionIds": ["a", "c"]})).await.ok(204);
    assert!(!sees(&a, &app).await && sees(&b, &app).await);
    server.clock.advance(Duration::from_secs(60));
    assert!(!sees(&new, &app).await, "it was made before");
    assert!(sees(&b, &app).await, "it was made after");

    let again = server.restarted().await;
    assert!(!sees(&again.client(old.token.clone().expect("token")), &app).await);
    for (body, loc) in [
        (json!({"expiry": 259_201}), "body.expiry"),
        (json!({"expiry": -1}), "body.expiry"),
        (json!({"sessionIds": [""]}), "body.sessionIds"),
        (json!({"sessionIds": ["x".repeat(65)]}), "body.sessionIds"),
    ] {
        assert_eq!(org.post(&expire, body).await.error(), (422, loc.into()));
    }
    assert_eq!(server.clock.now().since(START).as_secs(), 60);
}

#[tokio::test]
async fn an_ended_session_stays_ended() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    // Products sign tokens with sessions too, for as long as they like.
    let claims = json!({
        "sub": app, "org": server.tenant_of(&org), "session_id": "s",
        "iat": secs(START), "exp": secs(START) + 8_640_000,
    });
    let signed = server.client(token(&claims));
    signed.get(&format!("/app/{app}")).await.ok(200);
    let expire = format!("/auth/app/{app}/expire-all");
    org.post(&expire, json!({"sessionIds": ["s"]})).await.ok(204);
    server.clock.advance(30 * DAY);
    let again = server.restarted().await;
    assert_eq!(again.client(token(&claims)).get(&format!("/app/{app}")).await.status, 401);
}
