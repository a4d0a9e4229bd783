//! Applications told apart: which ones first by plain counts, then those from their own rollups.

use std::cmp::Ordering;

use domain::{
    analytics::{Granularity, Rollup},
    name::Ref,
};
use store::{
    analytics::{Of, RollupRow, Span},
    statistics,
};

use super::{
    groups::{Group, Groups, Names, Points, grouped},
    query::{Dimension, Question},
    series,
};
use crate::{auth::Caller, error::ApiError, state::ApiState};

/// Applications of which more than plain counts are told at a time.
const MOST: usize = 100;

/// The groups of the first applications, what those are called, and whether there are more.
pub(super) async fn groups(
    state: &ApiState,
    caller: &Caller,
    question: &Question,
    spans: &[Span],
) -> Result<(Groups, Names, bool), ApiError> {
    let by = question.order_by;
    if !by.is_plain() {
        let msg = "applications are ordered by a count or by successRate";
        return Err(ApiError::invalid(&["query", "orderBy"], msg));
    }
    let is_plain = is_plain(question);
    let most = if is_plain { question.limit } else { question.limit.min(MOST) };
    let mut all: Vec<_> =
        statistics::counts(&*state.store, caller.org, spans).await?.into_iter().collect();
    all.sort_by(|(left, a), (right, b)| {
        let value = |counts| by.of_counts(counts).unwrap_or(f64::NEG_INFINITY);
        value(b).partial_cmp(&value(a)).unwrap_or(Ordering::Equal).then(left.cmp(right))
    });
    let truncated = all.len() > most;
    all.truncate(most);
    let (mut groups, mut names) = (Groups::new(), Names::new());
    for (app, counts) in all {
        let found = state.publisher.catalogues().application(caller.org, &Ref::Id(app)).await?;
        // A deleted one has no name any more.
        names.extend(found.map(|found| (app, found.application.name.clone())));
        if is_plain {
            let group = Group { app: Some(app), ..Group::default() };
            groups.insert(group, Points::from([(None, Rollup::of_counts(&counts))]));
        } else {
            let add = |rows: Vec<RollupRow>| {
                let named = rows.into_iter().map(|row| RollupRow { app: Some(app), ..row });
                grouped(&mut groups, question, named);
            };
            series::read(state, caller, Of::Application(app), spans, add).await?;
        }
    }
    Ok((groups, names, truncated))
}

/// Whether plain counts tell all that is asked.
fn is_plain(question: &Question) -> bool {
    question.granularity == Granularity::Total
        && question.event_type.is_none()
        && question.dimensions == [Dimension::App]
        && question.measures.iter().all(|measure| measure.is_plain())
}
