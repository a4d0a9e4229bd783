//! One of every kind of thing that a store holds, for several tenants.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    alert::{Alert, Channel, Condition, Notice, Rule, Subject},
    analytics::Unaccepted,
    application::Application,
    claim::{ClaimKey, ClaimKind},
    clock::{ManualClock, Timestamp},
    delivery::{Health, Next, Trigger},
    endpoint::{Endpoint, Transformation},
    entropy::Entropy,
    event_type::EventType,
    id::{
        AlertId, AlertRuleId, ApplicationId, AttemptId, EndpointId, OrganizationId, SecretId,
        TaskId, TokenId,
    },
    message::{Body, Message, Origin},
    name::EventTypeName,
    organization::{Organization, OrganizationSettings, SchemaMode},
    retry::RetrySchedule,
    routing,
    signature::SignatureType,
    task::{Outcome, Task, TaskKind, TaskStatus},
    token::{Access, Revocation, Revoked, Token},
};
use serde_json::json;
use store::{
    Store,
    analytics::{RollupLimits, UnacceptedCount},
    history::Tenant,
    housekeeping::RetentionLimits,
    publish::{Claim, NewMessage, SavedResponse},
    suite::{
        fixture::{ACTOR, Fixture, at, uid},
        traffic::{DELIVERED, EXHAUSTED, Sent, moved, tenant},
    },
    tokens::TokenUse,
};

/// What was put in, by name.
#[derive(Default)]
pub struct Filled {
    pub orgs: Vec<OrganizationId>,
    pub apps: Vec<(OrganizationId, ApplicationId)>,
    pub endpoints: Vec<(Tenant, EndpointId)>,
    pub messages: Vec<(Tenant, domain::id::MessageId)>,
    pub keys: Vec<(OrganizationId, ClaimKey)>,
    pub event_types: Vec<(OrganizationId, EventTypeName)>,
}

fn event_type(name: &str) -> EventTypeName {
    name.parse().expect("a name")
}

fn key(text: &str) -> ClaimKey {
    ClaimKey::new(ClaimKind::IdempotencyKey, &[text.as_bytes()])
}

/// Fills a store. What it holds at the end is of 0 to 500 seconds after the suite's time zero.
pub async fn fill(store: &dyn Store, clock: &ManualClock) -> Filled {
    let f = Fixture::new(store);
    let mut filled = Filled::default();
    catalogue(&f, &mut filled).await;
    tenant_with_all(&f, &mut filled).await;
    deleted_application(&f, &mut filled).await;
    sources(&f, &mut filled).await;
    let g = f.other();
    neighbour(&g, &mut filled).await;
    rollups(&f, &filled).await;
    clock.advance(Duration::from_secs(400));
    let limits = RetentionLimits { now: at(400), history_before: at(0), rows: 1_000 };
    let swept = store.sweep(limits).await.expect("a sweep");
    assert_eq!((swept.payloads, swept.expired), (2, 1));
    claims_and_answers(&f, &g, &mut filled).await;
    tokens_and_tasks(&f, &g, &filled).await;
    // It gets a row and nothing else: nobody can tell it from one without.
    let blank = f.other();
    assert_eq!(
        blank.store.save_response(blank.org, key("b"), answer("{}"), at(9_000)).await,
        Ok(())
    );
    filled.keys.push((blank.org, key("b")));
    filled.orgs.extend([f.org, g.org, blank.org]);
    filled
}

/// Of all units, some rolled up.
async fn rollups(f: &Fixture<'_>, filled: &Filled) {
    let (org, app) = filled.apps[0];
    let (tenant, at_10, count) = (Tenant { org, app }, at(10), 3);
    let unaccepted = UnacceptedCount { tenant, at: at_10, why: Unaccepted::Rate, count };
    assert_eq!(f.store.count_unaccepted(vec![unaccepted]).await, Ok(()));
    assert_eq!(f.store.flush_rollups(&[]).await, Ok(()));
    let before = Timestamp::EPOCH;
    let limits = RollupLimits {
        now: at(2 * 86_400),
        minutes_before: before,
        quarters_before: before,
        days_before: before,
    };
    while f.store.roll_up(limits).await.expect("a step") {}
}

async fn catalogue(f: &Fixture<'_>, filled: &mut Filled) {
    let settings = OrganizationSettings {
        schema_mode: SchemaMode::Warn,
        max_pending_deliveries: Some(1 << 40),
        payload_retention: Some(Duration::from_millis(86_400_123)),
    };
    let organization = Organization { id: f.org, settings };
    assert_eq!(f.store.put_organization(&ACTOR, organization, 0).await, Ok(Ok(())));
    let plain = |name: &str| EventType {
        org: f.org,
        name: event_type(name),
        description: String::new(),
        archived: false,
        deprecated: false,
        schemas: None,
        group_name: None,
        feature_flags: Vec::new(),
        schema_mode: None,
        retry_schedule: None,
        created_at: at(0),
        updated_at: at(1),
    };
    let full = EventType {
        description: "NUL \0, \"quotes\", \u{1F984}".into(),
        deprecated: true,
        schemas: Some(json!({ "1": { "z": 0.1, "a": [1, -2.5e-7, null], "\0": "\0" } })),
        group_name: Some("group \0".into()),
        feature_flags: vec!["beta".parse().expect("a name"), "x.1".parse().expect("a name")],
        schema_mode: Some(SchemaMode::Reject),
        retry_schedule: Some(RetrySchedule::new([Duration::from_millis(1_500)]).expect("short")),
        ..plain("user.signup")
    };
    for event_type in
        [full, plain("user.deleted"), EventType { archived: true, ..plain("old_one") }]
    {
        let name = event_type.name.clone();
        assert_eq!(f.store.create_event_type(&ACTOR, event_type).await, Ok(Ok(())));
        filled.event_types.push((f.org, name));
    }
}

fn full_endpoint(f: &Fixture<'_>, app: &Application) -> Endpoint {
    let mut endpoint = f.new_endpoint(app, at(1));
    endpoint.uid = uid("main");
    endpoint.url = "https://user:secret@example.com:8443/hook?a=%20b".parse().expect("a url");
    endpoint.description = "The \0 one \u{1F984}".into();
    endpoint.throttle_rate = Some(u16::MAX);
    endpoint.version = 3;
    endpoint.event_types = Some(vec![event_type("user.signup")]);
    endpoint.channels = Some(vec!["c:1".parse().expect("a name"), "d+2".parse().expect("a name")]);
    endpoint.metadata.insert("plan \0".into(), "gold \0".into());
    endpoint.headers.insert("x-key".into(), "hidden".into());
    endpoint.headers.insert("x-more".into(), "ü".into());
    endpoint.secrets = vec![
        f.secret(SignatureType::Ed25519, None),
        f.secret(SignatureType::Hmac256, Some(at(500))),
        f.secret(SignatureType::Hmac256, Some(at(600))),
    ];
    let waits = [Duration::from_millis(250), Duration::from_secs(30)];
    endpoint.retry_schedule = Some(RetrySchedule::new(waits).expect("a schedule"));
    endpoint.transformation = Some(Transformation {
        code: Some("function handler(w) { return w; } // \0".into()),
        enabled: true,
        variables: Some([("token".into(), "hidden \0".into())].into()),
    });
    endpoint
}

impl Filled {
    fn app(&mut self, app: &Application) {
        self.apps.push((app.org, app.id));
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        self.endpoints.push((Tenant { org: endpoint.org, app: endpoint.app }, endpoint.id));
    }

    fn sent(&mut self, sent: &Sent) {
        self.messages
            .push((Tenant { org: sent.message.org, app: sent.message.app }, sent.message.id));
    }
}

async fn tenant_with_all(f: &Fixture<'_>, filled: &mut Filled) {
    let mut app = f.new_application(at(0));
    app.uid = uid("acme");
    app.name = "Ac\0me".into();
    app.throttle_rate = Some(7);
    app.metadata = BTreeMap::from([("k \0".into(), "v".into())]);
    f.create_application(&app).await;
    filled.app(&app);
    // Of the same uid as one that is deleted, in both orders of their ids.
    let mut hooks = [f.new_endpoint(&app, at(2)), f.new_endpoint(&app, at(3))];
    for hook in &mut hooks {
        hook.uid = uid("hook");
    }
    let [gone, live] = hooks;
    f.create_endpoint(&gone).await;
    let (main, plain) = (full_endpoint(f, &app), f.new_endpoint(&app, at(1)));
    f.create_endpoint(&main).await;
    f.create_endpoint(&plain).await;
    let failing = f.endpoint(&app).await;

    // Tried with the first revision of an endpoint, and with the second.
    let one = f.send(&app, &[&main, &plain, &gone], at(5)).await;
    let [to_main, to_plain, to_gone] = &one.deliveries[..] else { panic!("three") };
    f.tried(to_main, 500, Next::Retry(at(20)), at(6)).await;
    let newer = f
        .update_endpoint(&main, |main| {
            main.url = "https://u:p@two.example/".parse().expect("a url");
            main.headers.clear();
        })
        .await;
    let mut outcome = f.outcome(&moved(to_main, at(20)), Some(429), Next::Retry(at(900)), at(20));
    let attempt = outcome.attempt.as_mut().expect("an outcome has one");
    attempt.url = domain::endpoint::shown_url(&newer.url);
    attempt.endpoint_revision = 2;
    attempt.outcome.response = Bytes::from(vec![0xff; 64 << 10]);
    attempt.outcome.retry_after = Some(Duration::from_micros(1_500_001));
    attempt.secrets = (0..2).map(|_| SecretId::generate(at(0), &*f.entropy)).collect();
    attempt.body_hash = std::array::from_fn(|i| i as u8);
    f.settle(outcome).await;
    let expunged = f.tried(to_plain, 200, DELIVERED, at(7)).await;
    let done = f.store.expunge_attempt(tenant(&app), one.message.id, expunged.id).await;
    assert_eq!(done, Ok(true));
    f.tried(to_gone, 500, Next::Retry(at(800)), at(8)).await;

    // Asked for once more: in vain, and with success while the schedule goes on.
    let two = f.send(&app, &[&main, &plain], at(9)).await;
    let resend = f.resend(&two.message, &main, at(10)).await;
    f.tried(&resend, 404, EXHAUSTED, at(10)).await;
    let resend = f.resend(&two.message, &plain, at(11)).await;
    let late = f.outcome(&two.deliveries[1], None, Next::Retry(at(700)), at(12));
    assert_eq!(
        f.settle(f.outcome(&resend, Some(204), DELIVERED, at(12))).await.also_ended.len(),
        1
    );
    assert!(f.settle(late).await.superseded);

    // Replayed to an endpoint that it did not go to.
    let three = f.send(&app, &[&plain], at(13)).await;
    f.tried(&three.deliveries[0], 503, EXHAUSTED, at(14)).await;
    let replay = routing::deliver(&three.message, &main, Trigger::Replay, at(15), &*f.entropy);
    assert_eq!(f.store.enqueue(vec![replay], None).await, Ok(true));

    // The endpoint is disabled because it only fails.
    let four = f.send(&app, &[&failing], at(16)).await;
    let mut outcome = f.outcome(&four.deliveries[0], None, Next::Retry(at(950)), at(17));
    outcome.health = Health::Failing(at(17));
    f.settle(outcome).await;
    let mut outcome =
        f.outcome(&moved(&four.deliveries[0], at(950)), Some(500), Next::Retry(at(960)), at(18));
    outcome.health = Health::Disable { fail_since: at(17) };
    f.settle(outcome).await;

    let expunged = f.send(&app, &[&main, &plain], at(19)).await;
    let done = f.store.expunge_message(tenant(&app), expunged.message.id, at(30)).await;
    assert_eq!(done, Ok(true));
    let nowhere = f.send(&app, &[], at(20)).await;
    // Their time is over at the sweep: one is still pending then, one has ended.
    let short = |from| Message { expires_at: at(100), ..f.message(&app, at(from)) };
    let over = [
        f.send_message(short(21), &app, &[&plain]).await,
        f.send_message(short(22), &app, &[&plain]).await,
    ];
    f.tried(&over[1].deliveries[0], 200, DELIVERED, at(23)).await;

    let full = f.send_message(full_message(f, &app), &app, &[&plain, &main]).await;
    for sent in [&one, &two, &three, &four, &expunged, &nowhere, &over[0], &over[1], &full] {
        filled.sent(sent);
    }
    for bytes in [0, 70, 200_000, 300_001] {
        let mut noise = vec![0; bytes];
        f.entropy.fill(&mut noise[bytes / 2..]);
        let body = Body::new(noise.into(), "application/octet-stream".into(), Vec::new());
        let message = Message { body: Some(body), ..f.message(&app, at(40)) };
        filled.sent(&f.send_message(message, &app, &[&plain]).await);
    }

    alerts(f, app.id).await;
    let deleted = f.store.delete_endpoint(&ACTOR, f.org, app.id, gone.id, at(50)).await;
    assert_eq!(deleted, Ok(Ok(())));
    f.create_endpoint(&live).await;
    for endpoint in [&main, &plain, &failing, &gone, &live] {
        filled.endpoint(endpoint);
    }
}

fn full_message(f: &Fixture<'_>, app: &Application) -> Message {
    let headers = vec![("x-a".into(), "b".into()), ("x-nul".into(), "\0".into())];
    Message {
        event_id: uid("evt-1"),
        event_type: event_type("user.deleted"),
        channels: vec!["c:1".parse().expect("a name"), "e".parse().expect("a name")],
        tags: vec![r"a/b\c#d".parse().expect("a tag"), "t".parse().expect("a tag")],
        body: Some(Body::new(Bytes::from_static(b"\x00\xff no JSON"), "text/x".into(), headers)),
        origin: Origin::Operational,
        deliver_at: Some(at(1_000)),
        expires_at: at(40_000_000),
        ..f.message(app, at(31))
    }
}

/// What is pending for it waits for a task to cancel it.
async fn deleted_application(f: &Fixture<'_>, filled: &mut Filled) {
    let mut app = f.new_application(at(1));
    app.uid = uid("again");
    f.create_application(&app).await;
    let endpoint = f.endpoint(&app).await;
    let pending = f.send(&app, &[&endpoint], at(60)).await;
    let ended = f.send(&app, &[&endpoint], at(61)).await;
    f.tried(&ended.deliveries[0], 200, DELIVERED, at(62)).await;
    assert_eq!(f.store.delete_application(&ACTOR, f.org, app.id, at(70)).await, Ok(Ok(())));
    let again = Application { uid: uid("again"), ..f.new_application(at(2)) };
    f.create_application(&again).await;
    filled.app(&app);
    filled.app(&again);
    filled.endpoint(&endpoint);
    filled.sent(&pending);
    filled.sent(&ended);
}

/// One that is there, and one that was deleted.
async fn sources(f: &Fixture<'_>, filled: &mut Filled) {
    for deleted in [false, true] {
        let mut app = f.new_source(at(0));
        app.uid = uid(if deleted { "src.gone" } else { "src.hooks" });
        f.create_application(&app).await;
        filled.app(&app);
        let endpoint = f.endpoint(&app).await;
        filled.endpoint(&endpoint);
        if deleted {
            let gone = f.store.delete_application(&ACTOR, f.org, app.id, at(1)).await;
            assert_eq!(gone, Ok(Ok(())));
        }
    }
}

/// Another organization, with much of a kind: pages of it have bounds.
async fn neighbour(g: &Fixture<'_>, filled: &mut Filled) {
    let app = g.application().await;
    let endpoints = [g.endpoint(&app).await, g.endpoint(&app).await];
    for i in 0..30 {
        let sent = g.send(&app, &endpoints.each_ref(), at(80 + i)).await;
        match i % 3 {
            0 => drop(g.tried(&sent.deliveries[0], 200, DELIVERED, at(120)).await),
            1 => drop(g.tried(&sent.deliveries[1], 500, Next::Retry(at(5_000 + i)), at(121)).await),
            _ => {}
        }
        filled.sent(&sent);
    }
    filled.app(&app);
    endpoints.iter().for_each(|endpoint| filled.endpoint(endpoint));
}

fn answer(text: &str) -> SavedResponse {
    SavedResponse { status: 409, body: text.as_bytes().to_vec() }
}

async fn claims_and_answers(f: &Fixture<'_>, g: &Fixture<'_>, filled: &mut Filled) {
    for f in [f, g] {
        let app = f.application().await;
        let versions = f.versions(&app).await;
        let mut claiming = async |created_at, text: &str, event_id: Option<&str>, expires_at| {
            let message = f.message(&app, at(created_at));
            let claim = |key| Claim { key, expires_at: at(expires_at) };
            let event_id = event_id.and_then(uid);
            let event_key = event_id.map(|id| ClaimKey::event_id(&f.org, &app.id, &id));
            let new = NewMessage {
                idempotency: Some(claim(key(text))),
                event_id: event_key.map(claim),
                message: Arc::new(message),
                deliveries: Vec::new(),
                versions,
                max_pending: None,
            };
            let tenant = tenant(&app);
            filled.messages.push((tenant, new.message.id));
            filled.keys.extend([key(text)].into_iter().chain(event_key).map(|key| (f.org, key)));
            f.publish(new).await;
        };
        for i in 0..12 {
            claiming(410, &format!("k{i}"), Some(&format!("evt-{i}")), 5_000).await;
        }
        // Expired, and some of them claimed once more.
        for i in 0..4 {
            claiming(420, &format!("old{i}"), None, 430).await;
        }
        for i in 0..2 {
            claiming(440, &format!("old{i}"), None, 6_000).await;
        }
        filled.app(&app);
        for (text, expires_at) in [("r1", 410), ("r2", 7_000)] {
            let answer = answer(&format!("{{\"of\":\"{text} \0\"}}"));
            let saved = f.store.save_response(f.org, key(text), answer, at(expires_at)).await;
            assert_eq!(saved, Ok(()));
            filled.keys.push((f.org, key(text)));
        }
    }
}

async fn tokens_and_tasks(f: &Fixture<'_>, g: &Fixture<'_>, filled: &Filled) {
    let (tenant, endpoint) = filled.endpoints[0];
    let Tenant { org, app } = tenant;
    for (org, app, session_id) in
        [(org, Some(app), Some("s \0 1".to_owned())), (org, Some(app), None), (g.org, None, None)]
    {
        let id = TokenId::generate(at(0), &*f.entropy);
        let whole = app.is_none();
        let token = Token {
            id,
            org,
            app,
            session_id,
            name: whole.then(|| "the \0 console".to_owned()),
            access: if whole { Access::Read } else { Access::Full },
            hash: whole.then_some([6; 32]),
            last_used_at: None,
            created_at: at(0),
            expires_at: at(9_000),
        };
        assert_eq!(f.store.create_token(&ACTOR, token).await, Ok(()));
        if whole {
            let uses = vec![TokenUse { org, id, at: at(7) }];
            assert_eq!(f.store.note_token_uses(uses).await, Ok(()));
        }
    }
    let revoked = [
        Revoked::Token(std::array::from_fn(|i| i as u8)),
        Revoked::Application(org, app),
        Revoked::Session(org, app, "s \0 1".into()),
        // Said twice.
        Revoked::Application(org, app),
    ];
    for what in revoked {
        let revocation =
            Revocation { what, issued_until: at(401), at: at(402), forget_at: at(9_000) };
        assert_eq!(f.store.revoke(&ACTOR, org, None, revocation).await, Ok(()));
    }
    for (org, status, done) in [
        (f.org, TaskStatus::Finished, 1),
        (g.org, TaskStatus::Failed, 0),
        (f.org, TaskStatus::Running, 500),
    ] {
        let id = TaskId::generate(at(403), &*f.entropy);
        let kind = TaskKind::Recover { app, endpoint, since: at(1), until: at(2) };
        let task = Task {
            status,
            cursor: (done > 1).then(|| *AttemptId::generate(at(1), &*f.entropy).raw()),
            done,
            scanned: 2 * done,
            total: (done > 0).then_some(3 * done),
            result: (done == 1).then(|| Arc::new(Outcome::Failure("so it was".into()))),
            ..Task::new(org, id, kind, at(404))
        };
        assert_eq!(f.store.create_task(&ACTOR, task).await, Ok(None));
    }
}

/// A rule, an alert that is open and one that is over.
async fn alerts(f: &Fixture<'_>, app: ApplicationId) {
    let rule = Rule {
        org: f.org,
        id: AlertRuleId::generate(at(41), &*f.entropy),
        name: "Silence".into(),
        enabled: true,
        condition: Condition::NothingReceived { app, window: Duration::from_secs(60) },
        hold: Duration::from_secs(15),
        channels: vec![Channel::Slack {
            url: "https://hooks.example/hush".parse().expect("a url"),
        }],
        created_at: at(41),
        updated_at: at(42),
    };
    assert_eq!(f.store.create_alert_rule(&ACTOR, rule.clone()).await, Ok(true));
    for (secs, cleared_at) in [(43, Some(at(44))), (45, None)] {
        let alert = Alert {
            org: f.org,
            id: AlertId::generate(at(secs), &*f.entropy),
            rule: rule.id,
            rule_name: rule.name.clone(),
            condition: "nothing_received".into(),
            subject: Subject::Application(app),
            since: at(41),
            fired_at: at(secs),
            cleared_at,
            value: 61.5,
            threshold: 60.0,
            text: "It is silent.".into(),
            notices: vec![Notice::new(false, 0, "slack hooks.example".into(), at(secs))],
        };
        assert_eq!(f.store.put_alert(alert).await, Ok(true));
    }
}
