//! What replays are asked for, and how tasks come of it.

use std::time::Duration;

use domain::{
    clock::Timestamp,
    endpoint::Endpoint,
    standing::{STATUS_CODE_CLASSES, Status},
    task::{ReplayFilter, TaskKind},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    error::{ApiError, Fault, Faults},
    openapi::{MessageStatus, StatusCodeClass},
    routes::{
        check,
        endpoint::history::{DAY, SLACK},
    },
};

/// How far back recovery goes.
const MAX_RECOVER_SPAN: Duration = DAY.saturating_mul(14);
/// Most event types that a replay is asked for.
const MAX_EVENT_TYPES: usize = 1_000;

/// What is read from a body: a task of an endpoint.
pub(super) trait Asked: for<'a> Deserialize<'a> {
    /// The task, of this endpoint, asked for now.
    fn task(self, endpoint: &Endpoint, now: Timestamp) -> Result<TaskKind, ApiError>;
}

/// What to recover.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RecoverIn {
    /// From when; at most 14 days back.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until when; now if nobody says.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl Asked for RecoverIn {
    fn task(self, endpoint: &Endpoint, now: Timestamp) -> Result<TaskKind, ApiError> {
        let (since, until) = range(self.since, self.until, now)?;
        if until.since(since) > MAX_RECOVER_SPAN + SLACK {
            let msg = "must be at most 14 days before `until`";
            return Err(ApiError::invalid(&["body", "since"], msg));
        }
        Ok(TaskKind::Recover { app: endpoint.app, endpoint: endpoint.id, since, until })
    }
}

/// Which messages to send to an endpoint that never was sent them.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ReplayIn {
    /// Messages from then on.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until when; now if nobody says.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl Asked for ReplayIn {
    fn task(self, endpoint: &Endpoint, now: Timestamp) -> Result<TaskKind, ApiError> {
        let (since, until) = range(self.since, self.until, now)?;
        Ok(TaskKind::Replay { app: endpoint.app, endpoint: endpoint.id, since, until })
    }
}

/// Which of the messages that an endpoint was sent to send to it again: those that meet all of this.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkReplayIn {
    /// Messages from then on.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until when; now if nobody says.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Only of these types.
    event_types: Option<Vec<String>>,
    /// Only with this channel.
    channel: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only those that stand so at the endpoint: 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[schema(value_type = Option<MessageStatus>)]
    status: Option<u8>,
    /// Only those whose last attempt there was answered so; 0 is no answer.
    #[schema(value_type = Option<StatusCodeClass>)]
    status_code_class: Option<u16>,
}

impl Asked for BulkReplayIn {
    fn task(self, endpoint: &Endpoint, now: Timestamp) -> Result<TaskKind, ApiError> {
        let mut faults = Faults::default();
        let event_types = self
            .event_types
            .and_then(|names| check::names(&mut faults, "eventTypes", names, 1..=MAX_EVENT_TYPES));
        let channel = self.channel.and_then(|channel| faults.check("channel", channel.parse()));
        let tag = self.tag.and_then(|tag| faults.check("tag", tag.parse()));
        let status = self.status.and_then(|number| {
            faults.check("status", Status::from_number(number).ok_or("must be 0 to 4"))
        });
        let status_code_class = self.status_code_class;
        if status_code_class.is_some_and(|class| !STATUS_CODE_CLASSES.contains(&class)) {
            faults.body("statusCodeClass", "must be 0, 100, 200, 300, 400 or 500");
        }
        let (since, until) = (self.since, self.until.unwrap_or(now));
        if since > until {
            faults.push(behind_until());
        }
        faults.finish()?;
        let only = ReplayFilter { event_types, channel, tag, status, status_code_class };
        Ok(TaskKind::BulkReplay { app: endpoint.app, endpoint: endpoint.id, since, until, only })
    }
}

fn behind_until() -> Fault {
    Fault::new(&["body", "since"], "must not lie behind `until`")
}

/// The span of time that was asked for.
fn range(
    since: Timestamp,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), ApiError> {
    let until = until.unwrap_or(now);
    match since > until {
        true => Err(ApiError::Invalid(vec![behind_until()])),
        false => Ok((since, until)),
    }
}

/// How much would be sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayPreviewOut {
    /// So many messages.
    pub messages: u64,
    /// There may be more: no more than 100,000 messages are looked at, for three seconds at most.
    pub capped: bool,
}
