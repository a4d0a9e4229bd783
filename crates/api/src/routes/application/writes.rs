//! Writing applications.

use domain::{
    application::Application,
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::Ref,
    source::SourceId,
    token::Actor,
};
use http::StatusCode;
use store::catalog::Refused;

use super::bodies::Checked;
use crate::{
    error::{ApiError, Fault},
    routes::MAX_EDITS,
    state::ApiState,
};

/// 409: of an application, or a source.
pub fn taken(application: &Application) -> ApiError {
    ApiError::conflict(match application.source {
        None => "An application with that id or uid already exists",
        Some(_) => "A source with that id or uid already exists",
    })
}

/// 409 if it is a source's: its own routes change it.
pub fn not_a_source(application: &Application) -> Result<(), ApiError> {
    if application.source.is_none() {
        return Ok(());
    }
    let source = SourceId(application.id);
    Err(ApiError::conflict(format!("The application belongs to the source {source}: change that.")))
}

/// What a new application is called by us, and when it is made.
pub fn fresh(state: &ApiState) -> (ApplicationId, Timestamp) {
    let now = state.clock.now();
    (ApplicationId::generate(now, &*state.entropy), now)
}

/// Makes an application; `Err(Ok(id))` if its uid is taken by that one.
pub async fn create(
    state: &ApiState,
    actor: &Actor,
    application: Application,
) -> Result<Application, Result<ApplicationId, ApiError>> {
    let (org, id) = (application.org, application.id);
    let created = state.store.create_application(actor, application.clone()).await;
    // That there is none of this uid is remembered, perhaps, and is not so any more: whoever took the
    // uid may not have come to say so, and what failed may have been done.
    let there_now = |id| {
        state.publisher.catalogues().application_changed(org, id, application.uid.as_ref());
    };
    match created {
        Ok(Ok(())) => {
            changed(state, &application);
            Ok(application)
        }
        Ok(Err(Refused::Taken(by))) => {
            there_now(by);
            Err(Ok(by))
        }
        Ok(Err(_)) => Err(Err(ApiError::Internal)),
        Err(error) => {
            there_now(id);
            Err(Err(error.into()))
        }
    }
}

/// The application that is made in line, by a message or a portal access to an application that is not
/// there yet: its uid must be what the path names.
pub async fn create_in_line(
    state: &ApiState,
    actor: &Actor,
    org: OrganizationId,
    path: &Ref<ApplicationId>,
    checked: Checked,
) -> Result<(), ApiError> {
    let mismatch = |kind, msg: &str| {
        let fault = Fault::new(&["body", "application", "uid"], msg);
        ApiError::Invalid(vec![Fault { kind, ..fault }])
    };
    match (&checked.uid, path) {
        (None, _) => {
            let msg = "must be set: it is the application that the path names";
            return Err(mismatch("application_uid_missing", msg));
        }
        (Some(uid), Ref::Uid(named)) if uid == named => {}
        _ => {
            let msg = "must be the same as in the path";
            return Err(mismatch("application_uid_mismatch", msg));
        }
    }
    match create(state, actor, checked.application(org, fresh(state))).await {
        // Somebody else was first: fine.
        Ok(_) | Err(Ok(_)) => Ok(()),
        Err(Err(error)) => Err(error),
    }
}

/// Tells those who work with an application.
pub fn changed(state: &ApiState, app: &Application) {
    state.publisher.catalogues().application_changed(app.org, app.id, app.uid.as_ref());
    state.publisher.handover().application_changed(app.org, app.id);
}

/// Changes an application from what it is now.
pub async fn edit(
    state: &ApiState,
    actor: &Actor,
    org: OrganizationId,
    app: &Ref<ApplicationId>,
    mut change: impl FnMut(&mut Application) -> Result<(), ApiError>,
) -> Result<Option<Application>, ApiError> {
    for _ in 0..MAX_EDITS {
        let Some(mut application) = state.store.application(org, app).await? else {
            return Ok(None);
        };
        let expected = application.updated_at;
        change(&mut application)?;
        application.updated_at = state.now_after(expected);
        match state.store.update_application(actor, application.clone(), expected).await? {
            Ok(()) => {
                changed(state, &application);
                return Ok(Some(application));
            }
            Err(Refused::Stale) => {}
            Err(Refused::Taken(_)) => return Err(taken(&application)),
            Err(Refused::NotFound) => return Ok(None),
        }
    }
    Err(ApiError::Unavailable("The application is being changed by many at once."))
}

/// Deletes an application.
pub async fn remove(
    state: &ApiState,
    actor: &Actor,
    app: &Application,
) -> Result<StatusCode, ApiError> {
    let deleted = state.store.delete_application(actor, app.org, app.id, state.clock.now()).await?;
    deleted.map_err(|_| ApiError::NOT_FOUND)?;
    changed(state, app);
    Ok(StatusCode::NO_CONTENT)
}
