//! Accepting messages.

use std::slice::from_ref;

use bytes::Bytes;
use domain::{
    claim::{ClaimKey, ClaimKind},
    clock::Timestamp,
    delivery::{Delivery, Trigger},
    id::DeliveryId,
    message::{Body, Origin},
    name::Ref,
    organization::{Organization, OrganizationSettings},
    routing,
};
use futures_util::future::join_all;

use super::{
    fixture::{ACTOR, Fixture, at, newest, uid},
    traffic::{DELIVERED, EXHAUSTED, lane, tenant, until},
};
use crate::{
    Store,
    publish::{Claim, NewMessage, Published, SavedResponse},
};

fn key(text: &str) -> ClaimKey {
    ClaimKey::new(ClaimKind::IdempotencyKey, &[text.as_bytes()])
}

fn claim(text: &str, expires_at: Timestamp) -> Option<Claim> {
    Some(Claim { key: key(text), expires_at })
}

/// Nothing of these is left behind.
async fn assert_absent(f: &Fixture<'_>, refused: &NewMessage) {
    let message = &refused.message;
    let tenant = crate::history::Tenant { org: message.org, app: message.app };
    assert_eq!(f.store.message(tenant, &Ref::Id(message.id)).await, Ok(None));
    for delivery in &refused.deliveries {
        let records = f.store.delivery_records(tenant, vec![message.id], delivery.endpoint).await;
        assert_eq!(records, Ok(Vec::new()));
    }
}

/// Everything of a message is kept, and each of its deliveries is due.
pub async fn keeps_message_and_deliveries(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (one, two) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let mut message = f.message(&app, at(10));
    message.event_id = uid("event-1");
    message.channels = vec!["c:1".parse().expect("a name"), "d+2".parse().expect("a name")];
    message.tags = vec![r"a/b\c#d".parse().expect("a name"), "e".parse().expect("a name")];
    message.body = Some(Body::new(
        Bytes::from_static(b"\x00\xffnot { JSON"),
        "application/octet-stream".into(),
        vec![("x-github-event".into(), "push".into())],
    ));
    message.origin = Origin::Source;
    message.deliver_at = Some(at(60));
    let sent = f.send_message(message, &app, &[&one, &two]).await;

    let id = Ref::Id(sent.message.id);
    assert_eq!(store.message(tenant(&app), &id).await, Ok(Some(sent.message.clone())));
    for (endpoint, delivery) in [&one, &two].into_iter().zip(&sent.deliveries) {
        let page = store.due(lane(endpoint), until(at(60)), Vec::new()).await.expect("due");
        assert_eq!(page.due.len(), 1);
        assert_eq!(page.due[0].delivery, *delivery);
        assert_eq!(*page.due[0].message, sent.message);
        assert_eq!(delivery.due, at(60));
    }

    let mut empty = f.message(&app, at(11));
    empty.body = Some(Body::json(Bytes::new()));
    let sent = f.send_message(empty, &app, &[]).await;
    let stored = store.message(tenant(&app), &Ref::Id(sent.message.id)).await;
    assert_eq!(stored, Ok(Some(sent.message)));
    assert_eq!(store.stats().await.expect("stats").pending, 2);
}

/// What was routed by an older catalogue comes back, and nothing of it stays: the same message can
/// be routed again.
pub async fn refuses_a_stale_catalogue(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let old = f.versions(&app).await;
    f.update_endpoint(&endpoint, |e| e.disabled = true).await;
    let mut new = f.routed(old, f.message(&app, at(1)), &[&endpoint]);
    new.idempotency = claim("k", at(100));
    assert_eq!(f.publish(new.clone()).await, Published::Stale);
    assert_absent(&f, &new).await;
    assert_eq!(store.claimed(f.org, key("k"), at(1)).await, Ok(None));
    new.versions = f.versions(&app).await;
    assert_eq!(f.publish(new).await, Published::Stored);

    let old = f.versions(&app).await;
    let organization = Organization { id: f.org, settings: OrganizationSettings::default() };
    assert_eq!(store.put_organization(&ACTOR, organization, old.org).await, Ok(Ok(())));
    let mut new = f.routed(old, f.message(&app, at(2)), &[&endpoint]);
    assert_eq!(f.publish(new.clone()).await, Published::Stale);
    new.versions = f.versions(&app).await;
    assert_eq!(f.publish(new).await, Published::Stored);
}

/// A message for an application that is not (or no longer) there, or is another organization's.
pub async fn refuses_a_missing_application(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    let unknown = f.new_application(at(0));
    let new = f.routed(versions, f.message(&unknown, at(1)), &[]);
    assert_eq!(f.publish(new).await, Published::NotFound);
    let mut foreign = f.message(&app, at(1));
    foreign.org = f.other().org;
    let new = f.routed(versions, foreign, &[]);
    assert_eq!(f.publish(new).await, Published::NotFound);

    assert_eq!(store.delete_application(&ACTOR, f.org, app.id, at(2)).await, Ok(Ok(())));
    let mut new = f.routed(versions, f.message(&app, at(3)), &[&endpoint]);
    new.idempotency = claim("k", at(100));
    assert_eq!(f.publish(new.clone()).await, Published::NotFound);
    assert_absent(&f, &new).await;
    assert_eq!(store.claimed(f.org, key("k"), at(3)).await, Ok(None));
}

/// An item's own fault fails no other, and results stand in order.
pub async fn answers_each_message_by_itself(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, gone) = (f.application().await, f.application().await);
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    let of_gone = f.versions(&gone).await;
    assert_eq!(store.delete_application(&ACTOR, f.org, gone.id, at(1)).await, Ok(Ok(())));
    let mut first = f.routed(versions, f.message(&app, at(2)), &[&endpoint]);
    first.idempotency = claim("k", at(100));
    let lost = f.routed(of_gone, f.message(&gone, at(2)), &[]);
    let mut stale = f.routed(versions, f.message(&app, at(2)), &[&endpoint]);
    stale.versions.app += 1;
    let mut repeated = f.routed(versions, f.message(&app, at(2)), &[&endpoint]);
    repeated.idempotency = claim("k", at(100));
    let last = f.routed(versions, f.message(&app, at(2)), &[&endpoint]);

    let batch = vec![first.clone(), lost, stale.clone(), repeated.clone(), last.clone()];
    let wanted = vec![
        Published::Stored,
        Published::NotFound,
        Published::Stale,
        Published::Repeated(first.message.id),
        Published::Stored,
    ];
    assert_eq!(store.publish(batch).await, Ok(wanted));
    assert_absent(&f, &stale).await;
    assert_absent(&f, &repeated).await;
    let mut pending: Vec<_> = f.pending(&endpoint).await.iter().map(|d| d.message).collect();
    pending.sort();
    let mut wanted = [first.message.id, last.message.id];
    wanted.sort();
    assert_eq!(pending, wanted);
    assert_eq!(store.publish(Vec::new()).await, Ok(Vec::new()));
}

/// A key's second message is not stored; whoever sends it learns the first one's id. A key is free
/// again once its claim has expired.
pub async fn happens_once_per_idempotency_key(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    let with_key = |created_at: u64, expires_at: u64| NewMessage {
        idempotency: claim("k", at(expires_at)),
        ..f.routed(versions, f.message(&app, at(created_at)), &[&endpoint])
    };
    let first = with_key(1, 50);
    let id = first.message.id;
    assert_eq!(f.publish(first).await, Published::Stored);
    let second = with_key(2, 90);
    assert_eq!(f.publish(second.clone()).await, Published::Repeated(id));
    assert_absent(&f, &second).await;
    // A catalogue that has changed meanwhile does not make it another request.
    f.update_endpoint(&endpoint, |e| e.description = "new".into()).await;
    assert_eq!(f.publish(with_key(3, 90)).await, Published::Repeated(id));
    assert_eq!(store.claimed(f.org, key("k"), at(49)).await, Ok(Some(id)));
    assert_eq!(store.claimed(f.org, key("k"), at(50)).await, Ok(None), "expired");
    assert_eq!(store.claimed(f.org, key("another"), at(1)).await, Ok(None));

    let mut heir = with_key(50, 200);
    heir.versions = f.versions(&app).await;
    let mut twin = with_key(50, 200);
    twin.versions = heir.versions;
    let heir_id = heir.message.id;
    let both = store.publish(vec![heir, twin]).await;
    assert_eq!(both, Ok(vec![Published::Stored, Published::Repeated(heir_id)]));
    assert_eq!(store.claimed(f.org, key("k"), at(60)).await, Ok(Some(heir_id)));
}

/// A second message of an event id is refused, and claims nothing itself.
pub async fn happens_once_per_event_id(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let versions = f.versions(&app).await;
    let event = |idempotency: &str, created_at: u64| NewMessage {
        idempotency: claim(idempotency, at(100)),
        event_id: claim("event", at(100)),
        ..f.routed(versions, f.message(&app, at(created_at)), &[])
    };
    let first = event("k1", 1);
    let id = first.message.id;
    let within = event("k2", 1);
    let published = store.publish(vec![first, within]).await;
    assert_eq!(published, Ok(vec![Published::Stored, Published::EventIdTaken(id)]));
    assert_eq!(f.publish(event("k3", 2)).await, Published::EventIdTaken(id));
    assert_eq!(store.claimed(f.org, key("k2"), at(2)).await, Ok(None));
    assert_eq!(store.claimed(f.org, key("k3"), at(2)).await, Ok(None));
    assert_eq!(f.publish(event("k1", 2)).await, Published::Repeated(id), "the key comes first");
    assert_eq!(f.publish(event("k4", 100)).await, Published::Stored, "expired");
}

/// An application's pending deliveries are bounded, also within a batch; its neighbours' do not
/// count.
pub async fn keeps_to_the_quota(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    let (one, two) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let beside = f.endpoint(&neighbour).await;
    for i in 0..5 {
        f.send(&neighbour, &[&beside], at(i)).await;
    }
    let versions = f.versions(&app).await;
    let new = |max_pending: u64| NewMessage {
        max_pending: Some(max_pending),
        idempotency: None,
        ..f.routed(versions, f.message(&app, at(10)), &[&one, &two])
    };
    assert_eq!(f.publish(new(1)).await, Published::OverQuota);
    let refused = NewMessage { idempotency: claim("k", at(100)), ..new(3) };
    let batch = vec![new(3), refused.clone(), new(4), new(5)];
    let wanted = [Published::Stored, Published::OverQuota, Published::Stored, Published::OverQuota];
    assert_eq!(store.publish(batch).await, Ok(wanted.to_vec()));
    assert_absent(&f, &refused).await;
    assert_eq!(store.claimed(f.org, key("k"), at(10)).await, Ok(None));

    // A resend counts too, where it is asked to.
    let message = store.messages(tenant(&app), Default::default(), newest(1), true).await;
    let message = message.expect("messages").items.remove(0);
    let resend = || {
        let (trigger, due) = (Trigger::Manual, at(10));
        vec![routing::deliver(&message, &one, trigger, due, &*f.entropy)]
    };
    assert_eq!(store.enqueue(resend(), Some(4)).await, Ok(false));
    assert_eq!(f.pending(&one).await.len(), 2);
    assert_eq!(store.enqueue(resend(), Some(5)).await, Ok(true));
    let added = f.pending(&one).await.into_iter().find(|d| d.trigger == Trigger::Manual);
    f.tried(&added.expect("it is pending"), 500, EXHAUSTED, at(10)).await;

    // What has ended does not count any more.
    let done = f.pending(&one).await;
    f.tried(&done[0], 200, DELIVERED, at(11)).await;
    assert_eq!(f.publish(new(5)).await, Published::Stored);
}

/// After a lost reply the same call can be made again.
pub async fn is_safe_to_repeat(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut new = f.routed(f.versions(&app).await, f.message(&app, at(1)), &[&endpoint]);
    new.idempotency = claim("k", at(100));
    new.event_id = claim("e", at(100));
    assert_eq!(f.publish(new.clone()).await, Published::Stored);
    assert_eq!(f.publish(new.clone()).await, Published::Stored);
    assert_eq!(f.pending(&endpoint).await, new.deliveries);

    // Nor does it bring back what has ended since.
    f.tried(&new.deliveries[0], 200, DELIVERED, at(2)).await;
    assert_eq!(f.publish(new.clone()).await, Published::Stored);
    assert_eq!(f.pending(&endpoint).await, []);
    let resend = f.resend(&new.message, &endpoint, at(3)).await;
    assert_eq!(store.enqueue(vec![resend.clone(), resend.clone()], None).await, Ok(true));
    assert_eq!(f.pending(&endpoint).await, from_ref(&resend));
    f.tried(&resend, 200, DELIVERED, at(4)).await;
    assert_eq!(store.enqueue(vec![resend], None).await, Ok(true));
    assert_eq!(f.pending(&endpoint).await, []);
}

/// A resend of a message that is gone is left out; the others of its batch are not.
pub async fn enqueues_only_for_stored_messages(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let resend = |message| {
        let id = DeliveryId::generate(at(2), &*f.entropy);
        Delivery { id, message, trigger: Trigger::Replay, ..sent.deliveries[0].clone() }
    };
    let orphan = resend(f.message(&app, at(2)).id);
    let good = resend(sent.message.id);
    assert_eq!(store.enqueue(vec![orphan, good.clone()], None).await, Ok(true));
    let mut pending = f.pending(&endpoint).await;
    pending.sort_by_key(|d| d.id);
    assert_eq!(pending, [sent.deliveries[0].clone(), good]);
    let listed = store.messages(tenant(&app), Default::default(), newest(10), true).await;
    assert_eq!(listed.expect("messages").items, [sent.message]);
}

/// Claims of two organizations never meet, whatever their keys.
pub async fn keeps_claims_of_organizations_apart(store: &dyn Store) {
    let f = Fixture::new(store);
    for f in [f.other(), f] {
        assert_eq!(store.claimed(f.org, key("k"), at(1)).await, Ok(None));
        let app = f.application().await;
        let mut new = f.routed(f.versions(&app).await, f.message(&app, at(1)), &[]);
        new.idempotency = claim("k", at(50));
        let id = new.message.id;
        assert_eq!(f.publish(new).await, Published::Stored);
        assert_eq!(store.claimed(f.org, key("k"), at(1)).await, Ok(Some(id)));
    }
}

/// Answers of requests that made no message are remembered; the first one stays.
pub async fn remembers_other_answers(store: &dyn Store) {
    let f = Fixture::new(store);
    let answer = |status: u16, text: &str| SavedResponse { status, body: text.as_bytes().to_vec() };
    assert_eq!(store.saved_response(f.org, key("k"), at(0)).await, Ok(None));
    assert_eq!(store.save_response(f.org, key("k"), answer(409, "{}"), at(50)).await, Ok(()));
    assert_eq!(store.save_response(f.org, key("k"), answer(201, "[]"), at(60)).await, Ok(()));
    let saved = store.saved_response(f.org, key("k"), at(49)).await;
    assert_eq!(saved, Ok(Some(answer(409, "{}"))));
    assert_eq!(store.saved_response(f.org, key("k"), at(50)).await, Ok(None), "expired");
    assert_eq!(store.saved_response(f.org, key("other"), at(0)).await, Ok(None));
    assert_eq!(store.saved_response(f.other().org, key("k"), at(0)).await, Ok(None));
    assert_eq!(store.claimed(f.org, key("k"), at(0)).await, Ok(None), "it is no message's");
}

/// Callers at the same moment each get their own answers; of those with one key, one wins.
pub async fn answers_callers_at_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    let mut calls = Vec::new();
    for i in 0..64 {
        let mut new = f.routed(versions, f.message(&app, at(1)), &[&endpoint]);
        match i % 4 {
            0 => new.idempotency = claim("k", at(100)),
            1 => new.versions.app += 1,
            _ => {}
        }
        calls.push(new);
    }
    let ids: Vec<_> = calls.iter().map(|new| new.message.id).collect();
    let published = join_all(calls.into_iter().map(|new| f.publish(new))).await;

    let winner = (0..64).step_by(4).find(|i| published[*i] == Published::Stored);
    let winner = winner.expect("one with the key is stored");
    let mut stored = Vec::new();
    for (i, (id, published)) in ids.iter().zip(&published).enumerate() {
        let wanted = match i % 4 {
            0 if i != winner => Published::Repeated(ids[winner]),
            1 => Published::Stale,
            _ => {
                stored.push(*id);
                Published::Stored
            }
        };
        assert_eq!(*published, wanted, "{i}");
    }
    let mut pending: Vec<_> = f.pending(&endpoint).await.iter().map(|d| d.message).collect();
    pending.sort();
    stored.sort();
    assert_eq!(pending, stored);
}
