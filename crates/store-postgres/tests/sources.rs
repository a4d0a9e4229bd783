//! Sources, transformations and refused requests: what is secret of them, and nodes of the release
//! before.

mod common;

use std::time::Duration;

use common::Database;
use domain::{
    alert::Rule,
    application::Application,
    endpoint::{Endpoint, Transformation},
    name::Ref,
    token::Access,
};
use hookwright_store_postgres::PostgresStore;
use store::{
    Alerts, Catalog, Rejected, StoreError, Tokens,
    rejected::RejectedRequest,
    suite::{
        fixture::{ACTOR, Fixture, at, first},
        sources::SOURCES,
        traffic::tenant,
    },
};

struct Held {
    app: Application,
    endpoint: Endpoint,
    request: RejectedRequest,
    rule: Rule,
}

impl Held {
    async fn put(store: &PostgresStore) -> Self {
        let f = Fixture::new(store);
        let app = f.new_source(at(0));
        f.create_application(&app).await;
        let mut endpoint = f.new_endpoint(&app, at(0));
        endpoint.transformation = Some(Transformation {
            code: Some("handler = hidden-in-the-code".into()),
            enabled: true,
            variables: Some([("key".into(), "hidden-in-the-variables".into())].into()),
        });
        endpoint.url = "https://user:secret@example.com/hook".parse().expect("a url");
        let headers = [("x-key".into(), "hidden-in-a-past-header".into())].into();
        f.create_endpoint(&Endpoint { headers, ..endpoint.clone() }).await;
        let endpoint = f.update_endpoint(&endpoint, |_| {}).await;
        let request = f.new_rejected(&app, at(1));
        store.keep_rejected(vec![request.clone()]).await.expect("kept");
        let rule = f.new_rule(at(2));
        assert_eq!(store.create_alert_rule(&ACTOR, rule.clone()).await, Ok(true));
        Self { app, endpoint, request, rule }
    }

    async fn assert_in(&self, store: &PostgresStore) {
        let (org, app) = (self.app.org, self.app.id);
        let found = store.load_application(org, &Ref::Id(app)).await.expect("loads");
        let found = found.expect("it is there");
        assert_eq!(
            (found.application, found.endpoints),
            (self.app.clone(), vec![self.endpoint.clone()])
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
    let database = Database::new();
    let held = Held::put(&database.open(1).await).await;
    let store = database.try_open(&[[1; 32], [2; 32]], 2).await.expect("opens");
    held.assert_in(&store).await;
    // A node of the release before edits the endpoint: it seals anew what it knows of.
    let f = Fixture::new(&store);
    let sealed = "SELECT transformation FROM endpoint";
    let before = database.sql(sealed);
    let endpoint = f.update_endpoint(&held.endpoint, |endpoint| endpoint.version = 7).await;
    database.sql(&format!("UPDATE endpoint SET transformation = '{before}'"));
    let held = Held { endpoint, ..held };

    assert_eq!(store.reseal().await, Ok(5));
    assert_eq!(store.reseal().await, Ok(0), "nothing is left to do");
    let store = database.try_open(&[[2; 32]], 3).await.expect("opens with the new key");
    held.assert_in(&store).await;
}

#[tokio::test]
async fn sealed_values_open_only_in_their_row() {
    let database = Database::new();
    let store = database.open(1).await;
    let held = Held::put(&store).await;
    let f = Fixture::new(&store);
    let other = f.application().await;
    let endpoint = f.endpoint(&other).await;
    let request = f.new_rejected(&other, at(1));
    store.keep_rejected(vec![request.clone()]).await.expect("kept");
    database.sql(
        "UPDATE endpoint SET transformation =
             (SELECT transformation FROM endpoint WHERE transformation IS NOT NULL);
         UPDATE rejected SET content = (SELECT content FROM rejected ORDER BY length(content), app
             LIMIT 1)",
    );
    let found = store.endpoint(f.org, other.id, &Ref::Id(endpoint.id)).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    let of = [(tenant(&held.app), held.request.id), (tenant(&other), request.id)];
    let mut opened = 0;
    for (tenant, id) in of {
        opened += usize::from(store.rejected(tenant, id).await.is_ok());
    }
    assert_eq!(opened, 1, "it opens where it was");

    database.sql(
        "UPDATE application SET source = (SELECT source FROM application WHERE source IS NOT NULL)",
    );
    let found = store.application(f.org, &Ref::Id(other.id)).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
}

#[tokio::test]
async fn secrets_go_with_their_application() {
    let database = Database::new();
    let store = database.open(1).await;
    let held = Held::put(&store).await;
    let (org, app) = (held.app.org, held.app.id);
    assert_eq!(store.delete_application(&ACTOR, org, app, at(2)).await, Ok(Ok(())));
    let left = "SELECT count(source) + (SELECT count(*) FROM rejected) FROM application";
    assert_eq!(database.sql(left), "0");
}

/// Tables as the release before left them are brought forward, and its nodes go on beside those of this
/// one: what they do not know of stays as it is.
#[tokio::test]
async fn nodes_of_the_release_before_go_on() {
    let database = Database::new();
    let store = database.open(1).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    drop(store);
    database.sql(
        "DROP TABLE past_headers, alert_rule, alert, rejected; ALTER TABLE application DROP COLUMN source;
         ALTER TABLE endpoint DROP COLUMN transformation; DROP INDEX task_open;
         ALTER TABLE task DROP COLUMN scanned, DROP COLUMN total, DROP COLUMN result; ALTER TABLE token DROP COLUMN name,
         DROP COLUMN access, DROP COLUMN hash, DROP COLUMN last_used_at;
         DROP TABLE traffic, rollup, rollup_app, rollup_type, counted, rolled_up;
         DROP INDEX endpoint_failing; UPDATE hookwright_version SET version = 1",
    );
    let store = database.open(2).await;
    let found = store.load_application(app.org, &Ref::Id(app.id)).await.expect("loads");
    let found = found.expect("it is there");
    assert_eq!((found.application, found.endpoints), (app.clone(), vec![endpoint]));
    let held = Held::put(&store).await;

    // As they write.
    database.sql(
        "INSERT INTO application (org, app, uid, created_at, updated_at, doc, version)
             SELECT org, decode(repeat('ab', 20), 'hex'), null, 1, 1, doc, 1 FROM application LIMIT 1;
         UPDATE application SET uid = uid, created_at = created_at, updated_at = updated_at, doc = doc;
         INSERT INTO endpoint (org, app, endpoint, uid, url, url_sealed, disabled, headers, secrets,
             first_failure_at, revision, created_at, updated_at, doc)
             SELECT org, app, decode(repeat('ab', 20), 'hex'), null, url, url_sealed, disabled, headers,
             secrets, null, 1, 1, 1, doc FROM endpoint WHERE transformation IS NULL;
         UPDATE endpoint SET uid = uid, url = url, disabled = disabled, headers = headers,
             secrets = secrets, doc = doc;
         INSERT INTO token (org, id, app, session_id, created_at, expires_at)
             SELECT org, org, null, '\"s\"', 1, 2 FROM application LIMIT 1",
    );
    held.assert_in(&store).await;
    // What they overwrite is not known any more, and nothing else is said to have been there.
    database.sql("UPDATE endpoint SET revision = revision + 1 WHERE revision = 2");
    let held_at = async |revision| {
        let (org, app) = (held.app.org, held.app.id);
        store.headers_at(org, app, held.endpoint.id, revision).await.expect("headers_at").is_some()
    };
    assert_eq!([held_at(1).await, held_at(2).await, held_at(3).await], [true, false, true]);
    let tokens = store.list_tokens(app.org, first(10)).await.expect("lists").items;
    let known = tokens.iter().map(|token| (token.access, token.hash, token.session_id.as_deref()));
    assert_eq!(known.collect::<Vec<_>>(), [(Access::Full, None, Some("s"))]);
    let listed = store.list_applications(app.org, SOURCES, first(10)).await.expect("lists");
    assert_eq!(listed.items, [held.app]);
}

/// However many customers there are, and whatever is known of the table.
#[tokio::test]
async fn a_list_of_sources_passes_no_customer() {
    let database = Database::new();
    let store = database.open(1).await;
    let held = Held::put(&store).await;
    database.sql(
        "INSERT INTO application (org, app, uid, created_at, updated_at, doc, version)
             SELECT org, int8send(n) || substr(app, 9), null, 1, 1, doc, 1
             FROM application, generate_series(1, 20000) n",
    );
    for known in ["SELECT 1", "ANALYZE application"] {
        database.sql(known);
        let listed = store.list_applications(held.app.org, SOURCES, first(10)).await;
        assert_eq!(listed.expect("lists").items, std::slice::from_ref(&held.app));
    }
    // The connections' counts arrive when these end.
    drop(store);
    let scans =
        "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'application_source'";
    for _ in 0..100 {
        if database.sql(scans) == "2" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("scans of the index: {}", database.sql(scans));
}
