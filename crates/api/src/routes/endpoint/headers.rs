//! An endpoint's own headers.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{id::EndpointId, name::Ref, token::Capability};
use http::{HeaderName, HeaderValue, StatusCode};
use publish::ApplicationCatalogue;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{EndpointPath, edit};
use crate::{
    auth::{AnyCaller, Caller},
    body,
    error::{ApiError, Faults},
    extract::Path,
    state::{self, ApiState},
};

/// Most headers of an endpoint.
const MAX_HEADERS: usize = 100;
/// Longest value, in bytes.
const MAX_VALUE_BYTES: usize = 4_096;

/// Values that are not shown.
const SENSITIVE: [&str; 6] = [
    "x-auth-token",
    "x-api-key",
    "www-authenticate",
    "authorization",
    "proxy-authenticate",
    "proxy-authorization",
];

/// Headers that are ours or the connection's.
const FORBIDDEN: [&str; 23] = [
    "user-agent",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "trailers",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "age",
    "cache-control",
    "clear-site-data",
    "expires",
    "pragma",
    "warning",
    "content-length",
    "content-type",
    "content-encoding",
    "content-language",
    "content-location",
    "host",
    "connection",
];

/// Headers of clouds' own machinery, and of signatures.
const FORBIDDEN_PREFIXES: [&str; 10] = [
    "x-amz-", "x-amzn-", "x-google", "x-goog-", "x-gfe", "x-azure-", "x-fd-", "x-svix-", "svix-",
    "webhook-",
];

/// Headers to set.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EndpointHeadersIn {
    headers: BTreeMap<String, String>,
}

/// Headers to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHeadersPatchIn {
    /// `null` deletes one.
    headers: BTreeMap<String, Option<String>>,
    /// Names of those to delete.
    #[serde(default)]
    delete_headers: Vec<String>,
}

/// Headers as they are shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointHeadersOut {
    /// With their values.
    pub headers: BTreeMap<String, String>,
    /// Names of those whose values are not shown.
    pub sensitive: Vec<String>,
}

/// Whether these headers may be sent.
pub fn check(faults: &mut Faults, headers: &BTreeMap<String, String>) {
    if headers.len() > MAX_HEADERS {
        faults.body("headers", format!("at most {MAX_HEADERS} headers"));
        return;
    }
    for (name, value) in headers {
        if let Err(why) = check_header(name, value) {
            let shown = &name[..name.floor_char_boundary(100)];
            faults.body("headers", format!("{shown:?}: {why}"));
        }
    }
    let mut names: Vec<_> = headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        faults.body("headers", "two names differ only in case");
    }
}

/// Whether the value of a header of this name is not shown.
pub(in crate::routes) fn is_sensitive(name: &str) -> bool {
    SENSITIVE.iter().any(|sensitive| name.eq_ignore_ascii_case(sensitive))
}

/// Whether a header of this name may be sent along.
pub(in crate::routes) fn check_name(name: &str) -> Result<(), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "not a header name")?;
    let name = name.as_str();
    if FORBIDDEN.contains(&name) || FORBIDDEN_PREFIXES.iter().any(|p| name.starts_with(p)) {
        return Err("this header is set by the server");
    }
    Ok(())
}

fn check_header(name: &str, value: &str) -> Result<(), &'static str> {
    check_name(name)?;
    if value.len() > MAX_VALUE_BYTES {
        return Err("a value is at most 4096 bytes long");
    }
    HeaderValue::from_str(value).map_err(|_| "not a header value")?;
    Ok(())
}

/// Get Endpoint Headers
///
/// An endpoint's own headers; of sensitive ones only the names.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.get-headers", tag = "Endpoint",
    params(crate::openapi::EndpointPath),
    responses((status = 200, body = EndpointHeadersOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<EndpointHeadersOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    shown(&app, &endpoint)
}

/// An endpoint's own headers, as they are shown.
pub(in crate::routes) fn shown(
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
) -> Result<Json<EndpointHeadersOut>, ApiError> {
    let mut shown = EndpointHeadersOut { headers: BTreeMap::new(), sensitive: Vec::new() };
    for (name, value) in &state::endpoint(app, endpoint)?.headers {
        if is_sensitive(name) {
            shown.sensitive.push(name.clone());
        } else {
            shown.headers.insert(name.clone(), value.clone());
        }
    }
    Ok(Json(shown))
}

/// Set Endpoint Headers
///
/// Replaces all of an endpoint's own headers.
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.set-headers", tag = "Endpoint",
    params(crate::openapi::EndpointPath), request_body = EndpointHeadersIn,
    responses((status = 204, description = "They are set."), ApiError))]
async fn put(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let app = state.app(&caller, &app, Capability::ManageEndpoint).await?;
    replace(&state, &caller, &app, &endpoint, &body).await
}

/// Replaces all of an endpoint's own headers with those of the body.
pub(in crate::routes) async fn replace(
    state: &ApiState,
    caller: &Caller,
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
    body: &Bytes,
) -> Result<StatusCode, ApiError> {
    let EndpointHeadersIn { headers } = body::parse(body)?;
    let mut faults = Faults::default();
    check(&mut faults, &headers);
    faults.finish()?;
    let edited = edit(state, caller, app, endpoint, |endpoint| {
        endpoint.headers.clone_from(&headers);
        Ok(())
    });
    edited.await?.ok_or(ApiError::NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Patch Endpoint Headers
///
/// Changes some of an endpoint's own headers.
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.patch-headers", tag = "Endpoint",
    params(crate::openapi::EndpointPath), request_body = EndpointHeadersPatchIn,
    responses((status = 204, description = "They are changed."), ApiError))]
async fn patch(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let app = state.app(&caller, &app, Capability::ManageEndpoint).await?;
    let input: EndpointHeadersPatchIn = body::parse(&body)?;
    let edited = edit(&state, &caller, &app, &endpoint, |endpoint| {
        // Names are the same in any case; what is set again is written as it is now.
        let gone = input.headers.keys().chain(&input.delete_headers);
        for name in gone {
            endpoint.headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
        }
        for (name, value) in &input.headers {
            if let Some(value) = value {
                endpoint.headers.insert(name.clone(), value.clone());
            }
        }
        let mut faults = Faults::default();
        check(&mut faults, &endpoint.headers);
        faults.finish()
    });
    edited.await?.ok_or(ApiError::NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get, put, patch))
}
