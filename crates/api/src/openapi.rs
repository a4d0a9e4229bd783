//! The description of the API (OpenAPI 3.1), made from the handlers. Committed as `openapi.json`; a
//! test compares. Operations and schemas are named as Svix names them, so that its generators agree.

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use http::header;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, RefOr, Schema,
        Type,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    error::{Fault, HttpErrorOut, ValidationErrorOut},
    routes,
};

/// The query of a list whose order is fixed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes PageQuery")]
pub(crate) struct FixedPage {
    /// Most items of a page.
    #[param(required = false, minimum = 1, maximum = 250, default = 50)]
    limit: u16,
    /// The `iterator` (or `prevIterator`) of another page.
    iterator: Option<String>,
}

/// The query of a list that may be ordered.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes PageQuery")]
pub(crate) struct OrderedPage {
    /// Most items of a page.
    #[param(required = false, minimum = 1, maximum = 250, default = 50)]
    limit: u16,
    /// The `iterator` (or `prevIterator`) of another page.
    iterator: Option<String>,
    /// `ascending` or `descending`.
    #[param(inline)]
    order: Option<Ordering>,
}

/// The order of a list.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes domain::page::Order")]
pub(crate) enum Ordering {
    /// Oldest or smallest first.
    Ascending,
    /// Newest or largest first.
    Descending,
}

/// What lists of history are filtered by.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes MessageFilter")]
pub(crate) struct MessageFilters {
    /// Only messages with this channel.
    channel: Option<String>,
    /// Only messages with this tag.
    tag: Option<String>,
    /// Only messages of these types.
    event_types: Option<Vec<String>>,
    /// Only what is older.
    #[param(format = DateTime)]
    before: Option<String>,
    /// Only what is newer.
    #[param(format = DateTime)]
    after: Option<String>,
}

/// What lists of attempts are filtered by.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes AttemptQuery")]
pub(crate) struct AttemptFilters {
    /// Only those that ended so: 0 success, 2 fail.
    #[param(inline)]
    status: Option<MessageStatus>,
    /// Only answers of this class; 0 is none.
    #[param(inline)]
    status_code_class: Option<StatusCodeClass>,
    /// Taken for the sake of clients: an attempt has no other statuses.
    expanded_statuses: Option<bool>,
}

/// What lists of deliveries are filtered by.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes StatusQuery")]
pub(crate) struct StatusFilter {
    /// Only those that stand so: 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[param(inline)]
    status: Option<MessageStatus>,
    /// Show cancelled ones as 4; they are shown, and asked for, as 0 otherwise.
    expanded_statuses: Option<bool>,
}

/// The query of an attempt.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what is not looked at")]
pub(crate) struct AttemptStatuses {
    /// Taken for the sake of clients: an attempt has no other statuses.
    expanded_statuses: Option<bool>,
}

/// The query of what may be cancelled.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes Expanded")]
pub(crate) struct Expanded {
    /// Show cancelled ones as 4; they are shown as 0 otherwise.
    expanded_statuses: Option<bool>,
}

macro_rules! numbers {
    ($($(#[doc = $doc:literal])* $name:ident [$($number:literal),*];)*) => {$(
        $(#[doc = $doc])*
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .description(Some(concat!($($doc),*).trim()))
                    .enum_values(Some([$($number),*]))
                    .into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

numbers! {
    /// 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    MessageStatus [0, 1, 2, 3, 4];
    /// 0 no answer, 100 1xx, 200 2xx, 300 3xx, 400 4xx, 500 5xx.
    StatusCodeClass [0, 100, 200, 300, 400, 500];
    /// 0 by schedule, 1 because somebody asked for it.
    MessageAttemptTriggerType [0, 1];
}

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(IntoParams)]
        #[into_params(parameter_in = Path)]
        #[allow(dead_code, reason = "describes what extract::Path reads")]
        pub(crate) struct $name {
            $($(#[$field_doc])* #[param(min_length = 1, max_length = 256)] $field: String,)*
        }
    )*};
}

paths! {
    /// An application.
    AppPath {
        /// The application's id or uid.
        app_id,
    }
    /// An endpoint.
    EndpointPath {
        /// The application's id or uid.
        app_id,
        /// The endpoint's id or uid.
        endpoint_id,
    }
    /// A delivery that was listened to.
    ListenedPath {
        /// The application's id or uid.
        app_id,
        /// The endpoint's id or uid.
        endpoint_id,
        /// The delivery's `id`.
        delivery_id,
    }
    /// A message.
    MessagePath {
        /// The application's id or uid.
        app_id,
        /// The message's id or eventId.
        msg_id,
    }
    /// A message at an endpoint.
    MessageEndpointPath {
        /// The application's id or uid.
        app_id,
        /// The message's id or eventId.
        msg_id,
        /// The endpoint's id or uid.
        endpoint_id,
    }
    /// An attempt.
    AttemptPath {
        /// The application's id or uid.
        app_id,
        /// The message's id or eventId.
        msg_id,
        /// The attempt's id.
        attempt_id,
    }
    /// An event type.
    EventTypePath {
        /// The event type's name.
        event_type_name,
    }
    /// A source.
    SourcePath {
        /// The source's id or uid.
        source_id,
    }
    /// A request that a source refused.
    SourceLogPath {
        /// The source's id or uid.
        source_id,
        /// The refused request's id.
        log_id,
    }
    /// An endpoint of a source.
    SourceEndpointPath {
        /// The source's id or uid.
        source_id,
        /// The endpoint's id or uid.
        endpoint_id,
    }
    /// A provider.
    ProviderPath {
        /// The provider's id, or another name of it.
        provider_id,
    }
    /// A token.
    TokenPath {
        /// The token's id.
        token_id,
    }
    /// A background task.
    TaskPath {
        /// The task's id.
        task_id,
    }
}

/// The header that makes a request happen once.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes what idempotency reads")]
pub(crate) struct IdempotencyKey {
    /// A request that is repeated with the same key within 12 hours is done once. At most 256 bytes.
    #[param(rename = "idempotency-key")]
    idempotency_key: Option<String>,
}

/// The description without its operations.
pub(crate) fn frame() -> OpenApi {
    let components = ComponentsBuilder::new()
        .schema_from::<HttpErrorOut<'_>>()
        .schema_from::<ValidationErrorOut<'_>>()
        .schema_from::<Fault>()
        .security_scheme("HTTPBearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Hookwright API")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("Webhooks, sent. Compatible with the API of Svix and its SDKs."))
                .build(),
        )
        .components(Some(components))
        .security(Some([SecurityRequirement::new("HTTPBearer", Vec::<String>::new())]))
        .build()
}

/// The description, as it is committed and served.
pub fn openapi_json() -> String {
    let (_, mut api) = routes::operations(|writes| writes).split_for_parts();
    // A HEAD is described with its GET, and has an id of its own all the same.
    for head in api.paths.paths.values_mut().filter_map(|path| path.head.as_mut()) {
        head.operation_id = head.operation_id.take().map(|id| id + "-head");
    }
    let mut text = api.to_pretty_json().expect("a description can be written");
    // Svix's generators name lists without the underscore of ours.
    text = text.replace("ListResponse_", "ListResponse");
    text.push('\n');
    text
}

/// `GET /api/v1/openapi.json`.
pub(crate) async fn serve() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(openapi_json).as_str();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
