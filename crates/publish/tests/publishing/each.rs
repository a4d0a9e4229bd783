//! Each message of a request by itself.

use std::sync::Arc;

use domain::delivery::Trigger;
use hookwright_publish::{Internal, Rejected};
use store::{
    Catalog, StoreError,
    suite::fixture::{ACTOR, Fixture, at},
};

use crate::support::{Engine, by_id, draft, memory, publisher};

#[tokio::test]
async fn what_is_stored_is_on_its_way_whatever_becomes_of_the_rest() {
    let store = memory();
    let f = Fixture::new(&*store);
    let app = f.application().await;
    f.endpoint(&app).await;
    let engine = Arc::new(Engine::default());
    let publisher = publisher(&(store.clone() as _), &f, &engine);
    let first = publisher.publish(f.org, &by_id(&app), vec![draft(Some("k"))], &Internal).await;
    let first = first.expect("publishes").remove(0).expect("accepted");
    *engine.ends.lock() = Some(store.clone());

    // The message of a repeated request cannot be read; the other one is stored.
    let drafts = vec![draft(Some("k")), draft(None)];
    let results =
        publisher.publish(f.org, &by_id(&app), drafts, &Internal).await.expect("publishes");
    let refused = results[0].as_ref().expect_err("it cannot be told");
    assert!(matches!(refused, Rejected::Store(StoreError::Unavailable(_))), "{refused:?}");
    let stored = results[1].as_ref().expect("accepted");
    let handed: Vec<_> = engine.hot.lock().iter().map(|hot| hot.message.id).collect();
    assert_eq!(handed, [first.message.id, stored.message.id]);
}

#[tokio::test]
async fn an_application_that_goes_meanwhile_fails_its_messages() {
    let store = memory();
    let f = Fixture::new(&*store);
    let app = f.application().await;
    let publisher = publisher(&(store.clone() as _), &f, &Arc::default());
    publisher.publish(f.org, &by_id(&app), vec![draft(None)], &Internal).await.expect("publishes");
    let deleted = store.delete_application(&ACTOR, f.org, app.id, at(2)).await;
    assert_eq!(deleted, Ok(Ok(())));
    let results = publisher.publish(f.org, &by_id(&app), vec![draft(None); 2], &Internal).await;
    for result in results.expect("one result each") {
        assert_eq!(result.expect_err("it is gone"), Rejected::NoSuchApplication);
    }
}

#[tokio::test]
async fn resends_that_are_asked_for_keep_to_the_quota() {
    let store = memory();
    let f = Fixture::new(&*store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let publisher = publisher(&(store.clone() as _), &f, &Arc::default());
    let sent = publisher.publish(f.org, &by_id(&app), vec![draft(None)], &Internal).await;
    let message = sent.expect("publishes").remove(0).expect("accepted").message;
    for (trigger, within) in
        [(Trigger::Manual, true), (Trigger::Manual, false), (Trigger::Replay, true)]
    {
        let sent = publisher.resend(message.clone(), &endpoint, trigger).await;
        let sent = sent.expect("the store answers");
        assert_eq!(sent.is_ok(), within, "{trigger:?}");
        assert!(within || sent == Err(Rejected::OverQuota));
    }
}
