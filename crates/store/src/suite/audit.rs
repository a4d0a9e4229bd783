//! The audit log.

use domain::{
    id::{TaskId, TokenId},
    page::Order,
    task::{Task, TaskKind, Wish},
    token::{Access, Actor, Revocation, Revoked, Token},
};

use super::fixture::{ACTOR, Fixture, assert_pages, at, first, newest};
use crate::{Store, audit::AuditRange};

/// What was done, by whom. Of the same moment a store may have several in any order.
async fn deeds(f: &Fixture<'_>) -> Vec<(String, String, String)> {
    let page = f.store.audit_log(f.org, AuditRange::ALL, first(100)).await.expect("a log");
    assert!(page.done);
    let deeds = page.items.into_iter().map(|entry| (entry.actor, entry.action, entry.target));
    let mut deeds: Vec<_> = deeds.collect();
    deeds.sort();
    deeds
}

/// Every write that changes something leaves a row, with its actor; one that is refused leaves none.
pub async fn has_every_change(store: &dyn Store) {
    let f = Fixture::new(store);
    let caller = TokenId::generate(at(0), &*f.entropy);
    let actor = Actor::Token(Some(caller));
    let app = f.application().await;
    let mut wanted = vec![("system".to_owned(), "application.create", app.id.to_string())];
    let mut by = |action, target: String| wanted.push((caller.to_string(), action, target));

    let snapshot = store.load_organization(f.org).await.expect("an organization");
    let (organization, version) = (snapshot.organization, snapshot.version);
    let put = store.put_organization(&actor, organization.clone(), version).await;
    assert_eq!(put, Ok(Ok(())));
    by("organization.update", f.org.to_string());
    let stale = store.put_organization(&actor, organization, version).await.expect("an answer");
    assert!(stale.is_err());

    let mut endpoint = f.new_endpoint(&app, at(1));
    assert_eq!(store.create_endpoint(&actor, endpoint.clone()).await, Ok(Ok(())));
    by("endpoint.create", endpoint.id.to_string());
    endpoint.revision += 1;
    assert_eq!(store.update_endpoint(&actor, endpoint.clone()).await, Ok(Ok(())));
    by("endpoint.update", endpoint.id.to_string());
    assert!(store.update_endpoint(&actor, endpoint.clone()).await.expect("an answer").is_err());
    let gone = store.delete_endpoint(&actor, f.org, app.id, endpoint.id, at(2)).await;
    assert_eq!(gone, Ok(Ok(())));
    by("endpoint.delete", endpoint.id.to_string());

    let event_type = f.new_event_type("invoice.paid");
    assert_eq!(store.create_event_type(&actor, event_type.clone()).await, Ok(Ok(())));
    by("event_type.create", "invoice.paid".into());
    let expected = event_type.updated_at;
    assert_eq!(store.update_event_type(&actor, event_type.clone(), expected).await, Ok(Ok(())));
    by("event_type.update", "invoice.paid".into());
    let gone = store.expunge_event_type(&actor, f.org, &event_type.name).await;
    assert_eq!(gone, Ok(Ok(())));
    by("event_type.expunge", "invoice.paid".into());

    let (since, until) = (at(1), at(2));
    let kind = TaskKind::Recover { app: app.id, endpoint: endpoint.id, since, until };
    let task = Task::new(f.org, TaskId::generate(at(1), &*f.entropy), kind, at(1));
    assert_eq!(store.create_task(&actor, task.clone()).await, Ok(None));
    by("background_task.create", task.id.to_string());
    let rival = Task { id: TaskId::generate(at(1), &*f.entropy), ..task.clone() };
    assert_eq!(store.create_task(&actor, rival).await, Ok(Some(task.id)));
    for (wish, action) in [
        (Wish::Pause, Some("background_task.pause")),
        (Wish::Pause, None),
        (Wish::Resume, Some("background_task.resume")),
        (Wish::Cancel, Some("background_task.cancel")),
        (Wish::Cancel, None),
        (Wish::Resume, None),
    ] {
        assert!(store.steer_task(&actor, f.org, task.id, wish, at(2)).await.is_ok());
        if let Some(action) = action {
            by(action, task.id.to_string());
        }
    }

    let expected = app.updated_at;
    assert_eq!(store.update_application(&actor, app.clone(), expected).await, Ok(Ok(())));
    by("application.update", app.id.to_string());
    let gone = store.delete_application(&actor, f.org, app.id, at(3)).await;
    assert_eq!(gone, Ok(Ok(())));
    by("application.delete", app.id.to_string());

    let mut wanted: Vec<_> =
        wanted.into_iter().map(|(by, action, to)| (by, action.to_owned(), to)).collect();
    wanted.sort();
    assert_eq!(deeds(&f).await, wanted);
    assert_eq!(deeds(&f.other()).await, []);
}

/// Tokens too: what is told of one, and of its end, and nothing by which it could be used.
pub async fn tells_of_tokens(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.new_application(at(0)).id;
    let id = TokenId::generate(at(0), &*f.entropy);
    let token = Token {
        id,
        org: f.org,
        app: None,
        session_id: None,
        name: Some("console".into()),
        access: Access::Read,
        hash: Some([7; 32]),
        last_used_at: None,
        created_at: at(0),
        expires_at: at(500),
    };
    assert_eq!(store.create_token(&ACTOR, token).await, Ok(()));
    for (token, what) in [
        (Some(id), Revoked::Token([7; 32])),
        (None, Revoked::Token([8; 32])),
        (None, Revoked::Application(f.org, app)),
        (None, Revoked::Session(f.org, app, "s-1".into())),
    ] {
        let revocation = Revocation { what, issued_until: at(4), at: at(5), forget_at: at(600) };
        assert_eq!(store.revoke(&ACTOR, f.org, token, revocation).await, Ok(()));
    }
    let (id, app) = (id.to_string(), app.to_string());
    let mut wanted = [
        ("token.create", &*id),
        ("token.revoke", &*id),
        ("token.revoke", "token"),
        ("token.revoke", &*app),
        ("token.revoke", &*app),
    ]
    .map(|(action, target)| ("system".to_owned(), action.to_owned(), target.to_owned()));
    wanted.sort();
    assert_eq!(deeds(&f).await, wanted);
    let page = store.audit_log(f.org, AuditRange::ALL, first(100)).await.expect("a log");
    let made = page.items.iter().find(|row| row.action == "token.create").expect("a row");
    let detail: serde_json::Value = serde_json::from_str(&made.detail).expect("JSON");
    assert_eq!((&detail["name"], &detail["scope"]), (&"console".into(), &"read".into()));
    assert!(page.items.iter().any(|row| row.detail.contains("s-1")), "{:?}", page.items);
}

/// It is read in pages both ways, between two moments, and by its own organization alone.
pub async fn is_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    for _ in 0..7 {
        f.application().await;
    }
    f.other().application().await;
    let all = store.audit_log(f.org, AuditRange::ALL, newest(100)).await.expect("a log").items;
    assert_eq!(all.len(), 7);
    let ids: Vec<_> = all.iter().map(|row| row.id).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older));
    assert_pages(&ids, Order::Descending, async |request| {
        let page = store.audit_log(f.org, AuditRange::ALL, request).await.expect("a page");
        page.map(|row| row.id)
    })
    .await;

    // The first is in a range, the last is not.
    let micro = std::time::Duration::from_micros(1);
    let (first_at, last_at) = (all[6].at, all[0].at);
    let count = async |since, until| {
        let found = store.audit_log(f.org, AuditRange { since, until }, newest(100)).await;
        found.expect("a page").items.len()
    };
    assert_eq!(count(first_at, last_at.plus(micro)).await, 7);
    assert_eq!(count(last_at.plus(micro), last_at.plus(1_000 * micro)).await, 0);
    assert_eq!(count(first_at.minus(1_000 * micro), first_at).await, 0);
    let of_last = all.iter().filter(|row| row.at == last_at).count();
    assert_eq!(count(last_at, last_at.plus(micro)).await, of_last);
}
