//! What goes wrong, and the status and JSON body it becomes: the one place that knows both.

use std::borrow::Cow;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use publish::{PublishError, Rejected};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

/// After how many seconds a caller that met a full or busy server is asked to come again.
const RETRY_AFTER_SECS: u64 = 1;

/// One thing that is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ValidationError)]
pub struct Fault {
    /// The path to it: `["body", "eventType"]`.
    #[schema(value_type = Vec<String>)]
    pub loc: Vec<Cow<'static, str>>,
    /// What is wrong, for people.
    pub msg: String,
    /// What is wrong, for programs.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: &'static str,
}

impl Fault {
    /// A value that is not allowed, at `loc`.
    pub fn new(loc: &[&'static str], msg: impl ToString) -> Self {
        let loc = loc.iter().copied().map(Cow::Borrowed).collect();
        Self { loc, msg: msg.to_string(), kind: "value_error" }
    }
}

/// Gathers all that is wrong with a request, so that one answer names it all.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes that a field of the body is wrong.
    pub fn body(&mut self, field: &'static str, msg: impl ToString) {
        self.0.push(Fault::new(&["body", field], msg));
    }

    /// Notes a fault.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Notes what is wrong with a body that is part of this one, under `field`.
    pub fn part(&mut self, field: &'static str, result: Result<(), ApiError>) {
        if let Err(ApiError::Invalid(faults)) = result.map_err(|error| error.within(field)) {
            self.0.extend(faults);
        }
    }

    /// The value, or a note of what is wrong with it.
    pub fn check<T, E: ToString>(
        &mut self,
        field: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.body(field, error.to_string())).ok()
    }

    /// `Err` if anything was noted.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.0)) }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// 400: cannot be understood, or asks for what cannot be.
    BadRequest {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// 401: no token, or none that is valid.
    Unauthorized(&'static str),
    /// 403: the token does not open this.
    Forbidden,
    /// 404: there is no such thing, or none that this caller may know of.
    NotFound(&'static str),
    /// 405: the route does not take this method.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    BodyTimeout,
    /// 409: the name is taken.
    Conflict {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: Cow<'static, str>,
    },
    /// 413: the body is over the limit.
    TooLarge,
    /// 422: values that are not allowed.
    Invalid(Vec<Fault>),
    /// 429: the application has too much pending.
    OverQuota,
    /// 503: not at the moment; nothing of it was done, or it is unknown.
    Unavailable(&'static str),
    /// 503: another node does this; which one may be another one soon.
    NotHere,
    /// 500: our fault. What it was stands in the log.
    Internal,
}

/// The body of an error that is not about values.
#[derive(Serialize, ToSchema)]
#[schema(as = HttpErrorOut)]
pub struct HttpErrorOut<'a> {
    /// For programs.
    pub code: &'a str,
    /// For people.
    pub detail: &'a str,
}

/// The body of an error about values.
#[derive(Serialize, ToSchema)]
#[schema(as = HTTPValidationError)]
pub struct ValidationErrorOut<'a> {
    /// All that is wrong.
    #[schema(value_type = Vec<Fault>)]
    pub detail: &'a [Fault],
}

impl ApiError {
    /// 404 for most things.
    pub const NOT_FOUND: Self = Self::NotFound("Entity not found");
    /// 404 for applications that a message was to be sent to.
    pub const NO_APPLICATION: Self = Self::NotFound("Application not found");
    /// 401 for a token that was good.
    pub const REVOKED: Self = Self::Unauthorized("Invalid token (revoked).");
    /// 409 for most things.
    pub const CONFLICT: Self =
        Self::Conflict { code: "conflict", detail: Cow::Borrowed("A conflict has occurred") };

    /// 400 of a value that is not even of the right type.
    pub fn generic(detail: impl Into<String>) -> Self {
        Self::BadRequest { code: "generic_error", detail: detail.into() }
    }

    /// 409, and why.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict { code: "conflict", detail: detail.into() }
    }

    /// 422 of a single value.
    pub fn invalid(loc: &[&'static str], msg: impl ToString) -> Self {
        Self::Invalid(vec![Fault::new(loc, msg)])
    }

    /// The same of a body that is part of another one, under `field`.
    #[must_use]
    pub fn within(mut self, field: &'static str) -> Self {
        if let Self::Invalid(faults) = &mut self {
            for fault in faults {
                let at = fault.loc.len().min(1);
                fault.loc.insert(at, Cow::Borrowed(field));
            }
        }
        self
    }

    /// Its status.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::OverQuota => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) | Self::NotHere => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Its code and its words.
    pub fn parts(&self) -> (&str, &str) {
        match self {
            Self::BadRequest { code, detail } => (code, detail),
            Self::Unauthorized(detail) => ("authentication_failed", detail),
            // Svix's code has a space.
            Self::Forbidden => {
                ("insufficient access", "Insufficient access for the given operation.")
            }
            Self::NotFound(detail) => ("not_found", detail),
            Self::MethodNotAllowed => {
                ("method_not_allowed", "This route does not take that method; see Allow.")
            }
            Self::BodyTimeout => ("request_timeout", "The request's body did not arrive in time."),
            Self::Conflict { code, detail } => (code, detail),
            Self::TooLarge => ("payload_too_large", "Request payload is too large."),
            Self::Invalid(_) => ("validation_error", "Some values are not allowed."),
            Self::OverQuota => {
                ("rate_limit", "The application has too many pending deliveries; try again later.")
            }
            Self::Unavailable(detail) => ("unavailable", detail),
            Self::NotHere => ("not_here", "Another node delivers to this endpoint; connect again."),
            Self::Internal => ("internal", "An internal error has occurred; it was logged."),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = match &self {
            Self::Invalid(faults) => {
                (status, Json(ValidationErrorOut { detail: faults })).into_response()
            }
            _ => {
                let (code, detail) = self.parts();
                (status, Json(HttpErrorOut { code, detail })).into_response()
            }
        };
        let headers = response.headers_mut();
        match self {
            Self::OverQuota | Self::Unavailable(_) | Self::NotHere => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECS.into());
            }
            Self::Unauthorized(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => Self::Unavailable("The store is not available."),
            StoreError::Full(_) => Self::Unavailable("There is no room for new work."),
            StoreError::Overloaded => Self::Unavailable("The server is overloaded."),
            StoreError::TooLong => {
                Self::Unavailable("Looking through it took too long: ask for less.")
            }
            StoreError::Unknown => Self::Unavailable(
                "Whether it was done is unknown: repeat it with the same idempotency key.",
            ),
            StoreError::Corrupt(_) | StoreError::Internal(_) => {
                tracing::error!(%error, "a request failed");
                Self::Internal
            }
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::NotFound => Self::NO_APPLICATION,
            PublishError::Revoked => Self::REVOKED,
            PublishError::Store(error) => error.into(),
        }
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::EventIdTaken => Self::CONFLICT,
            Rejected::Schema(faults) => {
                let fault = |msg: String| Fault::new(&["body", "payload"], msg);
                Self::Invalid(faults.into_iter().map(fault).collect())
            }
            Rejected::OverQuota => Self::OverQuota,
            Rejected::NoSuchEndpoint => Self::NOT_FOUND,
            Rejected::NoSuchApplication => Self::NO_APPLICATION,
            Rejected::Revoked => Self::REVOKED,
            Rejected::Store(error) => error.into(),
        }
    }
}

impl utoipa::IntoResponses for ApiError {
    /// What every operation may answer.
    fn responses() -> std::collections::BTreeMap<
        String,
        utoipa::openapi::RefOr<utoipa::openapi::response::Response>,
    > {
        use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
        let statuses = [
            ("400", "Bad request", "HttpErrorOut"),
            ("401", "Unauthorized", "HttpErrorOut"),
            ("403", "Forbidden", "HttpErrorOut"),
            ("404", "Not Found", "HttpErrorOut"),
            ("408", "Request timeout", "HttpErrorOut"),
            ("409", "Conflict", "HttpErrorOut"),
            ("413", "Payload too large", "HttpErrorOut"),
            ("422", "Validation Error", "HTTPValidationError"),
            ("429", "Too Many Requests", "HttpErrorOut"),
            ("500", "Internal error", "HttpErrorOut"),
            ("503", "Unavailable", "HttpErrorOut"),
        ];
        let response = |(status, description, schema): (&str, &str, &str)| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            let response = ResponseBuilder::new()
                .description(description)
                .content("application/json", content)
                .build();
            (status.to_owned(), RefOr::T(response))
        };
        statuses.into_iter().map(response).collect()
    }
}
