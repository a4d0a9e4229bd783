//! Settings, event types, and the versions of both.

use std::time::Duration;

use domain::{
    event_type::EventType,
    name::Ref,
    organization::{Organization, OrganizationSettings, SchemaMode},
    retry::RetrySchedule,
};

use super::fixture::{ACTOR, Fixture, at};
use crate::{Store, catalog::Refused};

impl Fixture<'_> {
    pub(super) fn new_event_type(&self, name: &str) -> EventType {
        EventType {
            org: self.org,
            name: name.parse().expect("a name"),
            description: String::new(),
            archived: false,
            deprecated: false,
            schemas: None,
            group_name: None,
            feature_flags: Vec::new(),
            schema_mode: None,
            retry_schedule: None,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    async fn event_type(&self, name: &str) -> EventType {
        let event_type = self.new_event_type(name);
        let created = self.store.create_event_type(&ACTOR, event_type.clone()).await;
        assert_eq!(created, Ok(Ok(())));
        event_type
    }
}

/// Settings are written over those that were read, and over no others.
pub async fn refuse_stale_settings(store: &dyn Store) {
    let f = Fixture::new(store);
    let with = |max: u64| {
        let settings = OrganizationSettings {
            max_pending_deliveries: Some(max),
            ..OrganizationSettings::default()
        };
        Organization { id: f.org, settings }
    };
    assert_eq!(store.put_organization(&ACTOR, with(1), 7).await, Ok(Err(Refused::Stale)));
    assert_eq!(store.put_organization(&ACTOR, with(1), 0).await, Ok(Ok(())));
    assert_eq!(store.put_organization(&ACTOR, with(2), 0).await, Ok(Err(Refused::Stale)));
    let loaded = store.load_organization(f.org).await.expect("load");
    assert_eq!(loaded.organization, with(1));
    assert_eq!(store.put_organization(&ACTOR, with(2), loaded.version).await, Ok(Ok(())));
}

/// Settings are kept; an organization that nobody has heard of has the default ones.
pub async fn have_settings(store: &dyn Store) {
    let f = Fixture::new(store);
    let fresh = store.load_organization(f.org).await.expect("load");
    let settings = OrganizationSettings::default();
    assert_eq!(fresh.organization, Organization { id: f.org, settings });
    assert_eq!(fresh.event_types, []);

    let settings = OrganizationSettings {
        schema_mode: SchemaMode::Reject,
        max_pending_deliveries: Some(5_000),
        payload_retention: Some(Duration::from_secs(3_600)),
    };
    let organization = Organization { id: f.org, settings };
    assert_eq!(store.put_organization(&ACTOR, organization.clone(), 0).await, Ok(Ok(())));
    let loaded = store.load_organization(f.org).await.expect("load");
    assert_eq!(loaded.organization, organization);
    let other = f.other().org;
    let elsewhere = store.load_organization(other).await.expect("load");
    assert_eq!(elsewhere.organization.settings, OrganizationSettings::default());

    let back = Organization { id: f.org, settings: OrganizationSettings::default() };
    assert_eq!(store.put_organization(&ACTOR, back.clone(), loaded.version).await, Ok(Ok(())));
    assert_eq!(store.load_organization(f.org).await.expect("load").organization, back);
}

/// Everything of an event type is kept.
pub async fn keep_event_types(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut event_type = f.new_event_type("user.signup");
    event_type.description = "Somebody signed up \u{1F44B}".into();
    event_type.deprecated = true;
    event_type.schemas = Some(serde_json::json!({"1": {"type": "object", "z": 1, "a": [null]}}));
    event_type.group_name = Some("user".into());
    event_type.feature_flags = vec!["beta".parse().expect("a flag")];
    event_type.schema_mode = Some(SchemaMode::Warn);
    let schedule = RetrySchedule::new([Duration::from_secs(5)]);
    event_type.retry_schedule = Some(schedule.expect("a schedule"));
    let created = store.create_event_type(&ACTOR, event_type.clone()).await;
    assert_eq!(created, Ok(Ok(())));

    let name = &event_type.name;
    assert_eq!(store.event_type(f.org, name).await, Ok(Some(event_type.clone())));
    let loaded = store.load_organization(f.org).await.expect("load");
    assert_eq!(loaded.event_types, [event_type.clone()]);

    let stranger = f.other().org;
    assert_eq!(store.event_type(stranger, name).await, Ok(None));
    assert_eq!(store.load_organization(stranger).await.expect("load").event_types, []);
    let stolen = EventType { org: stranger, ..event_type.clone() };
    let updated = store.update_event_type(&ACTOR, stolen, at(0)).await;
    assert_eq!(updated, Ok(Err(Refused::NotFound)));
    let expunged = store.expunge_event_type(&ACTOR, stranger, name).await;
    assert_eq!(expunged, Ok(Err(Refused::NotFound)));
}

/// A name belongs to one live event type; an archived one gives way.
pub async fn replace_archived_event_types(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut event_type = f.event_type("user.signup").await;
    let name = event_type.name.clone();
    let taken = store.create_event_type(&ACTOR, f.new_event_type("user.signup")).await;
    assert_eq!(taken, Ok(Err(Refused::Taken(name.clone()))));

    (event_type.archived, event_type.updated_at) = (true, at(1));
    let archived = store.update_event_type(&ACTOR, event_type.clone(), at(0)).await;
    assert_eq!(archived, Ok(Ok(())));
    assert_eq!(store.event_type(f.org, &name).await, Ok(Some(event_type)));

    let mut fresh = f.new_event_type("user.signup");
    (fresh.description, fresh.created_at) = ("fresh".into(), at(2));
    assert_eq!(store.create_event_type(&ACTOR, fresh.clone()).await, Ok(Ok(())));
    assert_eq!(store.event_type(f.org, &name).await, Ok(Some(fresh.clone())));
    assert_eq!(store.load_organization(f.org).await.expect("load").event_types, [fresh]);
}

/// An update says which state it was made from; what is expunged is gone.
pub async fn refuse_stale_event_types(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut event_type = f.event_type("user.signup").await;
    (event_type.description, event_type.updated_at) = ("new".into(), at(1));
    let updated = store.update_event_type(&ACTOR, event_type.clone(), at(0)).await;
    assert_eq!(updated, Ok(Ok(())));
    let mut loser = event_type.clone();
    (loser.description, loser.updated_at) = ("loser".into(), at(2));
    let stale = store.update_event_type(&ACTOR, loser, at(0)).await;
    assert_eq!(stale, Ok(Err(Refused::Stale)));
    let name = &event_type.name;
    assert_eq!(store.event_type(f.org, name).await, Ok(Some(event_type.clone())));

    assert_eq!(store.expunge_event_type(&ACTOR, f.org, name).await, Ok(Ok(())));
    assert_eq!(store.event_type(f.org, name).await, Ok(None));
    let gone = Ok(Err(Refused::NotFound));
    assert_eq!(store.expunge_event_type(&ACTOR, f.org, name).await, gone);
    assert_eq!(store.update_event_type(&ACTOR, event_type.clone(), at(1)).await, gone);
    f.event_type("user.signup").await;
}

/// Each change counts up the version of its part, what is refused counts nothing, and neighbours
/// count for themselves.
pub async fn count_versions(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, neighbour) = (f.application().await, f.application().await);
    let mut versions = f.versions(&app).await;
    let beside = f.versions(&neighbour).await;

    let mut event_type = f.event_type("a").await;
    versions.org += 1;
    assert_eq!(f.versions(&app).await, versions, "create_event_type");
    event_type.updated_at = at(1);
    let updated = store.update_event_type(&ACTOR, event_type.clone(), at(0)).await;
    assert_eq!(updated, Ok(Ok(())));
    versions.org += 1;
    assert_eq!(f.versions(&app).await, versions, "update_event_type");
    assert_eq!(store.expunge_event_type(&ACTOR, f.org, &event_type.name).await, Ok(Ok(())));
    versions.org += 1;
    assert_eq!(f.versions(&app).await, versions, "expunge_event_type");
    let organization = Organization { id: f.org, settings: OrganizationSettings::default() };
    assert_eq!(store.put_organization(&ACTOR, organization, versions.org).await, Ok(Ok(())));
    versions.org += 1;
    assert_eq!(f.versions(&app).await, versions, "put_organization");

    let endpoint = f.endpoint(&app).await;
    versions.app += 1;
    assert_eq!(f.versions(&app).await, versions, "create_endpoint");
    f.update_endpoint(&endpoint, |e| e.disabled = true).await;
    versions.app += 1;
    assert_eq!(f.versions(&app).await, versions, "update_endpoint");
    assert_eq!(store.update_endpoint(&ACTOR, endpoint).await, Ok(Err(Refused::Stale)));
    assert_eq!(f.versions(&app).await, versions, "a refused update");
    let mut renamed = app.clone();
    renamed.updated_at = at(1);
    assert_eq!(store.update_application(&ACTOR, renamed, at(0)).await, Ok(Ok(())));
    versions.app += 1;
    assert_eq!(f.versions(&app).await, versions, "update_application");

    assert_eq!(f.versions(&neighbour).await.app, beside.app, "the neighbour's");
    let listed = store.load_application(f.org, &Ref::Id(neighbour.id)).await.expect("load");
    assert_eq!(listed.expect("it is there").endpoints, []);
}
