//! Requests that a source refused.

use bytes::Bytes;
use domain::{
    application::Application,
    clock::Timestamp,
    id::RejectedId,
    page::{Order, PageRequest},
};

use super::{
    fixture::{ACTOR, Fixture, assert_pages, at, newest},
    retention::sweep,
    traffic::tenant,
};
use crate::{
    Store,
    history::Tenant,
    housekeeping::Swept,
    rejected::{MOST_REJECTED, RejectedRequest},
};

impl Fixture<'_> {
    /// A request that a source refused, not kept yet.
    pub fn new_rejected(&self, app: &Application, came_at: Timestamp) -> RejectedRequest {
        RejectedRequest {
            org: app.org,
            app: app.id,
            id: RejectedId::generate(came_at, &*self.entropy),
            at: came_at,
            status: 401,
            reason: "the signature is another one".into(),
            method: "POST".into(),
            url: "/in/…?a=1".into(),
            headers: vec![("content-type".into(), "text/plain".into())],
            body: Bytes::from_static(b"hello"),
            body_bytes: 5,
            expires_at: at(10_000),
        }
    }

    async fn keep(&self, requests: &[RejectedRequest]) {
        assert_eq!(self.store.keep_rejected(requests.to_vec()).await, Ok(()));
    }

    /// Those of an application, the newest first.
    async fn ids(&self, of: Tenant) -> Vec<RejectedId> {
        let page = self.store.list_rejected(of, newest(2_000)).await.expect("list_rejected");
        assert!(page.done);
        page.map(|request| request.id).items
    }
}

/// What was kept is what is read; keeping it again changes nothing.
pub async fn are_kept_whole(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let mut full = f.new_rejected(&app, at(2));
    full.status = 599;
    full.reason = "NUL \0 \u{1F984}".into();
    full.url = "/in/\0?q=\u{1F984}".into();
    full.headers = vec![
        ("x-same".into(), "1".into()),
        ("x-same".into(), "2 \0".into()),
        (String::new(), String::new()),
    ];
    full.body = (0..=u8::MAX).cycle().take(64 << 10).collect();
    full.body_bytes = u64::from(u32::MAX) + 1;
    let mut bare = f.new_rejected(&app, at(1));
    (bare.headers, bare.body, bare.body_bytes) = (Vec::new(), Bytes::new(), 0);
    f.keep(&[full.clone(), bare.clone()]).await;
    f.keep(&[]).await;

    for request in [&full, &bare] {
        let found = store.rejected(tenant(&app), request.id).await;
        assert_eq!(found, Ok(Some(request.clone())));
    }
    let listed = store.list_rejected(tenant(&app), newest(10)).await.expect("list_rejected");
    assert_eq!(listed.items, [full.clone(), bare.clone()]);
    let unknown = f.new_rejected(&app, at(1)).id;
    assert_eq!(store.rejected(tenant(&app), unknown).await, Ok(None));

    let other = RejectedRequest { status: 400, ..full.clone() };
    f.keep(&[other]).await;
    assert_eq!(store.rejected(tenant(&app), full.id).await, Ok(Some(full)));
}

/// Pages by id, in both orders, forwards and backwards.
pub async fn are_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    let requests: Vec<_> = (0..5).map(|i| f.new_rejected(&app, at(i))).collect();
    f.keep(&requests).await;
    f.keep(&[f.new_rejected(&neighbour, at(2))]).await;
    let mut ids: Vec<_> = requests.iter().map(|request| request.id).collect();
    for order in [Order::Ascending, Order::Descending] {
        assert_pages(&ids, order, async |page: PageRequest<RejectedId>| {
            let page = store.list_rejected(tenant(&app), page).await.expect("list_rejected");
            page.map(|request| request.id)
        })
        .await;
        ids.reverse();
    }
}

/// So many are kept of each application, whatever another one gets: the newest.
pub async fn go_when_more_come(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    let one = f.new_rejected(&neighbour, at(0));
    f.keep(std::slice::from_ref(&one)).await;
    let most = MOST_REJECTED as u64;
    let mut requests: Vec<_> = (0..most + 10).map(|i| f.new_rejected(&app, at(i))).collect();
    let newest = |requests: &[RejectedRequest]| -> Vec<RejectedId> {
        requests.iter().rev().take(MOST_REJECTED).map(|request| request.id).collect()
    };
    let (first, more) = requests.split_at(MOST_REJECTED - 5);
    f.keep(first).await;
    assert_eq!(f.ids(tenant(&app)).await, newest(first));
    for some in more.chunks(6) {
        f.keep(some).await;
    }
    assert_eq!(f.ids(tenant(&app)).await, newest(&requests));

    // More of them at once than are kept, and those of two applications among one another.
    requests = (2_000..2_000 + most + 7).map(|i| f.new_rejected(&app, at(i))).collect();
    let two = f.new_rejected(&neighbour, at(1));
    requests.insert(500, two.clone());
    f.keep(&requests).await;
    requests.remove(500);
    assert_eq!(f.ids(tenant(&app)).await, newest(&requests));
    assert_eq!(f.ids(tenant(&neighbour)).await, [two.id, one.id]);
}

/// Retention takes what has expired.
pub async fn go_when_they_expire(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let expiring = |i| {
        let request = f.new_rejected(&app, at(i));
        RejectedRequest { expires_at: at(100 * i), ..request }
    };
    let requests: Vec<_> = (1..=6).map(expiring).collect();
    f.keep(&requests).await;
    assert_eq!(sweep(store, at(99), at(0), 2).await, Swept::default());
    assert_eq!(f.ids(tenant(&app)).await.len(), 6);
    assert_eq!(sweep(store, at(500), at(0), 2).await, Swept::default());
    assert_eq!(f.ids(tenant(&app)).await, [requests[5].id]);
    assert_eq!(store.rejected(tenant(&app), requests[4].id).await, Ok(None));
}

/// They go with their application; what is refused for it afterwards is not kept.
pub async fn go_with_their_application(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    let (gone, late) = (f.new_rejected(&app, at(1)), f.new_rejected(&app, at(3)));
    let (stays, next) = (f.new_rejected(&neighbour, at(1)), f.new_rejected(&neighbour, at(3)));
    f.keep(&[gone.clone(), stays.clone()]).await;
    assert_eq!(store.delete_application(&ACTOR, f.org, app.id, at(2)).await, Ok(Ok(())));
    assert_eq!(f.ids(tenant(&app)).await, []);
    let unknown = f.new_rejected(&f.new_application(at(0)), at(3));
    f.keep(&[late.clone(), unknown.clone(), next.clone()]).await;
    for request in [&gone, &late, &unknown] {
        let of = Tenant { org: request.org, app: request.app };
        assert_eq!(store.rejected(of, request.id).await, Ok(None));
    }
    assert_eq!(f.ids(tenant(&neighbour)).await, [next.id, stays.id]);
}

/// One is found only through its own application and organization.
pub async fn of_two_tenants_never_meet(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour, stranger) =
        (f.application().await, f.application().await, f.other().application().await);
    let request = f.new_rejected(&app, at(1));
    f.keep(std::slice::from_ref(&request)).await;
    for (org, wrong) in [(f.org, neighbour.id), (stranger.org, app.id), (stranger.org, stranger.id)]
    {
        let of = Tenant { org, app: wrong };
        assert_eq!(store.rejected(of, request.id).await, Ok(None));
        assert_eq!(f.ids(of).await, []);
    }
    // Under another organization there is no such application.
    let misplaced = RejectedRequest { org: stranger.org, ..f.new_rejected(&app, at(2)) };
    f.keep(&[misplaced]).await;
    assert_eq!(f.ids(tenant(&app)).await, [request.id]);
    assert_eq!(f.ids(Tenant { org: stranger.org, app: app.id }).await, []);
}
