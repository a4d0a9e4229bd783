//! How messages stand at endpoints: lists by status, counts, and what can be recovered.

use domain::{
    application::Application,
    delivery::Next,
    endpoint::Endpoint,
    id::{EndpointId, MessageId},
    page::{Order, PageRequest},
};

use super::{
    fixture::{ACTOR, Fixture, assert_pages, at, first, newest},
    traffic::{DELIVERED, EXHAUSTED, Sent, lane, moved, tenant},
};
use crate::{
    Store,
    history::{EndpointCounts, MessageFilter, Status, Tenant},
};

impl Fixture<'_> {
    /// Seven messages to one endpoint, a second apart, and how each stands there in the end.
    async fn standing(&self, app: &Application, to: &Endpoint) -> Vec<(Sent, Status)> {
        let mut sent = Vec::new();
        for i in 0..7 {
            sent.push(self.send(app, &[to], at(i)).await);
        }
        let delivery = |i: usize| &sent[i].deliveries[0];
        self.tried(delivery(0), 200, DELIVERED, at(10)).await;
        self.tried(delivery(2), 500, Next::Retry(at(900)), at(10)).await;
        self.tried(delivery(3), 500, EXHAUSTED, at(10)).await;
        // Failed for good, and brought there by a resend.
        self.tried(delivery(4), 500, EXHAUSTED, at(10)).await;
        let resend = self.resend(&sent[4].message, to, at(20)).await;
        self.tried(&resend, 200, DELIVERED, at(20)).await;
        // Failed for good, and its resend failed too.
        self.tried(delivery(5), 500, EXHAUSTED, at(10)).await;
        let resend = self.resend(&sent[5].message, to, at(20)).await;
        self.tried(&resend, 500, EXHAUSTED, at(20)).await;
        let expunged = self.store.expunge_message(tenant(app), sent[6].message.id, at(30)).await;
        assert_eq!(expunged, Ok(true));
        let statuses = [
            Status::Success,
            Status::Pending,
            Status::Sending,
            Status::Fail,
            Status::Success,
            Status::Fail,
            Status::Canceled,
        ];
        sent.into_iter().zip(statuses).collect()
    }
}

/// Each status is found by itself, and every message says how it stands and when it goes on.
pub async fn is_told_of_messages(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let all = f.standing(&app, &endpoint).await;
    f.send(&app, &[&beside], at(40)).await;
    let list = async |status: Option<Status>, filter| {
        let (of, statuses) = (tenant(&app), Vec::from_iter(status));
        let found = store.endpoint_messages(of, endpoint.id, filter, statuses, first(20), true);
        found.await.expect("endpoint_messages").items
    };
    let found = list(None, MessageFilter::default()).await;
    assert_eq!(found.len(), all.len());
    for (found, (sent, status)) in found.iter().zip(&all) {
        assert_eq!((found.message.id, found.status), (sent.message.id, *status));
        if *status != Status::Canceled {
            assert_eq!(found.message, sent.message);
        }
        let next_attempt = match status {
            Status::Pending => Some(sent.deliveries[0].due),
            Status::Sending => Some(at(900)),
            _ => None,
        };
        assert_eq!(found.next_attempt, next_attempt, "{status:?}");
    }
    for status in
        [Status::Success, Status::Pending, Status::Sending, Status::Fail, Status::Canceled]
    {
        let wanted = all.iter().filter(|(_, s)| *s == status).map(|(sent, _)| sent.message.id);
        let found = list(Some(status), MessageFilter::default()).await;
        let found: Vec<_> = found.iter().map(|found| found.message.id).collect();
        assert_eq!(found, wanted.collect::<Vec<_>>(), "{status:?}");
    }
    let both = vec![Status::Success, Status::Canceled];
    let any = MessageFilter::default();
    let found = store.endpoint_messages(tenant(&app), endpoint.id, any, both, first(20), false);
    let found: Vec<_> = found.await.expect("list").items.iter().map(|f| f.message.id).collect();
    assert_eq!(found, [0, 4, 6].map(|i: usize| all[i].0.message.id));
    let between =
        MessageFilter { after: Some(at(0)), before: Some(at(4)), ..MessageFilter::default() };
    assert_eq!(list(None, between.clone()).await.len(), 3);
    let failed = list(Some(Status::Fail), between).await;
    assert_eq!(failed[0].message.id, all[3].0.message.id);
    let other_type = Some(vec!["user.deleted".parse().expect("a name")]);
    let none = MessageFilter { event_types: other_type, ..MessageFilter::default() };
    assert_eq!(list(None, none).await, []);
}

/// A message with a resend on its way stands as its schedule does; one that was only ever resent
/// stands as its newest resend.
pub async fn follows_the_schedule(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, late) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let stands = async |endpoint: &Endpoint| {
        let found = store.message_endpoints(tenant(&app), sent.message.id, first(9)).await;
        let found = found.expect("message_endpoints").items;
        let found = found.into_iter().find(|found| found.endpoint == endpoint.id);
        found.map(|found| (found.status, found.next_attempt))
    };
    assert_eq!(stands(&endpoint).await, Some((Status::Pending, Some(at(1)))));
    assert_eq!(stands(&late).await, None);
    f.tried(&sent.deliveries[0], 500, Next::Retry(at(60)), at(1)).await;
    f.resend(&sent.message, &endpoint, at(5)).await;
    assert_eq!(stands(&endpoint).await, Some((Status::Sending, Some(at(60)))));
    let resend = f.resend(&sent.message, &late, at(6)).await;
    assert_eq!(stands(&late).await, Some((Status::Pending, Some(at(6)))));
    f.tried(&resend, 500, EXHAUSTED, at(6)).await;
    assert_eq!(stands(&late).await, Some((Status::Fail, None)));
    f.resend(&sent.message, &late, at(7)).await;
    assert_eq!(stands(&late).await, Some((Status::Pending, Some(at(7)))));
}

/// Pages in both orders, forwards and backwards, with and without a status.
pub async fn is_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let all = f.standing(&app, &endpoint).await;
    for order in [Order::Ascending, Order::Descending] {
        for status in [None, Some(Status::Success), Some(Status::Fail), Some(Status::Pending)] {
            let wanted = all.iter().filter(|(_, s)| status.is_none_or(|status| *s == status));
            let mut ids: Vec<MessageId> = wanted.map(|(sent, _)| sent.message.id).collect();
            if order == Order::Descending {
                ids.reverse();
            }
            assert_pages(&ids, order, async |page: PageRequest<MessageId>| {
                let (of, filter) = (tenant(&app), MessageFilter::default());
                let statuses = Vec::from_iter(status);
                let page =
                    store.endpoint_messages(of, endpoint.id, filter, statuses, page, false).await;
                page.expect("endpoint_messages").map(|found| {
                    assert_eq!(found.message.body, None, "not asked for");
                    found.message.id
                })
            })
            .await;
        }
    }
}

/// The endpoints of a message, by id, page by page.
pub async fn is_told_of_endpoints(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let mut endpoints = Vec::new();
    for _ in 0..5 {
        endpoints.push(f.endpoint(&app).await);
    }
    let sent = f.send(&app, &endpoints.iter().collect::<Vec<_>>(), at(1)).await;
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(2)).await;
    // A deleted one is still named.
    let deleted = store.delete_endpoint(&ACTOR, f.org, app.id, endpoints[1].id, at(2)).await;
    assert_eq!(deleted, Ok(Ok(())));
    assert_eq!(store.cancel(lane(&endpoints[1]), 10, at(3)).await, Ok(1));
    let mut ids: Vec<EndpointId> = endpoints.iter().map(|endpoint| endpoint.id).collect();
    ids.sort();
    assert_pages(&ids, Order::Ascending, async |page: PageRequest<EndpointId>| {
        let page = store.message_endpoints(tenant(&app), sent.message.id, page).await;
        page.expect("message_endpoints").map(|found| {
            let status = match found.endpoint {
                id if id == endpoints[0].id => Status::Success,
                id if id == endpoints[1].id => Status::Canceled,
                _ => Status::Pending,
            };
            assert_eq!(found.status, status);
            found.endpoint
        })
    })
    .await;
    let unknown = f.message(&app, at(1)).id;
    let none = store.message_endpoints(tenant(&app), unknown, first(9)).await.expect("list");
    assert!(none.items.is_empty() && none.done);
}

/// Attempts are counted by when they began, work by how it stands now.
pub async fn is_counted(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    f.standing(&app, &endpoint).await;
    f.send(&app, &[&beside], at(1)).await;
    for (since, until, success, fail) in [
        (at(0), at(100), 2, 5),
        (at(10), at(20), 1, 4),
        (at(20), at(21), 1, 1),
        (at(11), at(20), 0, 0),
        (at(100), at(200), 0, 0),
    ] {
        let counts = store.endpoint_counts(tenant(&app), endpoint.id, since, until).await;
        let wanted = EndpointCounts { success, fail, pending: 1, sending: 1 };
        assert_eq!(counts, Ok(wanted), "{since} to {until}");
    }
    let stranger = Tenant { org: f.other().org, app: app.id };
    let counts = store.endpoint_counts(stranger, endpoint.id, at(0), at(100)).await;
    assert_eq!(counts, Ok(EndpointCounts::default()));
}

/// Messages to recover, in steps of at most `limit`.
async fn to_recover(
    store: &dyn Store,
    of: Tenant,
    endpoint: EndpointId,
    range: (u64, u64),
    limit: usize,
) -> Vec<MessageId> {
    let range = (at(range.0), at(range.1));
    let mut all: Vec<MessageId> = Vec::new();
    let mut after = None;
    loop {
        let step = store.failed_messages(of, endpoint, range, after, limit).await;
        let (found, next) = step.expect("failed_messages");
        assert!(found.len() <= limit);
        all.extend(found);
        match next {
            Some(next) => assert!(after.replace(next) < Some(next), "it goes on"),
            None => return all,
        }
    }
}

/// What has a failed attempt in the range, be it given up or tried again later, and never arrived.
pub async fn tells_what_to_recover(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let mut sent = Vec::new();
    for i in 0..7 {
        sent.push(f.send(&app, &[&endpoint, &beside], at(i)).await);
    }
    let delivery = |i: usize| &sent[i].deliveries[0];
    let ids = |of: &[usize]| of.iter().map(|i| sent[*i].message.id).collect::<Vec<_>>();
    f.tried(delivery(0), 200, DELIVERED, at(10)).await;
    // It failed there, and at the neighbour only; 1 was never tried.
    f.tried(&sent[1].deliveries[1], 500, EXHAUSTED, at(10)).await;
    f.tried(delivery(2), 500, Next::Retry(at(900)), at(13)).await;
    f.tried(delivery(3), 500, EXHAUSTED, at(12)).await;
    // Brought there by a resend.
    f.tried(delivery(4), 500, EXHAUSTED, at(11)).await;
    let resend = f.resend(&sent[4].message, &endpoint, at(20)).await;
    f.tried(&resend, 200, DELIVERED, at(20)).await;
    // On its way again because somebody asked.
    f.tried(delivery(5), 500, EXHAUSTED, at(14)).await;
    let resend = f.resend(&sent[5].message, &endpoint, at(50)).await;
    // It arrived, too late to count for its delivery.
    f.tried(delivery(6), 500, Next::Retry(at(900)), at(15)).await;
    let late = f.settle(f.outcome(delivery(6), Some(200), DELIVERED, at(16))).await;
    assert!(late.superseded);

    let of = tenant(&app);
    for limit in 1..=4 {
        let found = to_recover(store, of, endpoint.id, (0, 100), limit).await;
        assert_eq!(found, ids(&[3, 2]), "by {limit}, in the order of their attempts");
    }
    assert_eq!(to_recover(store, of, endpoint.id, (13, 100), 9).await, ids(&[2]));
    assert_eq!(to_recover(store, of, endpoint.id, (0, 12), 9).await, []);
    f.tried(&resend, 500, EXHAUSTED, at(50)).await;
    assert_eq!(to_recover(store, of, endpoint.id, (0, 100), 9).await, ids(&[3, 2, 5]));
    assert_eq!(to_recover(store, of, beside.id, (0, 100), 9).await, ids(&[1]));
    let stranger = Tenant { org: f.other().org, app: app.id };
    assert_eq!(to_recover(store, stranger, endpoint.id, (0, 100), 9).await, []);
}

/// A message that failed often is told of once, by the first time that lies in the range; when it was
/// published does not count.
pub async fn tells_of_each_failure_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let (one, two) =
        (f.send(&app, &[&endpoint], at(1)).await, f.send(&app, &[&endpoint], at(2)).await);
    let mut delivery = one.deliveries[0].clone();
    for time in [100, 200, 300] {
        f.tried(&delivery, 500, Next::Retry(at(time + 100)), at(time)).await;
        delivery = moved(&delivery, at(time + 100));
    }
    f.tried(&two.deliveries[0], 500, EXHAUSTED, at(150)).await;
    let (of, one, two) = (tenant(&app), one.message.id, two.message.id);
    for (range, wanted) in [
        ((0, 400), vec![one, two]),
        ((150, 400), vec![two, one]),
        ((200, 300), vec![one]),
        ((0, 100), vec![]),
        ((301, 400), vec![]),
    ] {
        for limit in 1..=3 {
            let found = to_recover(store, of, endpoint.id, range, limit).await;
            assert_eq!(found, wanted, "{range:?} by {limit}");
        }
    }
}

/// All deliveries of a message to an endpoint are on record, for its own tenant.
pub async fn is_on_record(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let sent = f.send(&app, &[&endpoint, &beside], at(1)).await;
    let second = f.send(&app, &[&endpoint], at(1)).await;
    let elsewhere = f.send(&app, &[&beside], at(1)).await;
    let resend = f.resend(&sent.message, &endpoint, at(50)).await;
    let records = store.delivery_records(tenant(&app), vec![sent.message.id], endpoint.id).await;
    let records = records.expect("delivery_records");
    let found: Vec<_> = records.iter().map(|r| (r.id, r.trigger, r.message, r.endpoint)).collect();
    let wanted = [&sent.deliveries[0], &resend].map(|d| (d.id, d.trigger, d.message, d.endpoint));
    assert_eq!(found, wanted);
    let messages = [&sent, &second, &elsewhere].map(|sent| sent.message.id).to_vec();
    let records = store.delivery_records(tenant(&app), messages, endpoint.id).await;
    let mut found: Vec<_> = records.expect("delivery_records").iter().map(|r| r.id).collect();
    let mut wanted = [sent.deliveries[0].id, resend.id, second.deliveries[0].id];
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    assert_eq!(store.delivery_records(tenant(&app), Vec::new(), endpoint.id).await, Ok(vec![]));

    let neighbour = f.application().await;
    for wrong in [tenant(&neighbour), Tenant { org: f.other().org, app: app.id }] {
        let id = sent.message.id;
        assert_eq!(store.delivery_records(wrong, vec![id], endpoint.id).await, Ok(Vec::new()));
        let listed = store.message_endpoints(wrong, id, first(9)).await.expect("list");
        assert_eq!(listed.items, []);
        let filter = MessageFilter::default();
        let any = Vec::new();
        let page = store.endpoint_messages(wrong, endpoint.id, filter, any, newest(9), true).await;
        assert_eq!(page.expect("list").items, []);
    }
}
