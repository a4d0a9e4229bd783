use serde_json::{Value, json};

use crate::support::Server;

#[tokio::test]
async fn settings_are_kept_and_checked() {
    let server = Server::new().await;
    let org = server.org();
    let path = "/environment/settings";
    let first =
        json!({"schemaMode": "off", "maxPendingDeliveries": null, "payloadRetention": null});
    assert_eq!(org.get(path).await.ok(200), first);
    let patch = json!({"schemaMode": "warn", "payloadRetention": "30d", "maxPendingDeliveries": 5});
    assert_eq!(org.patch(path, patch.clone()).await.ok(200), patch);
    let patched = org.patch(path, json!({"payloadRetention": null})).await.ok(200);
    assert_eq!(
        (&patched["payloadRetention"], &patched["schemaMode"]),
        (&Value::Null, &json!("warn"))
    );
    assert_eq!(server.org().get(path).await.ok(200), first);
    for (body, loc) in [
        (json!({"schemaMode": "x"}), "body.schemaMode"),
        (json!({"schemaMode": null}), "body.schemaMode"),
        (json!({"payloadRetention": "5s"}), "body.payloadRetention"),
        (json!({"payloadRetention": 5}), "body.payloadRetention"),
        (json!({"payloadRetention": "91d"}), "body.payloadRetention"),
        (json!({"maxPendingDeliveries": -1}), "body.maxPendingDeliveries"),
        (json!({"maxPendingDeliveries": 0}), "body.maxPendingDeliveries"),
    ] {
        assert_eq!(org.patch(path, body).await.error(), (422, loc.into()));
    }
}
