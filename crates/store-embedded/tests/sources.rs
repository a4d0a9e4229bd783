//! Sources, transformations and refused requests: what is secret of them, and files of the release
//! before.

mod common;

use std::fs;

use common::Dir;
use domain::{
    alert::Rule,
    application::Application,
    endpoint::{Endpoint, Transformation},
    name::Ref,
    token::Access,
};
use hookwright_store_embedded::{DATABASE_FILE, EmbeddedStore};
use rusqlite::Connection;
use store::{
    Alerts, Catalog, Rejected, StoreError, Tokens,
    rejected::RejectedRequest,
    suite::{
        fixture::{ACTOR, Fixture, at, first},
        sources::SOURCES,
        traffic::tenant,
    },
};

fn connect(dir: &Dir) -> Connection {
    Connection::open(dir.path().join(DATABASE_FILE)).expect("opens")
}

fn transformation() -> Option<Transformation> {
    Some(Transformation {
        code: Some("handler = hidden-in-the-code".into()),
        enabled: true,
        variables: Some([("key".into(), "hidden-in-the-variables".into())].into()),
    })
}

struct Held {
    app: Application,
    endpoint: Endpoint,
    request: RejectedRequest,
    rule: Rule,
}

impl Held {
    async fn put(store: &EmbeddedStore) -> Self {
        let f = Fixture::new(store);
        let app = f.new_source(at(0));
        f.create_application(&app).await;
        let endpoint = Endpoint { transformation: transformation(), ..f.new_endpoint(&app, at(0)) };
        let headers = [("x-key".into(), "hidden-in-a-past-header".into())].into();
        f.create_endpoint(&Endpoint { headers, ..endpoint.clone() }).await;
        let endpoint = f.update_endpoint(&endpoint, |_| {}).await;
        let mut request = f.new_rejected(&app, at(1));
        request.url = "/in/…?key=hidden-in-the-query".into();
        request.headers.push(("x-key".into(), "hidden-in-the-headers".into()));
        request.body = "hidden-in-the-body".into();
        store.keep_rejected(vec![request.clone()]).await.expect("kept");
        let rule = f.new_rule(at(2));
        assert_eq!(store.create_alert_rule(&ACTOR, rule.clone()).await, Ok(true));
        Self { app, endpoint, request, rule }
    }

    async fn assert_in(&self, store: &EmbeddedStore) {
        let (org, app) = (self.app.org, self.app.id);
        let found = store.load_application(org, &Ref::Id(app)).await.expect("loads");
        let found = found.expect("it is there");
        assert_eq!(
            (&found.application, &*found.endpoints),
            (&self.app, &[self.endpoint.clone()][..])
        );
        let found = store.headers_at(org, app, self.endpoint.id, 1).await;
        let headers = [("x-key".into(), "hidden-in-a-past-header".into())].into();
        assert_eq!(found, Ok(Some(headers)));
        let found = store.rejected(tenant(&self.app), self.request.id).await;
        assert_eq!(found, Ok(Some(self.request.clone())));
        let found = store.alert_rule(self.rule.org, self.rule.id).await;
        assert_eq!(found, Ok(Some(self.rule.clone())));
    }
}

#[tokio::test]
async fn secrets_open_only_with_their_key() {
    let dir = Dir::new();
    let held = Held::put(&dir.open()).await;
    let bytes = fs::read(dir.path().join(DATABASE_FILE)).expect("read");
    assert!(!bytes.windows(9).any(|text| text == b"hidden-in"), "something is not sealed");

    // Both keys open; after sealing anew the new one is enough.
    let store = dir.try_open(&[[1; 32], [2; 32]]).expect("opens");
    held.assert_in(&store).await;
    assert_eq!(store.reseal().await, Ok(5));
    assert_eq!(store.reseal().await, Ok(0), "nothing is left to do");
    drop(store);
    held.assert_in(&dir.try_open(&[[2; 32]]).expect("opens with the new key")).await;
}

#[tokio::test]
async fn sealed_values_open_only_in_their_row() {
    let dir = Dir::new();
    let store = dir.open();
    let held = Held::put(&store).await;
    let f = Fixture::new(&store);
    let other = Application { id: f.application().await.id, ..held.app.clone() };
    let endpoint = f.endpoint(&other).await;
    let request = f.new_rejected(&other, at(1));
    store.keep_rejected(vec![request.clone()]).await.expect("kept");
    connect(&dir)
        .execute_batch(
            "UPDATE endpoint SET transformation =
                 (SELECT transformation FROM endpoint WHERE transformation IS NOT NULL);
             UPDATE rejected SET content = (SELECT content FROM rejected WHERE no = 1);",
        )
        .expect("moved");
    held.assert_in(&store).await;
    let found = store.endpoint(f.org, other.id, &Ref::Id(endpoint.id)).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    let found = store.rejected(tenant(&other), request.id).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");

    let sql = "UPDATE application SET source = (SELECT source FROM application WHERE no = 1)";
    connect(&dir).execute_batch(sql).expect("moved");
    let found = store.application(f.org, &Ref::Id(other.id)).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
}

#[tokio::test]
async fn secrets_go_with_their_application() {
    let dir = Dir::new();
    let store = dir.open();
    let held = Held::put(&store).await;
    let (org, app) = (held.app.org, held.app.id);
    assert_eq!(store.delete_application(&ACTOR, org, app, at(2)).await, Ok(Ok(())));
    let left = "SELECT count(source) + (SELECT count(*) FROM rejected) FROM application";
    assert_eq!(connect(&dir).query_row(left, [], |row| row.get::<_, i64>(0)), Ok(0));
}

/// The file as the release before left it is brought forward, with all that is in it.
#[tokio::test]
async fn files_of_the_release_before_are_brought_forward() {
    let dir = Dir::new();
    let (app, endpoint) = {
        let store = dir.open();
        let f = Fixture::new(&store);
        let app = f.application().await;
        let endpoint = f.endpoint(&app).await;
        (app, endpoint)
    };
    connect(&dir)
        .execute_batch(
            "DROP TABLE alert_rule; DROP TABLE alert; DROP TABLE past_headers;
             DROP TABLE rollup; DROP TABLE rollup_app; DROP TABLE rollup_type; DROP TABLE rolled_up;
             DROP INDEX endpoint_failing; DROP TABLE rejected; DROP INDEX application_source;
             ALTER TABLE application DROP COLUMN source;
             ALTER TABLE endpoint DROP COLUMN transformation;
             ALTER TABLE task DROP COLUMN scanned; ALTER TABLE task DROP COLUMN total;
             ALTER TABLE task DROP COLUMN result;
             DROP INDEX token_org; ALTER TABLE token DROP COLUMN name;
             ALTER TABLE token DROP COLUMN access; ALTER TABLE token DROP COLUMN hash;
             ALTER TABLE token DROP COLUMN last_used_at;
             INSERT INTO token SELECT id, id, null, 's', 1, 2 FROM organization;
             PRAGMA user_version = 1;",
        )
        .expect("taken back");
    let store = dir.open();
    let found = store.load_application(app.org, &Ref::Id(app.id)).await.expect("loads");
    let found = found.expect("it is there");
    assert_eq!((found.application, found.endpoints), (app.clone(), vec![endpoint]));
    let held = Held::put(&store).await;
    held.assert_in(&store).await;
    let listed = store.list_applications(app.org, SOURCES, first(10)).await.expect("lists");
    assert_eq!(listed.items, [held.app]);
    let tokens = store.list_tokens(app.org, first(10)).await.expect("lists").items;
    let known = tokens.iter().map(|token| (token.access, token.hash, token.session_id.as_deref()));
    assert_eq!(known.collect::<Vec<_>>(), [(Access::Full, None, Some("s"))]);
}
