//! Writing applications.

use domain::{
    application::Application,
    id::{ApplicationId, OrganizationId},
    name::Ref,
    token::Actor,
};
use store::catalog::Refused;

use super::bodies::Checked;
use crate::{
    error::{ApiError, Fault},
    routes::MAX_EDITS,
    state::ApiState,
};

/// 409.
pub fn taken() -> ApiError {
    ApiError::Conflict {
        code: "conflict",
        detail: "An application with that id or uid already exists",
    }
}

/// Makes an application; `Err(Ok(id))` if its uid is taken by that one.
pub async fn create(
    state: &ApiState,
    actor: &Actor,
    org: OrganizationId,
    checked: Checked,
) -> Result<Application, Result<ApplicationId, ApiError>> {
    let now = state.clock.now();
    let id = ApplicationId::generate(now, &*state.entropy);
    let application = checked.application(org, id, now);
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
    match create(state, actor, org, checked).await {
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
    change: impl Fn(&mut Application),
) -> Result<Option<Application>, ApiError> {
    for _ in 0..MAX_EDITS {
        let Some(mut application) = state.store.application(org, app).await? else {
            return Ok(None);
        };
        let expected = application.updated_at;
        change(&mut application);
        application.updated_at = state.now_after(expected);
        match state.store.update_application(actor, application.clone(), expected).await? {
            Ok(()) => {
                changed(state, &application);
                return Ok(Some(application));
            }
            Err(Refused::Stale) => {}
            Err(Refused::Taken(_)) => return Err(taken()),
            Err(Refused::NotFound) => return Ok(None),
        }
    }
    Err(ApiError::Unavailable("The application is being changed by many at once."))
}
