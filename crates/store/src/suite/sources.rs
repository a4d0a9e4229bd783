//! Applications that are sources.

use std::sync::Arc;

use domain::{
    application::Application,
    clock::Timestamp,
    id::ApplicationId,
    name::Ref,
    page::{Order, PageRequest},
    source::{Acknowledgement, Config, Source, SourceSettings, SourceToken},
};

use super::fixture::{ACTOR, Fixture, assert_pages, at, first, uid};
use crate::{
    Store,
    catalog::{ApplicationFilter, Refused},
};

/// Those that are sources.
pub const SOURCES: ApplicationFilter = ApplicationFilter {
    exclude_without_endpoints: false,
    exclude_with_disabled_endpoints: false,
    sources: true,
};

impl Fixture<'_> {
    /// An application with a source of which everything is said, not stored yet.
    pub fn new_source(&self, created_at: Timestamp) -> Application {
        let mut old = SourceToken::generate(&*self.entropy);
        old.expires_at = Some(at(700));
        let settings = SourceSettings {
            disabled: true,
            public_url: Some("https://in.example.com/\u{1F984}".into()),
            unverified_status: Some(403),
            acknowledgement: Some(Acknowledgement {
                status: 202,
                content_type: Some("text/plain".into()),
                body: "NUL \0".into(),
            }),
            dedupe_window_secs: Some(60),
            dedupe_by_body: Some(true),
            throttle_rate: Some(u16::MAX),
            max_body_bytes: Some(1 << 20),
            forward_headers: Some(vec!["x-event".into()]),
        };
        let source = Source {
            kind: "stripe".into(),
            config: Config::new(r#"{"secret":"whsec_hidden-in-the-source"}"#),
            tokens: vec![old, SourceToken::generate(&*self.entropy)],
            settings,
            sent_secret: Some(Config::new("sent \0 \u{1F984}")),
        };
        let source = Some(Arc::new(source));
        Application { source, ..self.new_application(created_at) }
    }
}

fn changed(app: &Application, updated_at: Timestamp, kind: &str) -> Application {
    let mut app = app.clone();
    app.updated_at = updated_at;
    Arc::make_mut(app.source.as_mut().expect("a source")).kind = kind.into();
    app
}

/// A source is read as it was written, wherever its application is read.
pub async fn are_kept_whole(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut app = f.new_source(at(0));
    app.uid = uid("src.main");
    f.create_application(&app).await;
    for reference in [Ref::Id(app.id), Ref::Uid("src.main".parse().expect("a uid"))] {
        assert_eq!(store.application(f.org, &reference).await, Ok(Some(app.clone())));
        let loaded = store.load_application(f.org, &reference).await.expect("load");
        assert_eq!(loaded.expect("it is there").application, app);
    }
    let listed = store.list_applications(f.org, SOURCES, first(10)).await.expect("list");
    assert_eq!(listed.items, [app]);
}

/// A change of the source is one of its application: it counts the version up, and is refused when
/// something else came first.
pub async fn are_changed_with_their_application(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.new_source(at(0));
    f.create_application(&app).await;
    let before = f.versions(&app).await;
    let (winner, loser) = (changed(&app, at(1), "github"), changed(&app, at(2), "slack"));
    assert_eq!(store.update_application(&ACTOR, winner.clone(), at(0)).await, Ok(Ok(())));
    assert_eq!(f.versions(&app).await.app, before.app + 1);
    let stale = store.update_application(&ACTOR, loser, at(0)).await;
    assert_eq!(stale, Ok(Err(Refused::Stale)));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(Some(winner)));

    // What is no source any more is a customer, and the other way round.
    let customer = Application { source: None, updated_at: at(3), ..app.clone() };
    assert_eq!(store.update_application(&ACTOR, customer.clone(), at(1)).await, Ok(Ok(())));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(Some(customer)));
    let again = changed(&app, at(4), "cron");
    assert_eq!(store.update_application(&ACTOR, again.clone(), at(3)).await, Ok(Ok(())));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(Some(again)));
}

/// A list has the sources or the others, in pages both ways.
pub async fn are_listed_apart(store: &dyn Store) {
    let f = Fixture::new(store);
    let (mut sources, mut customers): (Vec<ApplicationId>, Vec<ApplicationId>) = Default::default();
    for i in 0..6 {
        let (app, ids) = match i % 2 {
            0 => (f.new_source(at(i)), &mut sources),
            _ => (f.new_application(at(i)), &mut customers),
        };
        f.create_application(&app).await;
        ids.push(app.id);
    }
    f.create_application(&f.other().new_source(at(9))).await;
    for order in [Order::Ascending, Order::Descending] {
        for (filter, ids) in
            [(SOURCES, &mut sources), (ApplicationFilter::default(), &mut customers)]
        {
            assert_pages(ids, order, async |page: PageRequest<ApplicationId>| {
                let page = store.list_applications(f.org, filter, page).await.expect("list");
                page.map(|app| app.id)
            })
            .await;
            ids.reverse();
        }
    }
    f.endpoint(&stored(&f, sources[1]).await).await;
    let filter = ApplicationFilter { exclude_without_endpoints: true, ..SOURCES };
    let page = store.list_applications(f.org, filter, first(10)).await.expect("list");
    assert_eq!(page.map(|app| app.id).items, [sources[1]]);
}

async fn stored(f: &Fixture<'_>, app: ApplicationId) -> Application {
    let found = f.store.application(f.org, &Ref::Id(app)).await;
    found.expect("application").expect("it is there")
}

/// What goes by the clock finds those of everybody, a page at a time, and no customers.
pub async fn of_all_organizations_are_listed(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut wanted = Vec::new();
    for org in [f.org, f.other().org, f.other().org] {
        for n in 0..3 {
            let app = Application { org, ..f.new_source(at(n)) };
            f.create_application(&app).await;
            f.create_application(&Application { org, ..f.new_application(at(n)) }).await;
            wanted.push(app);
        }
    }
    let gone = Application { org: f.org, ..f.new_source(at(9)) };
    f.create_application(&gone).await;
    assert_eq!(store.delete_application(&ACTOR, f.org, gone.id, at(10)).await, Ok(Ok(())));
    wanted.sort_by_key(|app| (app.org, app.id));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.sources(after, 2).await.expect("sources");
        let Some(last) = page.last() else { break };
        after = Some((last.org, last.id));
        assert!(page.len() <= 2);
        found.extend(page);
    }
    assert_eq!(found, wanted);
}

/// Nobody finds one that was deleted.
pub async fn are_gone_when_deleted(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.new_source(at(0));
    f.create_application(&app).await;
    assert_eq!(store.delete_application(&ACTOR, f.org, app.id, at(1)).await, Ok(Ok(())));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(None));
    assert_eq!(store.load_application(f.org, &Ref::Id(app.id)).await, Ok(None));
    let listed = store.list_applications(f.org, SOURCES, first(10)).await.expect("list");
    assert_eq!(listed.items, []);
}

/// Another organization neither finds a source nor changes it.
pub async fn of_two_organizations_never_meet(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, stranger) = (f.new_source(at(0)), f.other().org);
    f.create_application(&app).await;
    assert_eq!(store.application(stranger, &Ref::Id(app.id)).await, Ok(None));
    let listed = store.list_applications(stranger, SOURCES, first(10)).await.expect("list");
    assert_eq!(listed.items, []);
    let stolen = Application { org: stranger, ..changed(&app, at(1), "github") };
    let updated = store.update_application(&ACTOR, stolen, at(0)).await;
    assert_eq!(updated, Ok(Err(Refused::NotFound)));
    assert_eq!(store.application(f.org, &Ref::Id(app.id)).await, Ok(Some(app)));
}
