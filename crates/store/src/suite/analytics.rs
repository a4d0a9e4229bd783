//! Counting what happens.

use std::time::Duration;

use domain::{
    analytics::{Counts, Rollup, Unaccepted, Unit},
    application::Application,
    attempt::OutcomeClass,
    clock::Timestamp,
    delivery::{Health, Next},
    message::Message,
};

use super::{
    fixture::{ACTOR, Fixture, at},
    traffic::{DELIVERED, EVENT_TYPE, TOOK, moved, tenant},
};
use crate::{
    Store, StoreError,
    analytics::{FailingEndpoint, Of, PendingWork, RollupLimits, RollupRow, Span, UnacceptedCount},
    deliveries::Settle,
    housekeeping::CheckReport,
};

/// More than any case has.
const LIMIT: usize = 1_000;

/// Units from the one of a moment on, so many.
fn span(unit: Unit, from: Timestamp, count: i64) -> Span {
    let from = unit.floor(from);
    Span { unit, from, until: Timestamp::from_secs(from.as_secs() + count * unit.secs()) }
}

fn keep_everything(now: Timestamp) -> RollupLimits {
    let before = Timestamp::EPOCH;
    RollupLimits { now, minutes_before: before, quarters_before: before, days_before: before }
}

fn counts(messages: u64, attempts: u64, successes: u64, retries: u64) -> Counts {
    Counts { messages, bytes: 0, attempts, successes, retries }
}

fn without_bytes(rollup: &Rollup) -> Counts {
    Counts { bytes: 0, ..rollup.counts() }
}

impl Fixture<'_> {
    async fn flush(&self) {
        self.store.flush_rollups(&[]).await.expect("flush_rollups");
    }

    async fn rollups(&self, of: Of, span: Span) -> Vec<RollupRow> {
        self.store.rollups(self.org, of, span, LIMIT).await.expect("rollups")
    }

    /// Two messages of two types, one of which arrives at its second try, in three minutes.
    async fn traffic(&self, app: &Application) -> Vec<Message> {
        let endpoint = self.endpoint(app).await;
        let plain = self.send(app, &[&endpoint], at(0)).await;
        self.attempted(&plain.message, &plain.deliveries[0], (Some(204), DELIVERED), at(1)).await;
        let mut other = self.message(app, at(2));
        other.event_type = "invoice.paid".parse().expect("an event type");
        let other = self.send_message(other, app, &[&endpoint]).await;
        let first = &other.deliveries[0];
        self.attempted(&other.message, first, (None, Next::Retry(at(120))), at(60)).await;
        let second = moved(first, at(120));
        self.attempted(&other.message, &second, (Some(200), DELIVERED), at(121)).await;
        vec![plain.message, other.message]
    }
}

fn bytes(message: &Message) -> u64 {
    message.body.as_ref().map_or(0, |body| body.bytes.len() as u64)
}

/// Both are counted in the minute they belong to, by application and by event type, exactly.
pub async fn count_messages_and_attempts(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let messages = f.traffic(&app).await;
    f.flush().await;

    let minutes = span(Unit::Minute, at(0), 4);
    let rows = f.rollups(Of::Applications, minutes).await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.is_sorted_by_key(|row| row.at));
    let first = &rows[0];
    assert_eq!((first.at, first.app), (Unit::Minute.floor(at(0)), Some(app.id)));
    assert_eq!((&first.endpoint, &first.event_type), (&None, &None));
    let want = Counts { bytes: messages.iter().map(bytes).sum(), ..counts(2, 1, 1, 0) };
    assert_eq!(first.rollup.counts(), want);
    assert_eq!(first.rollup.delivery.count(), 1);
    let near = |told: Duration, want: Duration| told.abs_diff(want) <= want / 50;
    let took = first.rollup.delivery.quantile(0.5).expect("one");
    assert!(near(took, Duration::from_secs(1) + TOOK), "{took:?}");
    let answered = first.rollup.response.quantile(0.5).expect("one");
    assert!(near(answered, TOOK), "{answered:?}");
    let timeouts = rows[1].rollup.attempts[OutcomeClass::Timeout as usize];
    assert_eq!((timeouts, rows[1].rollup.response.count()), (1, 0));
    assert_eq!(without_bytes(&rows[2].rollup), counts(0, 1, 1, 1));

    let by_type = f.rollups(Of::EventTypes, minutes).await;
    let of = |name: &str| {
        let mut sum = Counts::default();
        by_type
            .iter()
            .filter(|row| row.event_type.as_ref().is_some_and(|t| t.as_str() == name))
            .for_each(|row| sum.merge(&row.rollup.counts()));
        Counts { bytes: 0, ..sum }
    };
    assert_eq!(of(EVENT_TYPE), counts(1, 1, 1, 0));
    assert_eq!(of("invoice.paid"), counts(1, 2, 1, 1));

    let summed = store.application_counts(f.org, minutes).await.expect("application_counts");
    let bytes = messages.iter().map(bytes).sum();
    assert_eq!(summed, [(app.id, Counts { bytes, ..counts(2, 3, 2, 1) })]);
    let refused = store.rollups(f.org, Of::Applications, minutes, 2).await;
    assert_eq!(refused, Err(StoreError::Overloaded));

    // What is counted later adds to what is there.
    let late = f.send(&app, &[], at(3)).await;
    f.flush().await;
    let summed = store.application_counts(f.org, minutes).await.expect("application_counts");
    assert_eq!(summed[0].1.messages, 3);
    assert_eq!(summed[0].1.bytes, want.bytes + self::bytes(&late.message));
}

/// What came twice, or too late, is counted once or not at all.
pub async fn leave_out_what_changed_nothing(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(0)).await;
    let outcome = f.outcome(&sent.deliveries[0], Some(200), DELIVERED, at(1));
    f.settle(outcome.clone()).await;
    // The same once more, as after a lost reply; and one that comes after the end.
    f.settle(outcome).await;
    let late = f.outcome(&sent.deliveries[0], Some(500), Next::Retry(at(60)), at(2));
    assert!(f.settle(late).await.superseded);
    f.flush().await;
    f.flush().await;
    let rows = f.rollups(Of::Applications, span(Unit::Minute, at(0), 2)).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(without_bytes(&rows[0].rollup), counts(1, 1, 1, 0));
}

/// The rollups of minutes say what messages and attempts say.
pub async fn are_what_a_recount_gives(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    f.traffic(&app).await;
    f.traffic(&app).await;
    f.flush().await;
    let minutes = span(Unit::Minute, at(0), 4);
    let rows = f.rollups(Of::Application(app.id), minutes).await;
    assert_eq!(rows.len(), 2 + 2 * 3, "messages by type, attempts by endpoint: {rows:?}");
    assert_eq!(store.recount(tenant(&app), minutes).await, Ok(rows));
}

/// Quarters and days add up their minutes, those that came late among them.
pub async fn are_rolled_up(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    f.traffic(&app).await;
    f.flush().await;
    let quarters = span(Unit::Quarter, at(0), 2);
    let all = f.rollups(Of::Application(app.id), span(Unit::Minute, at(0), 30)).await;
    let mut sum = Rollup::default();
    all.iter().for_each(|row| sum.merge(&row.rollup));

    let tomorrow = at(2 * 86_400);
    let roll_up = async |now| {
        while store.roll_up(keep_everything(now)).await.expect("roll_up") {}
        store.rolled_up().await.expect("rolled_up")
    };
    let rolled = roll_up(tomorrow).await;
    assert!(rolled.quarters > at(900) && rolled.quarters <= tomorrow, "{rolled:?}");
    assert!(rolled.days > at(0) && rolled.days <= tomorrow, "{rolled:?}");
    let days = span(Unit::Day, at(0), 1);
    // The last attempt is in another quarter than the rest.
    for (span, parts) in [(quarters, 5), (days, 4)] {
        for of in [Of::Application(app.id), Of::Applications, Of::EventTypes] {
            let mut rolled = Rollup::default();
            f.rollups(of, span).await.iter().for_each(|row| rolled.merge(&row.rollup));
            assert_eq!(rolled, sum, "{of:?} {span:?}");
        }
        let rows = f.rollups(Of::Application(app.id), span).await;
        assert!(rows.iter().all(|row| row.at == span.unit.floor(row.at)), "{rows:?}");
        assert_eq!(rows.len(), parts, "{rows:?}");
        let counts = store.application_counts(f.org, span).await.expect("application_counts");
        assert_eq!(counts, [(app.id, sum.counts())]);
    }

    // What comes late to a time that was rolled up is in its quarter and day all the same.
    f.send(&app, &[], at(5)).await;
    f.flush().await;
    roll_up(tomorrow).await;
    for span in [quarters, days] {
        let counts = store.application_counts(f.org, span).await.expect("application_counts");
        assert_eq!(counts[0].1.messages, 3, "{span:?}");
    }
}

/// Retention takes old ones away.
pub async fn are_kept_for_their_time(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    f.traffic(&app).await;
    f.flush().await;
    let roll_up = async |limits| while store.roll_up(limits).await.expect("roll_up") {};
    let now = at(2 * 86_400);
    roll_up(keep_everything(now)).await;
    let gone = Unit::Day.ceil(at(1));
    roll_up(RollupLimits { days_before: gone, ..keep_everything(now) }).await;
    assert_eq!(f.rollups(Of::Applications, span(Unit::Day, at(0), 1)).await, []);
}

/// What comes when the minutes of its quarter are gone takes nothing away from the quarter.
pub async fn stay_when_their_parts_are_gone(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    f.traffic(&app).await;
    f.flush().await;
    let now = at(3 * 86_400);
    let gone = at(2 * 86_400);
    let limits =
        RollupLimits { minutes_before: gone, quarters_before: gone, ..keep_everything(now) };
    let roll_up = async || while store.roll_up(limits).await.expect("roll_up") {};
    roll_up().await;
    f.send(&app, &[], at(5)).await;
    f.flush().await;
    roll_up().await;
    let counts = store.application_counts(f.org, span(Unit::Day, at(0), 1)).await;
    let counts = counts.expect("application_counts")[0].1;
    assert!(counts.messages >= 2 && counts.attempts == 3, "{counts:?}");
    // It is not in its quarter: as long as it is on record, a check says so.
    super::retention::sweep(store, now, at(86_400), 100).await;
}

/// A check compares what was counted with what is on record, and names what differs. Some of it is gone:
/// bodies that were expunged, and the history that retention took.
pub async fn are_checked(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    // So long ago that all of it is written, whatever is counted at this moment.
    let ago = |secs: u64| at(secs).minus(Duration::from_secs(86_400));
    let mut sent = Vec::new();
    for i in 0..40 {
        let message = f.send(&app, &[&endpoint], ago(90 * i)).await;
        let outcome = (Some(200), DELIVERED);
        f.attempted(&message.message, &message.deliveries[0], outcome, ago(90 * i + 1)).await;
        sent.push(message);
    }
    f.flush().await;
    let fact = |report: &CheckReport, records: &str| {
        let of = |fact: &&String| fact.contains("counts by time");
        let fact = report.facts.iter().find(of).expect("a fact about counts");
        assert!(fact.ends_with(records), "{fact}");
    };
    let check = async || store.check().await.expect("check");
    let clean = check().await;
    assert_eq!(clean.problems, [""; 0]);
    fact(&clean, "compared with 40 messages and 40 attempts");
    while store.roll_up(keep_everything(at(600))).await.expect("roll_up") {}
    assert_eq!(check().await.problems, [""; 0], "rolled up");
    let expunged = store.expunge_message(tenant(&app), sent[30].message.id, at(1)).await;
    assert_eq!(expunged, Ok(true));
    // Of the oldest messages some go, and attempts of others; nothing is said of the time next to them.
    super::retention::sweep(store, at(1), ago(600), 100).await;
    let clean = check().await;
    assert_eq!(clean.problems, [""; 0], "what is gone is not missed");
    fact(&clean, "compared with 22 messages and 22 attempts");

    // Counted as what it was not.
    let late = f.send(&app, &[&endpoint], ago(3_500)).await;
    let outcome = f.outcome(&late.deliveries[0], Some(200), DELIVERED, ago(3_501));
    f.settle(Settle { event_type: "invoice.paid".parse().expect("a type"), ..outcome }).await;
    f.flush().await;
    let problems = check().await.problems;
    let minute = format!("minute of {}", Unit::Minute.floor(ago(3_501)));
    let (app, endpoint) = (app.id.to_string(), endpoint.id.to_string());
    for (event_type, difference) in [
        ("invoice.paid", "success counted 1, on record 0"),
        (EVENT_TYPE, "success counted 1, on record 2"),
    ] {
        let named = [&app, &endpoint, event_type, &minute, difference];
        let names = |line: &&String| named.iter().all(|part| line.contains(part));
        assert_eq!(problems.iter().filter(names).count(), 1, "{event_type}: {problems:?}");
    }
    let total = problems.last().expect("problems");
    assert!(total.ends_with("counts differ from a recount of messages and attempts"), "{total}");
    // Without a record nothing is wrong.
    super::retention::sweep(store, at(1), ago(7_200), 100).await;
}

/// Duplicates and refusals are counted by their reason.
pub async fn count_what_sources_do_not_accept(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let count = |why, count| UnacceptedCount { tenant: tenant(&app), at: at(1), why, count };
    let counts = vec![count(Unaccepted::Duplicate, 2), count(Unaccepted::Signature, 3)];
    store.count_unaccepted(counts).await.expect("count_unaccepted");
    f.flush().await;
    store.count_unaccepted(vec![count(Unaccepted::Duplicate, 1)]).await.expect("count_unaccepted");
    f.flush().await;
    let minutes = span(Unit::Minute, at(0), 1);
    for of in [Of::Application(app.id), Of::Applications, Of::EventTypes] {
        let mut sum = Rollup::default();
        f.rollups(of, minutes).await.iter().for_each(|row| sum.merge(&row.rollup));
        assert_eq!(sum.unaccepted, [3, 3, 0, 0, 0], "{of:?}");
    }
}

/// Nobody sees the counts of another application or organization.
pub async fn of_two_tenants_never_meet(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    f.traffic(&app).await;
    let others = f.other();
    others.traffic(&others.application().await).await;
    f.flush().await;
    let minutes = span(Unit::Minute, at(0), 4);
    assert_eq!(f.rollups(Of::Application(neighbour.id), minutes).await, []);
    assert_eq!(store.recount(tenant(&neighbour), minutes).await, Ok(vec![]));
    let counts = store.application_counts(f.org, minutes).await.expect("application_counts");
    assert_eq!(counts.len(), 1, "{counts:?}");
    let of_types = f.rollups(Of::EventTypes, minutes).await;
    assert_eq!(of_types.iter().map(|row| row.rollup.messages).sum::<u64>(), 2);
    // An application of another organization is none of this one.
    let theirs = others.rollups(Of::Application(app.id), minutes).await;
    assert_eq!(theirs, []);
}

/// Endpoints that only fail are found, those that do so longest first.
pub async fn find_failing_endpoints(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let [well, failing, worse, gone] = [
        f.endpoint(&app).await,
        f.endpoint(&app).await,
        f.endpoint(&app).await,
        f.endpoint(&app).await,
    ];
    for (endpoint, health) in [
        (&failing, Health::Failing(at(5))),
        (&worse, Health::Disable { fail_since: at(3) }),
        (&gone, Health::Failing(at(1))),
    ] {
        let sent = f.send(&app, &[endpoint], at(1)).await;
        let outcome = f.outcome(&sent.deliveries[0], Some(500), Next::Retry(at(60)), at(5));
        f.settle(Settle { health, ..outcome }).await;
    }
    let deleted = store.delete_endpoint(&ACTOR, app.org, app.id, gone.id, at(9)).await;
    assert_eq!(deleted, Ok(Ok(())));
    let find = async |limit| store.failing_endpoints(f.org, limit).await.expect("an answer");
    let found =
        |endpoint, since, disabled| FailingEndpoint { app: app.id, endpoint, since, disabled };
    let want = [found(worse.id, at(3), true), found(failing.id, at(5), false)];
    assert_eq!(find(10).await, want);
    assert_eq!(find(1).await, want[..1]);
    assert!(!find(10).await.iter().any(|found| found.endpoint == well.id));
    assert_eq!(store.failing_endpoints(f.other().org, 10).await, Ok(vec![]));
}

/// Applications with work that remains are found, those with most of it first.
pub async fn find_pending_work(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, busier, idle) = (f.application().await, f.application().await, f.application().await);
    let endpoint = f.endpoint(&app).await;
    f.send(&app, &[&endpoint], at(1)).await;
    let endpoints = [f.endpoint(&busier).await, f.endpoint(&busier).await];
    f.send(&busier, &[&endpoints[0], &endpoints[1]], at(1)).await;
    let endpoint = f.endpoint(&idle).await;
    let sent = f.send(&idle, &[&endpoint], at(1)).await;
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(2)).await;
    let find = async |limit| store.pending_work(f.org, limit).await.expect("an answer");
    let want =
        [PendingWork { app: busier.id, pending: 2 }, PendingWork { app: app.id, pending: 1 }];
    assert_eq!(find(10).await, want);
    assert_eq!(find(1).await, want[..1]);
    assert_eq!(store.pending_work(f.other().org, 10).await, Ok(vec![]));
}
