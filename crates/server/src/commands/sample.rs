//! The sample traffic of `dev`: customers whose endpoints answer in several ways, and a message a second,
//! so that the console has something to show.

use std::{net::SocketAddr, time::Duration};

use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;

/// Between two messages.
const PAUSE: Duration = Duration::from_secs(1);

/// Each endpoint: whose it is (uid and name), what the built-in inbox does there, and what is said of it.
const ENDPOINTS: [[&str; 4]; 5] = [
    ["globex", "Globex Corporation", "ok", "Billing"],
    ["globex", "Globex Corporation", "slow", "Data warehouse"],
    ["initech", "Initech", "flaky", "Order service"],
    ["umbrella", "Umbrella Health", "ok", "Patient portal"],
    ["umbrella", "Umbrella Health", "down", "Legacy CRM"],
];

/// Who gets messages, in turn.
const TURNS: [&str; 6] = ["globex", "initech", "globex", "umbrella", "globex", "initech"];

/// Event types, with what they mean and an example.
fn event_types() -> [(&'static str, &'static str, Value); 4] {
    let customer = json!({ "id": "cus_4821", "email": "ada@example.com" });
    [
        ("order.created", "An order was placed", json!({ "order": "ord_1024", "total": 12_950 })),
        ("order.shipped", "An order left the warehouse", json!({ "order": "ord_1024" })),
        ("customer.updated", "A customer changed their details", customer),
        (
            "subscription.renewed",
            "A subscription was renewed",
            json!({ "plan": "team", "seats": 12 }),
        ),
    ]
}

/// Makes what the traffic needs, unless it is there, then sends until the process ends.
pub async fn run(client: Client, inbox: SocketAddr) -> anyhow::Result<()> {
    let event_types = event_types();
    for (name, description, example) in &event_types {
        let schema = json!({ "1": { "type": "object", "examples": [example] } });
        let group = name.split('.').next();
        let body = json!({ "description": description, "schemas": schema, "groupName": group });
        client.must(Method::PUT, &format!("/api/v1/event-type/{name}"), body).await?;
    }
    for [uid, name, does, description] in ENDPOINTS {
        let app = json!({ "name": name, "uid": uid });
        client.must(Method::POST, "/api/v1/app?get_if_exists=true", app).await?;
        let endpoint = json!({
            "url": format!("http://{inbox}/sample/{does}"),
            "uid": does,
            "description": description,
            "retrySchedule": ["5s", "10s", "30s"],
        });
        client.must(Method::PUT, &format!("/api/v1/app/{uid}/endpoint/{does}"), endpoint).await?;
    }
    for n in 0_usize.. {
        let uid = TURNS[n % TURNS.len()];
        let (name, _, payload) = &event_types[n % event_types.len()];
        let message = json!({ "eventType": name, "payload": payload, "tags": ["sample"] });
        client.must(Method::POST, &format!("/api/v1/app/{uid}/msg"), message).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
