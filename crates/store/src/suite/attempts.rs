//! Attempts: lists, look-ups, and the end of a response.

use std::time::Duration;

use bytes::Bytes;
use domain::{
    application::Application,
    attempt::{Attempt, OutcomeClass},
    delivery::{Delivery, Next},
    endpoint::Endpoint,
    id::{AttemptId, MessageId, SecretId},
    message::Message,
    page::{Order, PageRequest},
};

use super::{
    fixture::{Fixture, assert_pages, at, first, newest},
    traffic::{DELIVERED, moved, tenant},
};
use crate::{
    Store,
    deliveries::Settled,
    history::{AttemptFilter, EXPUNGED_RESPONSE, MessageFilter, Status},
};

impl Fixture<'_> {
    /// Tries a delivery once per status, ten seconds apart from `start` on; the last one ends it.
    async fn tries(
        &self,
        (message, delivery): (&Message, &Delivery),
        start: u64,
        statuses: &[Option<u16>],
    ) -> Vec<Attempt> {
        let mut delivery = delivery.clone();
        let mut attempts = Vec::new();
        for (i, status) in statuses.iter().enumerate() {
            let now = start + 10 * i as u64;
            let last = i + 1 == statuses.len();
            let next = if last { DELIVERED } else { Next::Retry(at(now + 10)) };
            attempts.push(self.attempted(message, &delivery, (*status, next), at(now)).await);
            delivery = moved(&delivery, at(now + 10));
        }
        attempts
    }

    /// Eight attempts of two messages at two endpoints, in the order they were made.
    async fn history(&self, app: &Application) -> History {
        let (one, two) = (self.endpoint(app).await, self.endpoint(app).await);
        let signup = self.send(app, &[&one, &two], at(0)).await;
        let mut message = self.message(app, at(1));
        message.event_type = "user.deleted".parse().expect("a name");
        message.channels = vec!["c".parse().expect("a name")];
        message.tags = vec!["t".parse().expect("a name")];
        let deleted = self.send_message(message, app, &[&one]).await;
        let failures = [Some(500), None, Some(302), Some(200)];
        let mut attempts =
            self.tries((&signup.message, &signup.deliveries[0]), 10, &failures).await;
        for (sent, delivery, start, statuses) in
            [(&signup, 1, 100, [Some(404), Some(204)]), (&deleted, 0, 200, [Some(429), Some(299)])]
        {
            let of = (&sent.message, &sent.deliveries[delivery]);
            attempts.extend(self.tries(of, start, &statuses).await);
        }
        let (signup, deleted) = (signup.message.id, deleted.message.id);
        History { one, two, signup, deleted, attempts }
    }
}

struct History {
    one: Endpoint,
    two: Endpoint,
    signup: MessageId,
    deleted: MessageId,
    /// 0..4 signup at one, 4..6 signup at two, 6..8 deleted at one.
    attempts: Vec<Attempt>,
}

/// Everything of an attempt is kept.
pub async fn keep_all_they_are_given(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let mut outcome = f.outcome(&sent.deliveries[0], Some(429), Next::Retry(at(60)), at(2));
    let mut attempt = outcome.attempt.clone().expect("an outcome has one");
    attempt.url = "https://user:****@example.com/hook?é=%20".into();
    attempt.outcome.class = OutcomeClass::Ambiguous;
    attempt.outcome.response = Bytes::from_static(b"\x00\xff no text");
    attempt.outcome.duration = Duration::from_micros(15_000_123);
    attempt.outcome.retry_after = Some(Duration::from_millis(1_500));
    attempt.outcome.timed_out = true;
    attempt.secrets = (0..2).map(|_| SecretId::generate(at(0), &*f.entropy)).collect::<Vec<_>>();
    attempt.body_hash = std::array::from_fn(|i| i as u8);
    attempt.endpoint_revision = endpoint.revision;
    outcome.attempt = Some(attempt.clone());
    assert_eq!(f.settle(outcome).await, Settled::default());

    let (of, message) = (tenant(&app), sent.message.id);
    let found = store.attempt(of, message, attempt.id).await;
    assert_eq!(found, Ok(Some(attempt.clone())));
    let by_endpoint =
        store.attempts_by_endpoint(of, endpoint.id, AttemptFilter::default(), newest(9)).await;
    assert_eq!(by_endpoint.expect("attempts").items, [attempt.clone()]);
    let by_message =
        store.attempts_by_message(of, message, AttemptFilter::default(), newest(9)).await;
    assert_eq!(by_message.expect("attempts").items, [attempt.clone()]);
    let other = f.send(&app, &[&endpoint], at(1)).await.message.id;
    assert_eq!(store.attempt(of, other, attempt.id).await, Ok(None), "of another message");
    let unknown = AttemptId::generate(at(2), &*f.entropy);
    assert_eq!(store.attempt(of, message, unknown).await, Ok(None));
}

/// By endpoint and by message, with each filter.
pub async fn are_filtered(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let h = f.history(&app).await;
    let all = AttemptFilter::default;
    let class = |class| AttemptFilter { status_code_class: Some(class), ..all() };
    let status = |status| AttemptFilter { status: Some(status), ..all() };
    let message = |message| AttemptFilter { message, ..all() };
    let plain = MessageFilter::default;
    let event_types = |text: &str| Some(vec![text.parse().expect("a name")]);
    let (channel, tag) = (Some("c".parse().expect("a name")), Some("t".parse().expect("a name")));
    for (filter, at_one, of_signup) in [
        (all(), vec![0, 1, 2, 3, 6, 7], vec![0, 1, 2, 3, 4, 5]),
        (status(Status::Success), vec![3, 7], vec![3, 5]),
        (status(Status::Fail), vec![0, 1, 2, 6], vec![0, 1, 2, 4]),
        (status(Status::Pending), vec![], vec![]),
        (status(Status::Sending), vec![], vec![]),
        (status(Status::Canceled), vec![], vec![]),
        (class(0), vec![1], vec![1]),
        (class(100), vec![], vec![]),
        (class(200), vec![3, 7], vec![3, 5]),
        (class(300), vec![2], vec![2]),
        (class(400), vec![6], vec![4]),
        (class(500), vec![0], vec![0]),
        (message(MessageFilter { before: Some(at(30)), ..plain() }), vec![0, 1], vec![0, 1]),
        (message(MessageFilter { after: Some(at(30)), ..plain() }), vec![3, 6, 7], vec![3, 4, 5]),
        (
            message(MessageFilter { event_types: event_types("user.deleted"), ..plain() }),
            vec![6, 7],
            vec![],
        ),
        (message(MessageFilter { channel, ..plain() }), vec![6, 7], vec![]),
        (message(MessageFilter { tag, ..plain() }), vec![6, 7], vec![]),
        (
            AttemptFilter {
                status: Some(Status::Fail),
                message: MessageFilter {
                    event_types: event_types("user.signup"),
                    after: Some(at(10)),
                    ..plain()
                },
                ..all()
            },
            vec![1, 2],
            vec![1, 2, 4],
        ),
    ] {
        let attempts =
            |at: Vec<usize>| at.iter().map(|i| h.attempts[*i].clone()).collect::<Vec<_>>();
        let found = store.attempts_by_endpoint(tenant(&app), h.one.id, filter.clone(), first(20));
        assert_eq!(found.await.expect("attempts").items, attempts(at_one), "{filter:?}");
        let found = store.attempts_by_message(tenant(&app), h.signup, filter.clone(), first(20));
        assert_eq!(found.await.expect("attempts").items, attempts(of_signup), "{filter:?}");
    }
    let at_two = AttemptFilter { endpoint: Some(h.two.id), ..all() };
    let found = store.attempts_by_message(tenant(&app), h.signup, at_two.clone(), newest(20)).await;
    assert_eq!(found.expect("attempts").items, [h.attempts[5].clone(), h.attempts[4].clone()]);
    let found = store.attempts_by_message(tenant(&app), h.deleted, at_two, newest(20)).await;
    assert_eq!(found.expect("attempts").items, []);
}

/// Pages in both orders, forwards and backwards, with and without a filter.
pub async fn are_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let h = f.history(&app).await;
    let ids = |of: [usize; 6]| of.map(|i| h.attempts[i].id);
    let mut at_one = ids([0, 1, 2, 3, 6, 7]);
    let mut of_signup = ids([0, 1, 2, 3, 4, 5]);
    let mut failed = [0, 1, 2, 6].map(|i: usize| h.attempts[i].id);
    let only_failed = AttemptFilter { status: Some(Status::Fail), ..AttemptFilter::default() };
    let of = tenant(&app);
    for order in [Order::Ascending, Order::Descending] {
        for (ids, filter) in
            [(&at_one[..], AttemptFilter::default()), (&failed[..], only_failed.clone())]
        {
            assert_pages(ids, order, async |page: PageRequest<AttemptId>| {
                let page = store.attempts_by_endpoint(of, h.one.id, filter.clone(), page).await;
                page.expect("attempts").map(|attempt| attempt.id)
            })
            .await;
        }
        assert_pages(&of_signup, order, async |page: PageRequest<AttemptId>| {
            let page =
                store.attempts_by_message(of, h.signup, AttemptFilter::default(), page).await;
            page.expect("attempts").map(|attempt| attempt.id)
        })
        .await;
        at_one.reverse();
        of_signup.reverse();
        failed.reverse();
    }
}

/// A response can be taken away; what else is known of the attempt stays.
pub async fn can_be_expunged(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let h = f.history(&app).await;
    let of = tenant(&app);
    let mut attempt = h.attempts[0].clone();
    assert_eq!(store.expunge_attempt(of, h.signup, attempt.id).await, Ok(true));
    attempt.outcome.response = EXPUNGED_RESPONSE;
    assert_eq!(store.attempt(of, h.signup, attempt.id).await, Ok(Some(attempt.clone())));
    assert_eq!(store.expunge_attempt(of, h.signup, attempt.id).await, Ok(true), "again");
    assert_eq!(store.expunge_attempt(of, h.deleted, attempt.id).await, Ok(false));
    let beside = &h.attempts[1];
    let found = store.attempt(of, h.signup, beside.id).await;
    assert_eq!(found, Ok(Some(beside.clone())));
}

/// An attempt is reached only through its own application and organization.
pub async fn of_two_tenants_never_meet(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour, stranger) =
        (f.application().await, f.application().await, f.other().application().await);
    let h = f.history(&app).await;
    let mixed = Application { org: stranger.org, ..app.clone() };
    for wrong in [&neighbour, &stranger, &mixed] {
        let wrong = tenant(wrong);
        let all = AttemptFilter::default;
        let found = store.attempts_by_endpoint(wrong, h.one.id, all(), newest(9)).await;
        assert_eq!(found.expect("attempts").items, []);
        let found = store.attempts_by_message(wrong, h.signup, all(), newest(9)).await;
        assert_eq!(found.expect("attempts").items, []);
        let attempt = h.attempts[0].id;
        assert_eq!(store.attempt(wrong, h.signup, attempt).await, Ok(None));
        assert_eq!(store.expunge_attempt(wrong, h.signup, attempt).await, Ok(false));
    }
}
