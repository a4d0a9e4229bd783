//! Messages: lists, look-ups, and the end of a payload.

use std::slice::from_ref;

use bytes::Bytes;
use domain::{
    application::Application,
    delivery::{Cause, EndState, Next},
    id::MessageId,
    message::{Body, Message},
    name::Ref,
    page::{Cursor, Order, PageRequest},
};

use super::{
    fixture::{Fixture, assert_pages, at, by_uid, first, newest, uid},
    traffic::{DELIVERED, moved, tenant},
};
use crate::{
    Store,
    history::{MessageFilter, Status},
};

fn names<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().expect("a name")).collect()
}

impl Fixture<'_> {
    /// Six messages, ten seconds apart, of three types with channels and tags.
    async fn labelled(&self, app: &Application) -> Vec<Message> {
        let mut sent = Vec::new();
        for (i, (event_type, channels, tags)) in [
            ("user.signup", &["a"][..], &["x"][..]),
            ("user.signup", &["a", "ab"], &[]),
            ("user.deleted", &["ab"], &["x", "xy"]),
            ("user.deleted", &[], &["xy"]),
            ("user", &["a:b"], &["x/y"]),
            ("user.signup", &["b", "a"], &["y", "x"]),
        ]
        .into_iter()
        .enumerate()
        {
            let mut message = self.message(app, at(10 * i as u64));
            message.event_type = event_type.parse().expect("a name");
            message.channels = names(channels);
            message.tags = names(tags);
            sent.push(self.send_message(message, app, &[]).await.message);
        }
        sent
    }
}

/// Filters hold each by itself and all together; time bounds are exclusive.
pub async fn are_filtered(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let sent = f.labelled(&app).await;
    let all = MessageFilter::default;
    let channel = |text: &str| Some(text.parse().expect("a channel"));
    let tag = |text: &str| Some(text.parse().expect("a tag"));
    for (filter, wanted) in [
        (all(), vec![0, 1, 2, 3, 4, 5]),
        (MessageFilter { channel: channel("a"), ..all() }, vec![0, 1, 5]),
        (MessageFilter { channel: channel("ab"), ..all() }, vec![1, 2]),
        (MessageFilter { channel: channel("none"), ..all() }, vec![]),
        (MessageFilter { tag: tag("x"), ..all() }, vec![0, 2, 5]),
        (MessageFilter { tag: tag("xy"), ..all() }, vec![2, 3]),
        (MessageFilter { event_types: Some(names(&["user"])), ..all() }, vec![4]),
        (
            MessageFilter { event_types: Some(names(&["user.deleted", "user"])), ..all() },
            vec![2, 3, 4],
        ),
        (MessageFilter { event_types: Some(Vec::new()), ..all() }, vec![]),
        (MessageFilter { before: Some(at(20)), ..all() }, vec![0, 1]),
        (MessageFilter { after: Some(at(20)), ..all() }, vec![3, 4, 5]),
        (MessageFilter { after: Some(at(5)), before: Some(at(45)), ..all() }, vec![1, 2, 3, 4]),
        (
            MessageFilter {
                after: Some(at(0)),
                channel: channel("a"),
                tag: tag("x"),
                event_types: Some(names(&["user.signup"])),
                before: None,
            },
            vec![5],
        ),
    ] {
        let page = store.messages(tenant(&app), filter.clone(), first(20), true).await;
        let page = page.expect("messages");
        let wanted: Vec<_> = wanted.into_iter().map(|i: usize| sent[i].clone()).collect();
        assert_eq!(page.items, wanted, "{filter:?}");
        assert!(page.done);
    }
}

/// Pages in both orders, forwards and backwards, with and without a filter.
pub async fn are_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    f.labelled(&f.application().await).await;
    let sent = f.labelled(&app).await;
    let mut all: Vec<MessageId> = sent.iter().map(|message| message.id).collect();
    let mut with_x = vec![all[0], all[2], all[5]];
    let tagged =
        MessageFilter { tag: Some("x".parse().expect("a tag")), ..MessageFilter::default() };
    for order in [Order::Ascending, Order::Descending] {
        for (ids, filter) in [(&all, MessageFilter::default()), (&with_x, tagged.clone())] {
            assert_pages(ids, order, async |page: PageRequest<MessageId>| {
                let page = store.messages(tenant(&app), filter.clone(), page, false).await;
                page.expect("messages").map(|message| message.id)
            })
            .await;
        }
        all.reverse();
        with_x.reverse();
    }
}

/// Payloads are read only where they are asked for.
pub async fn come_with_or_without_body(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let sent = f.send(&app, &[], at(1)).await.message;
    let bare = Message { body: None, ..sent.clone() };
    for (with_body, wanted) in [(true, &sent), (false, &bare)] {
        let listed = store.messages(tenant(&app), MessageFilter::default(), newest(1), with_body);
        assert_eq!(listed.await.expect("messages").items, from_ref(wanted));
        let found = store.messages_by_id(tenant(&app), vec![sent.id], with_body).await;
        assert_eq!(found, Ok(vec![wanted.clone()]));
    }
}

/// A page ends where its bodies weigh enough, says how far it has come, and loses nothing.
pub async fn come_in_pages_of_bounded_bytes(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut sent = Vec::new();
    for i in 0..20 {
        let mut message = f.message(&app, at(i));
        message.body = Some(Body::json(Bytes::from(vec![b'x'; 1 << 20])));
        sent.push(f.send_message(message, &app, &[&endpoint]).await.message.id);
    }
    let list = async |at_endpoint: bool, page: PageRequest<MessageId>| {
        let (of, filter) = (tenant(&app), MessageFilter::default());
        if at_endpoint {
            let any = Vec::new();
            let page = store.endpoint_messages(of, endpoint.id, filter, any, page, true).await;
            page.expect("endpoint_messages").map(|found| found.message.id)
        } else {
            let page = store.messages(of, filter, page, true).await;
            page.expect("messages").map(|message| message.id)
        }
    };
    for at_endpoint in [false, true] {
        let page = list(at_endpoint, first(50)).await;
        assert_eq!((page.items.len(), page.done), (16, false));
        let reached = page.reached.map(MessageId::from_raw);
        assert_eq!(reached.as_ref(), page.items.last());
        let rest = PageRequest { cursor: reached.map(Cursor::After), ..first(50) };
        let rest = list(at_endpoint, rest).await;
        assert_eq!((rest.done, rest.reached), (true, None));
        assert_eq!([page.items, rest.items].concat(), sent);
    }
    let bare = store.messages(tenant(&app), MessageFilter::default(), first(50), false).await;
    assert_eq!(bare.expect("messages").items.len(), 20);
}

/// By id, by event id (the newest one), and several at once.
pub async fn are_found(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let mut event = f.message(&app, at(1));
    event.event_id = uid("event");
    f.send_message(event.clone(), &app, &[]).await;
    assert_eq!(store.message(tenant(&app), &by_uid("event")).await, Ok(Some(event.clone())));
    let mut later = f.message(&app, at(2));
    later.event_id = uid("event");
    f.send_message(later.clone(), &app, &[]).await;
    assert_eq!(store.message(tenant(&app), &by_uid("event")).await, Ok(Some(later.clone())));
    assert_eq!(store.message(tenant(&app), &by_uid("other")).await, Ok(None));

    let unknown = f.message(&app, at(1)).id;
    let ids = vec![later.id, unknown, event.id];
    let mut found = store.messages_by_id(tenant(&app), ids, true).await.expect("messages_by_id");
    found.sort_by_key(|message| message.id);
    assert_eq!(found, [event, later]);
}

/// A message is reached only through its own application and organization.
pub async fn of_two_tenants_never_meet(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour, stranger) =
        (f.application().await, f.application().await, f.other().application().await);
    let mut message = f.message(&app, at(1));
    message.event_id = uid("event");
    f.send_message(message.clone(), &app, &[]).await;
    let mixed = Application { org: stranger.org, ..app.clone() };
    for wrong in [&neighbour, &stranger, &mixed] {
        let wrong = tenant(wrong);
        for reference in [Ref::Id(message.id), by_uid("event")] {
            assert_eq!(store.message(wrong, &reference).await, Ok(None));
        }
        let listed = store.messages(wrong, MessageFilter::default(), newest(9), true).await;
        assert_eq!(listed.expect("messages").items, []);
        assert_eq!(store.messages_by_id(wrong, vec![message.id], true).await, Ok(Vec::new()));
        assert_eq!(store.expunge_message(wrong, message.id, at(2)).await, Ok(false));
    }
    let mine = store.message(tenant(&app), &Ref::Id(message.id)).await;
    assert_eq!(mine, Ok(Some(message)));
}

/// Expunging takes the payload for good, ends what is pending, and leaves the rest of history.
pub async fn can_be_expunged(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (one, two, three) =
        (f.endpoint(&app).await, f.endpoint(&app).await, f.endpoint(&app).await);
    let sent = f.send(&app, &[&one, &two, &three], at(1)).await;
    let beside = f.send(&app, &[&one], at(1)).await;
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(2)).await;
    f.tried(&sent.deliveries[1], 500, Next::Retry(at(60)), at(2)).await;

    let id = sent.message.id;
    assert_eq!(store.expunge_message(tenant(&app), id, at(5)).await, Ok(true));
    let bare = Message { body: None, ..sent.message.clone() };
    assert_eq!(store.message(tenant(&app), &Ref::Id(id)).await, Ok(Some(bare)));
    assert_eq!(f.record(&sent.deliveries[0]).await.status(), Status::Success);
    for (i, attempts) in [(1, 1), (2, 0)] {
        let record = f.record(&sent.deliveries[i]).await;
        assert_eq!(record.end, Some((EndState::Cancelled, Cause::Expunged)));
        assert_eq!((record.attempts, record.ended_at), (attempts, Some(at(5))));
    }
    assert_eq!(f.pending(&one).await, beside.deliveries);
    assert_eq!(f.pending(&two).await, []);
    let late = moved(&sent.deliveries[1], at(60));
    let settled = f.settle(f.outcome(&late, Some(200), DELIVERED, at(6))).await;
    assert!(settled.superseded, "an attempt that was in the air comes too late");

    assert_eq!(store.expunge_message(tenant(&app), id, at(7)).await, Ok(true), "again");
    let unknown = f.message(&app, at(1)).id;
    assert_eq!(store.expunge_message(tenant(&app), unknown, at(7)).await, Ok(false));
    let untouched = store.message(tenant(&app), &Ref::Id(beside.message.id)).await;
    assert_eq!(untouched, Ok(Some(beside.message)));
}
