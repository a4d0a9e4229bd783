//! Writing sources.

use std::sync::Arc;

use domain::{
    application::{Application, Metadata},
    name::{InvalidName, Uid},
    source::{Config, Source, SourceId, SourceSettings, SourceToken, stored_uid},
};
use providers::source;

use super::{
    SourceRef,
    bodies::{IngestSourceIn, IngestSourcePatch},
    settings,
};
use crate::{
    auth::Caller,
    body::Patch,
    error::{ApiError, Faults},
    routes::{application, check},
    state::ApiState,
};

/// Longest uid, in bytes.
const MAX_UID_BYTES: usize = 60;
/// Bounds of a name, in characters.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=256;

/// What a source is made of, checked.
pub(super) struct Checked {
    name: String,
    uid: Option<Uid>,
    metadata: Metadata,
    kind: String,
    config: Config,
    settings: SourceSettings,
}

impl IngestSourceIn {
    /// Its values, checked.
    pub(super) fn check(self) -> Result<Checked, ApiError> {
        let mut faults = Faults::default();
        check_name(&mut faults, &self.name);
        check::metadata(&mut faults, &self.metadata);
        let uid = self.uid.and_then(|uid| faults.check("uid", parse_uid(&uid)));
        if let Err(error) = source::check(&self.kind, &self.config) {
            faults.push(check::config_fault(error));
        }
        faults.part("settings", settings::checked(&self.settings));
        faults.finish()?;
        let config = if self.config.is_null() { "{}".into() } else { self.config.to_string() };
        Ok(Checked {
            name: self.name,
            uid,
            metadata: self.metadata,
            kind: self.kind,
            config: Config::new(config),
            settings: self.settings,
        })
    }
}

impl IngestSourcePatch {
    /// Its values, checked: the uid is as it is stored.
    pub(super) fn check(mut self) -> Result<(Self, Patch<Uid>), ApiError> {
        let mut faults = Faults::default();
        if let Some(name) = &self.name {
            check_name(&mut faults, name);
        }
        if let Some(metadata) = &self.metadata {
            check::metadata(&mut faults, metadata);
        }
        if let Some(settings) = &self.settings {
            faults.part("settings", settings::checked(settings));
        }
        let uid = std::mem::take(&mut self.uid).try_map(|uid| parse_uid(&uid));
        let uid = faults.check("uid", uid).unwrap_or_default();
        faults.finish()?;
        Ok((self, uid))
    }
}

impl Checked {
    /// A new source, in an application of its own.
    pub(super) fn application(self, state: &ApiState, caller: &Caller) -> Application {
        let (id, now) = application::fresh(state);
        let source = Source {
            kind: self.kind,
            config: self.config,
            tokens: vec![SourceToken::generate(&*state.entropy)],
            settings: self.settings,
            sent_secret: None,
        };
        Application {
            org: caller.org,
            id,
            uid: self.uid,
            name: self.name,
            throttle_rate: None,
            metadata: self.metadata,
            source: Some(Arc::new(source)),
            created_at: now,
            updated_at: now,
        }
    }

    /// Replaces what a source is made of. Its tokens stay, and so does the secret that the provider has
    /// sent, unless it is configured otherwise now.
    pub(super) fn replace(&self, app: &mut Application, source: &mut Source) {
        app.name.clone_from(&self.name);
        app.uid.clone_from(&self.uid);
        app.metadata.clone_from(&self.metadata);
        if (&source.kind, &source.config) != (&self.kind, &self.config) {
            source.sent_secret = None;
        }
        source.kind.clone_from(&self.kind);
        source.config = self.config.clone();
        source.settings = self.settings.clone();
    }
}

/// Changes a source from what it is now; `None` if there is none.
pub(super) async fn edit(
    state: &ApiState,
    caller: &Caller,
    source: &SourceRef,
    mut change: impl FnMut(&mut Application, &mut Source) -> Result<(), ApiError>,
) -> Result<Option<Application>, ApiError> {
    let mut is_source = true;
    let edited = application::edit(state, &caller.actor(), caller.org, &source.0, |app| {
        let Some(mut source) = app.source.take() else {
            is_source = false;
            return Err(ApiError::NOT_FOUND);
        };
        change(app, Arc::make_mut(&mut source))?;
        app.source = Some(source);
        Ok(())
    })
    .await;
    if is_source { edited } else { Ok(None) }
}

/// Makes a source.
pub(super) async fn create(
    state: &ApiState,
    caller: &Caller,
    checked: Checked,
) -> Result<Application, ApiError> {
    let source = checked.application(state, caller);
    match application::create(state, &caller.actor(), source.clone()).await {
        Ok(app) => Ok(app),
        Err(Ok(_)) => Err(application::taken(&source)),
        Err(Err(error)) => Err(error),
    }
}

fn check_name(faults: &mut Faults, name: &str) {
    if !NAME_CHARS.contains(&name.chars().count()) {
        faults.body("name", "must be 2 to 256 characters long");
    }
    check::text(faults, "name", name);
}

/// A source's uid, as its application's.
fn parse_uid(text: &str) -> Result<Uid, InvalidName> {
    if text.is_empty() || text.len() > MAX_UID_BYTES {
        return Err(InvalidName::Length { max: MAX_UID_BYTES });
    }
    if text.starts_with("src_") {
        return Err(InvalidName::LooksLikeId { prefix: SourceId::PREFIX });
    }
    // The dot is ours: see `stored_uid`.
    if text.contains('.') {
        return Err(InvalidName::Characters { pattern: "^[a-zA-Z0-9_-]+$" });
    }
    stored_uid(&text.parse()?)
}
