//! What the rules cost that run for every message and attempt: signing 1 KiB with either kind of
//! secret, and routing a message to 100 endpoints.
//!
//! `cargo run --release -p hookwright-domain --example rules_bench`
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hookwright_domain::{
    clock::Timestamp,
    endpoint::{Endpoint, EndpointSecret},
    entropy::SeededEntropy,
    id::{ApplicationId, EndpointId, MessageId, OrganizationId, SecretId},
    message::{Body, Message, Origin},
    routing,
    signature::{self, SignatureType, SigningSecret},
};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
/// Each measurement takes this long.
const TIME: Duration = Duration::from_secs(1);

fn main() {
    let entropy = SeededEntropy::new(1);
    let payload = vec![b'x'; 1024];
    for kind in [SignatureType::Hmac256, SignatureType::Ed25519] {
        let secret = SigningSecret::generate(kind, &entropy);
        measure(&format!("sign 1 KiB, {kind:?}"), || {
            black_box(signature::sign([&secret], "msg_1", NOW, black_box(&payload)));
        });
    }
    let message = message(&entropy);
    let endpoints: Vec<_> = (0..100).map(|_| endpoint(&message, &entropy)).collect();
    measure("route to 100 endpoints", || {
        black_box(routing::route(black_box(&message), &endpoints, &entropy));
    });
}

/// Runs it for a while and prints what one run took.
fn measure(what: &str, mut run: impl FnMut()) {
    let mut runs = 0_u32;
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        for _ in 0..100 {
            run();
        }
        runs += 100;
    }
    println!("{what}: {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(runs));
}

fn message(entropy: &SeededEntropy) -> Message {
    Message {
        org: OrganizationId::generate(NOW, entropy),
        app: ApplicationId::generate(NOW, entropy),
        id: MessageId::generate(NOW, entropy),
        event_id: None,
        event_type: "invoice.paid".parse().expect("a name"),
        channels: Vec::new(),
        tags: Vec::new(),
        body: Some(Body::json(Bytes::from_static(b"{}"))),
        origin: Origin::Api,
        created_at: NOW,
        deliver_at: None,
        expires_at: NOW.plus(Duration::from_secs(3_600)),
    }
}

fn endpoint(message: &Message, entropy: &SeededEntropy) -> Endpoint {
    Endpoint {
        org: message.org,
        app: message.app,
        id: EndpointId::generate(NOW, entropy),
        uid: None,
        url: "https://example.com/hook".parse().expect("a URL"),
        description: String::new(),
        throttle_rate: None,
        version: 1,
        disabled: false,
        event_types: Some(vec!["invoice.paid".parse().expect("a name")]),
        channels: None,
        metadata: Default::default(),
        headers: Default::default(),
        secrets: vec![EndpointSecret {
            id: SecretId::generate(NOW, entropy),
            secret: SigningSecret::generate(SignatureType::Hmac256, entropy).into(),
            expires_at: None,
        }],
        retry_schedule: None,
        transformation: None,
        first_failure_at: None,
        revision: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}
