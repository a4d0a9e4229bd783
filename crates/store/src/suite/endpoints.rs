//! Endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice::from_ref,
    time::Duration,
};

use domain::{
    delivery::Health,
    endpoint::{Endpoint, Transformation},
    id::EndpointId,
    name::{EventTypeName, Ref},
    page::{Order, PageRequest},
    retry::RetrySchedule,
    shard::ShardSet,
    signature::SignatureType,
    task::{Subscriptions, TaskKind, TaskStatus},
};

use super::fixture::{ACTOR, Fixture, assert_pages, at, by_uid, first, uid};
use crate::{Store, catalog::Refused};

/// Everything of an endpoint is kept: secrets, headers and credentials too.
pub async fn keep_all_they_are_given(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let mut endpoint = f.new_endpoint(&app, at(1));
    endpoint.uid = uid("main");
    endpoint.url = "https://user:secret@example.com:8443/hook?a=%20b".parse().expect("a url");
    endpoint.description = "The \"main\" one \u{1F984}".into();
    endpoint.throttle_rate = Some(u16::MAX);
    endpoint.version = 3;
    endpoint.disabled = true;
    endpoint.event_types = Some(vec!["a.b".parse().expect("a name")]);
    endpoint.channels = Some(vec!["c:1".parse().expect("a name"), "d+2".parse().expect("a name")]);
    endpoint.metadata.insert("plan".into(), "gold".into());
    endpoint.headers.insert("x-key".into(), "hidden".into());
    endpoint.secrets = vec![
        f.secret(SignatureType::Ed25519, None),
        f.secret(SignatureType::Hmac256, Some(at(500))),
    ];
    let waits = [Duration::from_millis(250), Duration::from_secs(30)];
    endpoint.retry_schedule = Some(RetrySchedule::new(waits).expect("a schedule"));
    endpoint.transformation = Some(Transformation {
        code: Some("function handler(w) { return w; } // \0 \u{1F984}".into()),
        enabled: true,
        variables: Some([("token".into(), "hidden \0".into())].into()),
    });
    f.create_endpoint(&endpoint).await;

    for reference in [Ref::Id(endpoint.id), by_uid("main")] {
        let found = store.endpoint(f.org, app.id, &reference).await;
        assert_eq!(found, Ok(Some(endpoint.clone())));
    }
    let loaded = store.load_application(f.org, &Ref::Id(app.id)).await.expect("load");
    assert_eq!(loaded.expect("it is there").endpoints, [endpoint.clone()]);
    let listed = store.list_endpoints(f.org, app.id, first(10)).await.expect("list");
    assert_eq!(listed.items, [endpoint.clone()]);
    assert!(listed.done);

    // No filter is not the same as an empty one, and nothing of the old state stays.
    let plain = f.new_endpoint(&app, at(2));
    endpoint = Endpoint { id: endpoint.id, revision: 2, event_types: Some(Vec::new()), ..plain };
    assert_eq!(store.update_endpoint(&ACTOR, endpoint.clone()).await, Ok(Ok(())));
    assert_eq!(f.stored_endpoint(&endpoint).await, endpoint);
    assert_eq!(store.endpoint(f.org, app.id, &by_uid("main")).await, Ok(None));
}

/// A uid belongs to one endpoint of the application, until that is deleted.
pub async fn refuse_a_taken_uid(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    let mut owner = f.new_endpoint(&app, at(0));
    owner.uid = uid("main");
    f.create_endpoint(&owner).await;

    let mut second = f.new_endpoint(&app, at(1));
    second.uid = uid("main");
    let taken = Ok(Err(Refused::Taken(owner.id)));
    assert_eq!(store.create_endpoint(&ACTOR, second.clone()).await, taken);
    let mut elsewhere = f.new_endpoint(&neighbour, at(1));
    elsewhere.uid = uid("main");
    f.create_endpoint(&elsewhere).await;

    second.uid = None;
    f.create_endpoint(&second).await;
    second.uid = uid("main");
    second.revision = 2;
    assert_eq!(store.update_endpoint(&ACTOR, second.clone()).await, taken);
    owner = f.update_endpoint(&owner, |e| e.description = "keeps its uid".into()).await;

    assert_eq!(store.delete_endpoint(&ACTOR, f.org, app.id, owner.id, at(3)).await, Ok(Ok(())));
    assert_eq!(store.endpoint(f.org, app.id, &by_uid("main")).await, Ok(None));
    assert_eq!(store.update_endpoint(&ACTOR, second.clone()).await, Ok(Ok(())));
    assert_eq!(store.endpoint(f.org, app.id, &by_uid("main")).await, Ok(Some(second)));
}

/// Each change counts the revision up by one, and is made from the one before.
pub async fn refuse_a_stale_revision(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for revision in [0, 1, 3] {
        let wrong = Endpoint { revision, ..endpoint.clone() };
        let stale = store.update_endpoint(&ACTOR, wrong).await;
        assert_eq!(stale, Ok(Err(Refused::Stale)), "{revision}");
    }
    let second = f.update_endpoint(&endpoint, |e| e.description = "second".into()).await;
    let mut loser = endpoint.clone();
    (loser.revision, loser.description) = (2, "loser".into());
    assert_eq!(store.update_endpoint(&ACTOR, loser).await, Ok(Err(Refused::Stale)));
    assert_eq!(f.stored_endpoint(&endpoint).await, second);

    let mut unknown = f.new_endpoint(&app, at(1));
    unknown.revision = 2;
    assert_eq!(store.update_endpoint(&ACTOR, unknown).await, Ok(Err(Refused::NotFound)));
}

/// History names endpoints that are no more.
pub async fn are_named_after_they_are_deleted(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (gone, stays) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let before = f.versions(&app).await;
    assert_eq!(store.delete_endpoint(&ACTOR, f.org, app.id, gone.id, at(1)).await, Ok(Ok(())));
    assert_eq!(f.versions(&app).await.app, before.app + 1);

    let listed = store.list_endpoints(f.org, app.id, first(10)).await.expect("list");
    assert_eq!(listed.items, from_ref(&stays));
    assert_eq!(store.endpoint(f.org, app.id, &Ref::Id(gone.id)).await, Ok(None));
    let again = store.delete_endpoint(&ACTOR, f.org, app.id, gone.id, at(2)).await;
    assert_eq!(again, Ok(Err(Refused::NotFound)));
    let mut late = gone.clone();
    late.revision += 1;
    assert_eq!(store.update_endpoint(&ACTOR, late).await, Ok(Err(Refused::NotFound)));

    let unknown = f.new_endpoint(&app, at(0)).id;
    let ever = store.endpoints_ever(f.org, app.id, &[stays.id, unknown, gone.id]).await;
    let mut ever: Vec<_> = ever.expect("endpoints_ever").iter().map(|e| e.id).collect();
    ever.sort();
    let mut both = [gone.id, stays.id];
    both.sort();
    assert_eq!(ever, both);
}

/// Deleting leaves a task that cancels what is pending.
pub async fn leave_a_task_when_deleted(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let deleted = store.delete_endpoint(&ACTOR, f.org, app.id, endpoint.id, at(1)).await;
    assert_eq!(deleted, Ok(Ok(())));
    assert_eq!(store.delete_application(&ACTOR, f.org, app.id, at(2)).await, Ok(Ok(())));

    let tasks = store.running_tasks(&ShardSet::ALL, 10).await.expect("tasks");
    let of_endpoint = TaskKind::CancelDeliveries { app: app.id, endpoint: Some(endpoint.id) };
    let of_all = TaskKind::CancelDeliveries { app: app.id, endpoint: None };
    let kinds: Vec<_> = tasks.iter().map(|task| task.kind.clone()).collect();
    assert_eq!(kinds, [of_endpoint, of_all]);
    for task in tasks {
        assert_eq!((task.org, task.status, task.done), (f.org, TaskStatus::Running, 0));
    }
}

/// Headers are as they were at each revision, whatever ended it, and whether the endpoint is still there.
pub async fn keep_the_headers_of_past_revisions(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    let headers = |key: &str| BTreeMap::from([("x-key".to_owned(), key.to_owned())]);
    let endpoint = Endpoint { headers: headers("one"), ..f.new_endpoint(&app, at(0)) };
    f.create_endpoint(&endpoint).await;
    let beside = f.endpoint(&app).await;
    let at_revision = async |endpoint: &Endpoint, revision| {
        store.headers_at(f.org, app.id, endpoint.id, revision).await.expect("headers_at")
    };
    assert_eq!(at_revision(&endpoint, 1).await, Some(headers("one")));
    assert_eq!(at_revision(&endpoint, 2).await, None, "it has not come yet");

    let plain = f.update_endpoint(&endpoint, |e| e.headers.clear()).await;
    let other = f.update_endpoint(&plain, |e| e.headers = headers("three")).await;
    assert!(f.health(&other, Health::Disable { fail_since: at(10) }).await);
    let disabled = f.stored_endpoint(&other).await;
    assert_eq!((disabled.revision, &disabled.headers), (4, &headers("three")));
    f.update_endpoint(&disabled, |e| e.headers = headers("five")).await;
    let mut stale = disabled.clone();
    (stale.revision, stale.headers) = (5, headers("stale"));
    assert_eq!(store.update_endpoint(&ACTOR, stale).await, Ok(Err(Refused::Stale)));

    let all = [
        (0, None),
        (1, Some(headers("one"))),
        (2, Some(BTreeMap::new())),
        (3, Some(headers("three"))),
        (4, Some(headers("three"))),
        (5, Some(headers("five"))),
        (6, None),
    ];
    for (revision, wanted) in all.clone() {
        assert_eq!(at_revision(&endpoint, revision).await, wanted, "{revision}");
    }
    assert_eq!(at_revision(&beside, 1).await, Some(BTreeMap::new()));
    assert_eq!(at_revision(&beside, 2).await, None);
    for (org, wrong) in [(f.org, neighbour.id), (f.other().org, app.id)] {
        for revision in [1, 5] {
            let found = store.headers_at(org, wrong, endpoint.id, revision).await;
            assert_eq!(found, Ok(None), "{revision}");
        }
    }

    assert_eq!(store.delete_endpoint(&ACTOR, f.org, app.id, endpoint.id, at(9)).await, Ok(Ok(())));
    for (revision, wanted) in all {
        assert_eq!(at_revision(&endpoint, revision).await, wanted, "{revision}");
    }
}

/// Pages by id, in both orders, forwards and backwards.
pub async fn are_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    f.endpoint(&f.application().await).await;
    let mut ids: Vec<EndpointId> = Vec::new();
    for i in 0..5 {
        let endpoint = f.new_endpoint(&app, at(i));
        f.create_endpoint(&endpoint).await;
        ids.push(endpoint.id);
    }
    for order in [Order::Ascending, Order::Descending] {
        assert_pages(&ids, order, async |page: PageRequest<EndpointId>| {
            let page = store.list_endpoints(f.org, app.id, page).await.expect("list");
            page.map(|endpoint| endpoint.id)
        })
        .await;
        ids.reverse();
    }
}

/// An endpoint is reached only through its own application and organization.
pub async fn of_two_tenants_never_meet(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour, stranger) =
        (f.application().await, f.application().await, f.other().application().await);
    let mut endpoint = f.new_endpoint(&app, at(0));
    endpoint.uid = uid("main");
    f.create_endpoint(&endpoint).await;

    for (org, wrong) in [(f.org, neighbour.id), (stranger.org, app.id), (stranger.org, stranger.id)]
    {
        for reference in [Ref::Id(endpoint.id), by_uid("main")] {
            assert_eq!(store.endpoint(org, wrong, &reference).await, Ok(None));
        }
        let listed = store.list_endpoints(org, wrong, first(10)).await.expect("list");
        assert_eq!(listed.items, []);
        assert_eq!(store.endpoints_ever(org, wrong, &[endpoint.id]).await, Ok(Vec::new()));
        let deleted = store.delete_endpoint(&ACTOR, org, wrong, endpoint.id, at(1)).await;
        assert_eq!(deleted, Ok(Err(Refused::NotFound)));
        let mut stolen = endpoint.clone();
        (stolen.org, stolen.app, stolen.revision) = (org, wrong, 2);
        assert_eq!(store.update_endpoint(&ACTOR, stolen).await, Ok(Err(Refused::NotFound)));
    }
    assert_eq!(f.stored_endpoint(&endpoint).await, endpoint);
    let misplaced = f.new_endpoint(&stranger, at(1));
    let misplaced = Endpoint { org: f.org, ..misplaced };
    assert_eq!(store.create_endpoint(&ACTOR, misplaced).await, Ok(Err(Refused::NotFound)));
}

/// What they listen to, by application and in pages: of those that are there and no sources.
pub async fn are_summed_up_by_application(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let name = |name: &&str| name.parse::<EventTypeName>().expect("a name");
    let mut wanted = Vec::new();
    for (age, filters) in [
        (0, vec![]),
        (1, vec![Some(&["b", "a"][..]), Some(&["a", "c"])]),
        (2, vec![None, Some(&["a"])]),
        (3, vec![None]),
    ] {
        let app = f.new_application(at(age));
        f.create_application(&app).await;
        let mut of = Subscriptions::none(app.id);
        for (no, filter) in filters.into_iter().enumerate() {
            let event_types = filter.map(|names| names.iter().map(name).collect());
            of.add(event_types.clone());
            // Whether it is disabled makes no difference.
            let (disabled, endpoint) = (no == 1, f.new_endpoint(&app, at(9)));
            f.create_endpoint(&Endpoint { event_types, disabled, ..endpoint }).await;
        }
        let gone = f.endpoint(&app).await;
        let deleted = store.delete_endpoint(&ACTOR, f.org, app.id, gone.id, at(9)).await;
        assert_eq!(deleted, Ok(Ok(())));
        wanted.push(of);
    }
    assert_eq!(
        wanted[1].explicitly_subscribed_event_types,
        ["a", "b", "c"].iter().map(name).collect::<BTreeSet<_>>()
    );
    let gone = f.application().await;
    f.endpoint(&gone).await;
    assert_eq!(store.delete_application(&ACTOR, f.org, gone.id, at(9)).await, Ok(Ok(())));
    let source = f.new_source(at(1));
    f.create_application(&source).await;
    g.endpoint(&g.application().await).await;

    let page = async |after, limit| store.subscriptions(f.org, after, limit).await.expect("a page");
    assert_eq!(page(None, 9).await, wanted);
    assert_eq!(page(None, 2).await, wanted[..2]);
    assert_eq!(page(Some(wanted[1].app_id), 9).await, wanted[2..]);
    assert_eq!(page(Some(wanted[3].app_id), 9).await, []);
}
