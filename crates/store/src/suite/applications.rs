//! Applications.

use domain::{
    id::ApplicationId,
    name::Ref,
    page::{Cursor, Order, PageRequest},
};

use super::fixture::{ACTOR, Fixture, at, by_uid, first, uid};
use crate::{
    Store,
    catalog::{ApplicationFilter, Refused},
};

const ALL: ApplicationFilter = ApplicationFilter {
    exclude_without_endpoints: false,
    exclude_with_disabled_endpoints: false,
    sources: false,
};

/// What was written is what is read.
pub async fn are_found_by_id_and_uid(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut app = f.new_application(at(0));
    app.uid = uid("customer-1");
    app.throttle_rate = Some(50);
    app.metadata.insert("plan".into(), "gold \u{1F947}".into());
    f.create_application(&app).await;

    let wanted = Some(app.clone());
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(wanted.clone()));
    assert_eq!(store.application(f.org, &by_uid("customer-1")).await, Ok(wanted));
    assert_eq!(store.application(f.org, &by_uid("customer-2")).await, Ok(None));
    let unknown = f.new_application(at(0)).id;
    assert_eq!(store.application(f.org, &Ref::Id(unknown)).await, Ok(None));

    app.name = "Acme 2".into();
    app.uid = uid("customer-2");
    app.updated_at = at(5);
    let updated = store.update_application(&ACTOR, app.clone(), at(0)).await;
    assert_eq!(updated, Ok(Ok(())));
    assert_eq!(store.application(f.org, &by_uid("customer-2")).await, Ok(Some(app)));
    assert_eq!(store.application(f.org, &by_uid("customer-1")).await, Ok(None));
}

/// A deleted application is gone, and its uid can be used again.
pub async fn free_their_uid_when_deleted(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut app = f.new_application(at(0));
    app.uid = uid("customer");
    f.create_application(&app).await;
    let endpoint = f.endpoint(&app).await;

    assert_eq!(store.delete_application(&ACTOR, f.org, app.id, at(1)).await, Ok(Ok(())));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(None));
    assert_eq!(store.application(f.org, &by_uid("customer")).await, Ok(None));
    assert_eq!(store.load_application(f.org, &Ref::Id(app.id)).await, Ok(None));
    assert_eq!(store.endpoint(f.org, app.id, &Ref::Id(endpoint.id)).await, Ok(None));
    let listed = store.list_applications(f.org, ALL, first(10)).await.expect("list");
    assert_eq!(listed.items, []);

    let again = store.delete_application(&ACTOR, f.org, app.id, at(2)).await;
    assert_eq!(again, Ok(Err(Refused::NotFound)));
    let update = store.update_application(&ACTOR, app.clone(), at(0)).await;
    assert_eq!(update, Ok(Err(Refused::NotFound)));
    let endpoint = f.new_endpoint(&app, at(2));
    let create = store.create_endpoint(&ACTOR, endpoint).await;
    assert_eq!(create, Ok(Err(Refused::NotFound)));

    let mut heir = f.new_application(at(3));
    heir.uid = uid("customer");
    f.create_application(&heir).await;
    assert_eq!(store.application(f.org, &by_uid("customer")).await, Ok(Some(heir)));
}

/// A uid belongs to one application of the organization; who has it is said.
pub async fn refuse_a_taken_uid(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut app = f.new_application(at(0));
    app.uid = uid("customer");
    f.create_application(&app).await;

    let mut second = f.new_application(at(1));
    second.uid = uid("customer");
    let taken = Ok(Err(Refused::Taken(app.id)));
    assert_eq!(store.create_application(&ACTOR, second.clone()).await, taken);
    assert_eq!(store.application(f.org, &Ref::Id(second.id)).await, Ok(None));

    second.uid = None;
    f.create_application(&second).await;
    let mut renamed = second.clone();
    renamed.uid = uid("customer");
    assert_eq!(store.update_application(&ACTOR, renamed, at(1)).await, taken);
    assert_eq!(store.application(f.org, &Ref::Id(second.id)).await, Ok(Some(second)));

    // Keeping one's own uid is no conflict.
    app.name = "New name".into();
    app.updated_at = at(2);
    assert_eq!(store.update_application(&ACTOR, app, at(0)).await, Ok(Ok(())));

    let other = f.other();
    let mut elsewhere = other.new_application(at(0));
    elsewhere.uid = uid("customer");
    other.create_application(&elsewhere).await;
}

/// An update says which state it was made from.
pub async fn refuse_a_stale_update(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let mut winner = app.clone();
    (winner.name, winner.updated_at) = ("winner".into(), at(1));
    let mut loser = app.clone();
    (loser.name, loser.updated_at) = ("loser".into(), at(2));

    assert_eq!(store.update_application(&ACTOR, winner.clone(), at(0)).await, Ok(Ok(())));
    let stale = store.update_application(&ACTOR, loser.clone(), at(0)).await;
    assert_eq!(stale, Ok(Err(Refused::Stale)));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(Some(winner)));
    assert_eq!(store.update_application(&ACTOR, loser, at(1)).await, Ok(Ok(())));
    let unknown = f.new_application(at(0));
    let missing = store.update_application(&ACTOR, unknown, at(0)).await;
    assert_eq!(missing, Ok(Err(Refused::NotFound)));
}

/// Pages by id, in both orders, forwards and backwards, with `done` for the direction asked.
pub async fn are_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut ids: Vec<ApplicationId> = Vec::new();
    for i in 0..5 {
        let app = f.new_application(at(i));
        f.create_application(&app).await;
        ids.push(app.id);
    }
    for order in [Order::Ascending, Order::Descending] {
        super::fixture::assert_pages(&ids, order, async |page: PageRequest<ApplicationId>| {
            let page = store.list_applications(f.org, ALL, page).await.expect("list");
            page.map(|app| app.id)
        })
        .await;
        ids.reverse();
    }
    let nowhere = PageRequest {
        limit: 10,
        order: Order::Ascending,
        cursor: Some(Cursor::After(f.new_application(at(9)).id)),
    };
    let page = store.list_applications(f.org, ALL, nowhere).await.expect("list");
    assert!(page.items.is_empty() && page.done);
}

/// Those without endpoints, or with a disabled one, can be left out.
pub async fn are_filtered_by_their_endpoints(store: &dyn Store) {
    let f = Fixture::new(store);
    let empty = f.application().await.id;
    let healthy = f.application().await;
    f.endpoint(&healthy).await;
    let disabled = f.application().await;
    f.endpoint(&disabled).await;
    let mut paused = f.new_endpoint(&disabled, at(1));
    paused.disabled = true;
    f.create_endpoint(&paused).await;
    // A deleted endpoint counts as none.
    let left = f.application().await;
    let mut gone = f.new_endpoint(&left, at(1));
    gone.disabled = true;
    f.create_endpoint(&gone).await;
    let deleted = store.delete_endpoint(&ACTOR, f.org, left.id, gone.id, at(2)).await;
    assert_eq!(deleted, Ok(Ok(())));
    let (healthy, disabled, left) = (healthy.id, disabled.id, left.id);

    for (without, with_disabled, wanted) in [
        (false, false, vec![empty, healthy, disabled, left]),
        (true, false, vec![healthy, disabled]),
        (false, true, vec![empty, healthy, left]),
        (true, true, vec![healthy]),
    ] {
        let filter = ApplicationFilter {
            exclude_without_endpoints: without,
            exclude_with_disabled_endpoints: with_disabled,
            sources: false,
        };
        let mut wanted = wanted;
        wanted.sort();
        let page = store.list_applications(f.org, filter, first(10)).await.expect("list");
        let found: Vec<_> = page.items.iter().map(|app| app.id).collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
}

/// Another organization sees nothing, whatever id or uid it asks for, and changes nothing.
pub async fn of_two_organizations_never_meet(store: &dyn Store) {
    let f = Fixture::new(store);
    let stranger = f.other().org;
    let mut app = f.new_application(at(0));
    app.uid = uid("customer");
    f.create_application(&app).await;

    for reference in [Ref::Id(app.id), by_uid("customer")] {
        assert_eq!(store.application(stranger, &reference).await, Ok(None));
        assert_eq!(store.load_application(stranger, &reference).await, Ok(None));
    }
    let page = store.list_applications(stranger, ALL, first(10)).await.expect("list");
    assert_eq!(page.items, []);
    let deleted = store.delete_application(&ACTOR, stranger, app.id, at(1)).await;
    assert_eq!(deleted, Ok(Err(Refused::NotFound)));
    let mut stolen = app.clone();
    (stolen.org, stolen.name) = (stranger, "stolen".into());
    let updated = store.update_application(&ACTOR, stolen, at(0)).await;
    assert_eq!(updated, Ok(Err(Refused::NotFound)));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(Some(app)));
}
