//! What operators want to know of the nodes and of the store, as a whole: nothing of any tenant.

use axum::{Json, extract::State};
use domain::clock::Timestamp;
use serde::Serialize;
use store::nodes::NodeInfo;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{auth::OrgCaller, error::ApiError, state::ApiState};

/// The id of a node that has its store to itself.
const ALONE: &str = "local";

/// A node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeOut {
    /// Its own, made anew at each start; `local` of a node that has its store to itself.
    id: String,
    /// As it was configured.
    name: String,
    /// Of its release.
    version: String,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// How many milliseconds ago its last heartbeat was.
    silent_for_ms: u64,
    /// Whether it is on its way out.
    leaving: bool,
    /// How many of the 1,024 parts of all endpoints are its own.
    shards: usize,
    /// Counts the owners that its parts have had.
    epoch: u64,
    /// Endpoints of its own whose work is overdue; `null` of a node that has its store to itself.
    overdue_lanes: Option<usize>,
    /// When the earliest of that was due.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_overdue: Option<Timestamp>,
}

impl From<NodeInfo> for NodeOut {
    fn from(info: NodeInfo) -> Self {
        let (overdue_lanes, oldest_overdue) = info.overdue;
        Self {
            id: info.id,
            name: info.name,
            version: info.version,
            started_at: info.started_at,
            silent_for_ms: u64::try_from(info.silent_for.as_millis()).unwrap_or(u64::MAX),
            leaving: info.leaving,
            shards: info.shards,
            epoch: info.epoch,
            overdue_lanes: Some(overdue_lanes),
            oldest_overdue,
        }
    }
}

/// The nodes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodesOut {
    /// Those that were heard of lately, the oldest first.
    data: Vec<NodeOut>,
    /// The id of the one that answers.
    #[serde(rename = "self")]
    this: String,
}

/// How long things are kept.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionOut {
    /// History: messages, attempts, the audit log. In seconds.
    history_secs: u64,
    /// Payloads, where neither the message nor the organization says. In seconds.
    payload_secs: u64,
}

/// Which kind of store.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes node::StoreFacts::kind")]
pub(crate) enum StoreKind {
    /// Files in the data directory.
    Sqlite,
    /// A database that nodes share.
    Postgres,
}

/// How the store fares.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreOut {
    /// Which kind.
    #[schema(value_type = StoreKind)]
    kind: &'static str,
    /// Bytes of its files, or of the database.
    bytes: u64,
    /// Bytes of its write-ahead log, as far as that is the store's own.
    wal_bytes: u64,
    /// Deliveries that remain to be made.
    pending: u64,
    /// When the earliest of them is or was due.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_due: Option<Timestamp>,
    /// Deliveries that were accepted, have not ended, and nobody would make: must be 0.
    unscheduled: u64,
    /// Rows that wait to be written by this node.
    queued: u64,
    /// Whether it takes no new work for want of room.
    full: bool,
    /// How long things are kept.
    retention: RetentionOut,
}

/// List Nodes
///
/// The nodes that share the store.
#[utoipa::path(get, path = "/api/v1/operate/nodes", operation_id = "v1.operate.list-nodes",
    tag = "Operate", responses((status = 200, body = NodesOut), ApiError))]
async fn nodes(
    State(state): State<ApiState>,
    OrgCaller(_): OrgCaller,
) -> Result<Json<NodesOut>, ApiError> {
    if let Some(this) = state.store.this_node() {
        let data = state
            .nodes_load
            .join(|| None, state.store.nodes())
            .await?
            .into_iter()
            .map(NodeOut::from)
            .collect();
        return Ok(Json(NodesOut { data, this }));
    }
    let facts = state.node.facts();
    let alone = NodeOut {
        id: ALONE.to_owned(),
        name: facts.name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: facts.started_at,
        silent_for_ms: 0,
        leaving: facts.leaving,
        shards: facts.shards,
        epoch: store::deliveries::NO_EPOCH,
        overdue_lanes: None,
        oldest_overdue: None,
    };
    Ok(Json(NodesOut { data: vec![alone], this: ALONE.to_owned() }))
}

/// Get Store
///
/// How the store fares, as a whole.
#[utoipa::path(get, path = "/api/v1/operate/store", operation_id = "v1.operate.get-store",
    tag = "Operate", responses((status = 200, body = StoreOut), ApiError))]
async fn get_store(
    State(state): State<ApiState>,
    OrgCaller(_): OrgCaller,
) -> Result<Json<StoreOut>, ApiError> {
    let stats = state.stats_load.join(|| None, state.store.stats()).await?;
    let facts = state.store_facts;
    Ok(Json(StoreOut {
        kind: facts.kind,
        bytes: stats.bytes,
        wal_bytes: stats.wal_bytes,
        pending: stats.pending,
        oldest_due: stats.oldest_due,
        unscheduled: stats.unscheduled,
        queued: stats.queued,
        full: stats.full,
        retention: RetentionOut {
            history_secs: facts.history.as_secs(),
            payload_secs: facts.payload.as_secs(),
        },
    }))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(nodes)).routes(routes!(get_store))
}
