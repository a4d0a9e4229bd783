//! What a rule is about, as JSON.

use std::time::Duration;

use domain::{
    alert::{Condition, Latency, Of, Per, Percentile, Rejections},
    id::ApplicationId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Fault, Faults};

const fn ten() -> u64 {
    10
}

/// What has a state of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AlertPer {
    /// All of the organization together.
    Organization,
    /// Each application.
    #[default]
    Application,
    /// Each endpoint, of the hundred applications with most attempts.
    Endpoint,
}

/// Which latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AlertLatency {
    /// From when a message was accepted until it arrived.
    Delivery,
    /// How long receivers took to answer.
    Response,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AlertCondition {
    /// An endpoint has only failed for so long.
    #[serde(rename_all = "camelCase")]
    EndpointFailing {
        /// How long, in seconds.
        for_secs: u64,
    },
    /// An endpoint was disabled because it failed, or is gone.
    EndpointDisabled,
    /// Work of the organization has been due for so long.
    #[serde(rename_all = "camelCase")]
    BacklogAge {
        /// How long, in seconds.
        over_secs: u64,
    },
    /// Fewer attempts succeed.
    #[serde(rename_all = "camelCase")]
    SuccessRateBelow {
        /// Of 100.
        percent: f64,
        /// Over how much time, in seconds: whole minutes, up to a day.
        window_secs: u64,
        /// Fewer attempts say nothing.
        #[serde(default = "ten")]
        min_attempts: u64,
        /// What has a state of its own.
        #[serde(default)]
        per: AlertPer,
    },
    /// It takes longer.
    #[serde(rename_all = "camelCase")]
    LatencyAbove {
        /// Which latency.
        latency: AlertLatency,
        /// 95 or 99.
        percentile: u8,
        /// Milliseconds.
        millis: u64,
        /// Over how much time, in seconds: whole minutes, up to a day.
        window_secs: u64,
        /// Fewer attempts say nothing.
        #[serde(default = "ten")]
        min_attempts: u64,
        /// What has a state of its own.
        #[serde(default)]
        per: AlertPer,
    },
    /// A source refuses more than a share of what it gets, or more than a number. One of the two is given.
    #[serde(rename_all = "camelCase")]
    SourceRejecting {
        /// Percent.
        #[serde(default)]
        share: Option<f64>,
        /// A number.
        #[serde(default)]
        count: Option<u64>,
        /// Of a share: fewer requests say nothing. 10 if nobody says.
        #[serde(default)]
        min_requests: Option<u64>,
        /// Over how much time, in seconds: whole minutes, up to a day.
        window_secs: u64,
    },
    /// An application or source has received nothing for so long.
    #[serde(rename_all = "camelCase")]
    NothingReceived {
        /// Which: its id or uid, or the id of a source.
        app_id: String,
        /// How long, in seconds.
        window_secs: u64,
    },
}

const SECS: fn(u64) -> Duration = Duration::from_secs;

fn of(window_secs: u64, min_attempts: u64, per: AlertPer) -> Of {
    let per = match per {
        AlertPer::Organization => Per::Organization,
        AlertPer::Application => Per::Application,
        AlertPer::Endpoint => Per::Endpoint,
    };
    Of { window: SECS(window_secs), min_attempts, per }
}

/// A fault of a field of the condition.
fn fault(field: &'static str, msg: impl ToString) -> Fault {
    Fault::new(&["body", "condition", field], msg)
}

impl AlertCondition {
    /// The application that it names.
    pub fn app(&self) -> Option<&str> {
        match self {
            Self::NothingReceived { app_id, .. } => Some(app_id),
            _ => None,
        }
    }

    /// The condition, if all is right with it; `app` is what [`Self::app`] names.
    pub fn checked(&self, app: Option<ApplicationId>, faults: &mut Faults) -> Option<Condition> {
        let condition = match *self {
            Self::EndpointFailing { for_secs } => {
                Condition::EndpointFailing { time: SECS(for_secs) }
            }
            Self::EndpointDisabled => Condition::EndpointDisabled,
            Self::BacklogAge { over_secs } => Condition::BacklogAge { over: SECS(over_secs) },
            Self::SuccessRateBelow { percent, window_secs, min_attempts, per } => {
                Condition::SuccessRateBelow { percent, of: of(window_secs, min_attempts, per) }
            }
            Self::LatencyAbove { latency, percentile, millis, window_secs, min_attempts, per } => {
                let percentile = Percentile::try_from(percentile);
                let percentile =
                    percentile.map_err(|msg| faults.push(fault("percentile", msg))).ok()?;
                let latency = match latency {
                    AlertLatency::Delivery => Latency::Delivery,
                    AlertLatency::Response => Latency::Response,
                };
                let of = of(window_secs, min_attempts, per);
                Condition::LatencyAbove { latency, percentile, millis, of }
            }
            Self::SourceRejecting { share, count, min_requests, window_secs } => {
                let over = match (share, count) {
                    (Some(percent), None) => {
                        Rejections::Share { percent, min_requests: min_requests.unwrap_or(ten()) }
                    }
                    (None, Some(count)) => Rejections::Count(count),
                    _ => {
                        faults.push(fault("share", "give either `share` or `count`"));
                        return None;
                    }
                };
                Condition::SourceRejecting { over, window: SECS(window_secs) }
            }
            Self::NothingReceived { window_secs, .. } => {
                let Some(app) = app else {
                    faults.push(fault("appId", "there is no such application or source"));
                    return None;
                };
                Condition::NothingReceived { app, window: SECS(window_secs) }
            }
        };
        let found = condition.faults();
        let good = found.is_empty();
        found.into_iter().for_each(|(field, msg)| faults.push(fault(field, msg)));
        good.then_some(condition)
    }
}

impl From<&Of> for AlertPer {
    fn from(of: &Of) -> Self {
        match of.per {
            Per::Organization => Self::Organization,
            Per::Application => Self::Application,
            Per::Endpoint => Self::Endpoint,
        }
    }
}

impl From<&Condition> for AlertCondition {
    fn from(condition: &Condition) -> Self {
        match condition {
            Condition::EndpointFailing { time } => {
                Self::EndpointFailing { for_secs: time.as_secs() }
            }
            Condition::EndpointDisabled => Self::EndpointDisabled,
            Condition::BacklogAge { over } => Self::BacklogAge { over_secs: over.as_secs() },
            Condition::SuccessRateBelow { percent, of } => Self::SuccessRateBelow {
                percent: *percent,
                window_secs: of.window.as_secs(),
                min_attempts: of.min_attempts,
                per: of.into(),
            },
            Condition::LatencyAbove { latency, percentile, millis, of } => Self::LatencyAbove {
                latency: match latency {
                    Latency::Delivery => AlertLatency::Delivery,
                    Latency::Response => AlertLatency::Response,
                },
                percentile: (*percentile).into(),
                millis: *millis,
                window_secs: of.window.as_secs(),
                min_attempts: of.min_attempts,
                per: of.into(),
            },
            Condition::SourceRejecting { over, window } => {
                let (share, count, min_requests) = match *over {
                    Rejections::Share { percent, min_requests } => {
                        (Some(percent), None, Some(min_requests))
                    }
                    Rejections::Count(count) => (None, Some(count), None),
                };
                let window_secs = window.as_secs();
                Self::SourceRejecting { share, count, min_requests, window_secs }
            }
            Condition::NothingReceived { app, window } => {
                Self::NothingReceived { app_id: app.to_string(), window_secs: window.as_secs() }
            }
        }
    }
}
