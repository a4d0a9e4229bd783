//! Rollups, added up by what they are asked to be told apart by; and as rows of an answer.

use std::collections::{BTreeMap, HashMap};

use domain::{
    analytics::{Rollup, point},
    attempt::OutcomeClass,
    clock::Timestamp,
    id::{ApplicationId, EndpointId},
    name::EventTypeName,
};
use serde_json::{Map, Value, json};
use store::analytics::RollupRow;

use super::{
    measures::Measure,
    query::{Dimension, Question},
};

/// What rows are told apart by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Group {
    pub(super) app: Option<ApplicationId>,
    pub(super) endpoint: Option<EndpointId>,
    pub(super) event_type: Option<EventTypeName>,
    pub(super) outcome: Option<u8>,
}

/// A series: what was counted at each point of time.
pub(super) type Points = BTreeMap<Option<Timestamp>, Rollup>;
/// All series of an answer.
pub(super) type Groups = HashMap<Group, Points>;
/// What applications are called.
pub(super) type Names = HashMap<ApplicationId, String>;

/// Adds rollups up by group and point of time.
pub(super) fn grouped(
    groups: &mut Groups,
    question: &Question,
    rows: impl IntoIterator<Item = RollupRow>,
) {
    let mut points = HashMap::new();
    for row in rows {
        if question.event_type.is_some() && row.event_type != question.event_type {
            continue;
        }
        let point = *points
            .entry(row.at)
            .or_insert_with(|| point(question.granularity, &question.zone, row.at));
        add(groups, question, group(question, &row), point, &row.rollup);
    }
}

fn group(question: &Question, row: &RollupRow) -> Group {
    Group {
        app: row.app.filter(|_| question.has(Dimension::App)),
        endpoint: row.endpoint.filter(|_| question.has(Dimension::Endpoint)),
        event_type: row.event_type.clone().filter(|_| question.has(Dimension::EventType)),
        outcome: None,
    }
}

/// One group, or one for each outcome.
fn add(
    groups: &mut Groups,
    question: &Question,
    group: Group,
    point: Option<Timestamp>,
    rollup: &Rollup,
) {
    if !question.has(Dimension::Outcome) {
        return groups.entry(group).or_default().entry(point).or_default().merge(rollup);
    }
    for (class, count) in (0_u8..).zip(rollup.attempts).filter(|(_, count)| *count > 0) {
        let group = Group { outcome: Some(class), ..group.clone() };
        let merged = groups.entry(group).or_default().entry(point).or_default();
        merged.attempts[usize::from(class)] += count;
    }
}

/// By which groups are ordered.
pub(super) fn rank(question: &Question, points: &Points) -> f64 {
    let mut sum = Rollup::default();
    points.values().for_each(|rollup| sum.merge(rollup));
    question.order_by.of(&sum).unwrap_or(f64::NEG_INFINITY)
}

/// A row of an answer.
pub(super) fn row(
    question: &Question,
    group: &Group,
    time: Option<Timestamp>,
    rollup: &Rollup,
    names: &Names,
) -> Map<String, Value> {
    let mut row = Map::new();
    if let Some(time) = time {
        row.insert("time".into(), json!(time));
    }
    for dimension in &question.dimensions {
        match dimension {
            Dimension::App => {
                row.insert("appId".into(), json!(group.app.map(|app| app.to_string())));
                let name = group.app.and_then(|app| names.get(&app));
                row.insert("appName".into(), json!(name));
            }
            Dimension::Endpoint => {
                let endpoint = group.endpoint.map(|endpoint| endpoint.to_string());
                row.insert("endpointId".into(), json!(endpoint));
            }
            Dimension::EventType => {
                let name = group.event_type.as_ref().map(EventTypeName::as_str);
                row.insert("eventType".into(), json!(name));
            }
            Dimension::Outcome => {
                let class = group.outcome.and_then(OutcomeClass::from_code);
                row.insert("outcome".into(), json!(class.map(OutcomeClass::as_str)));
            }
        }
    }
    let of_outcome = question.has(Dimension::Outcome);
    for measure in &question.measures {
        let value = measure.of(rollup).filter(|_| !of_outcome || *measure == Measure::Attempts);
        row.insert(measure.name().into(), measure.json(value));
    }
    row
}
