//! What tasks find out about an organization: how much was sent for each application, and what their
//! endpoints listen to. Both read in pieces that are small, whatever the organization is.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::{
    analytics::{Counts, Granularity, Unit},
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::{Ref, Uid},
    page::{Cursor, MAX_PAGE, Order, PageRequest},
    task::{AppStats, MOST_APPLICATIONS, MOST_RESULT_BYTES, Outcome, Subscriptions},
};

use crate::{
    Result, Store, StoreError,
    analytics::{Span, spans},
    catalog::ApplicationFilter,
};

/// Units of time that are counted at a time: a store may have a rollup for each of them and each
/// application.
const UNITS: u32 = 8;
/// Quarters older than this may be gone: then days tell of them.
const QUARTERS_KEPT: Duration = Duration::from_secs(59 * 86_400);
/// Applications whose endpoints are looked at at a time.
const APPLICATIONS: usize = 500;

/// A range of which there are counts: what only days tell of is of whole ones.
fn rounded((since, until): (Timestamp, Timestamp), now: Timestamp) -> (Timestamp, Timestamp) {
    let kept_from = now.minus(QUARTERS_KEPT);
    let since = if since < kept_from { Unit::Day.floor(since) } else { since };
    let until = if until < kept_from { Unit::Day.ceil(until) } else { until };
    (since, until)
}

/// The plain counts of all applications of an organization that have any.
pub async fn counts(
    store: &dyn Store,
    org: OrganizationId,
    spans: &[Span],
) -> Result<HashMap<ApplicationId, Counts>> {
    let mut all: HashMap<ApplicationId, Counts> = HashMap::new();
    for span in spans {
        for (app, counts) in store.application_counts(org, *span).await? {
            all.entry(app).or_default().merge(&counts);
        }
    }
    Ok(all)
}

/// Applications (or sources) with their uids, until there are more than the most.
async fn list(
    store: &dyn Store,
    org: OrganizationId,
    sources: bool,
) -> Result<BTreeMap<ApplicationId, Option<Uid>>> {
    let filter = ApplicationFilter { sources, ..ApplicationFilter::default() };
    let mut found = BTreeMap::new();
    let mut request = PageRequest { limit: MAX_PAGE, order: Order::Ascending, cursor: None };
    while found.len() <= MOST_APPLICATIONS {
        let page = store.list_applications(org, filter, request.clone()).await?;
        request.cursor = page.items.last().map(|last| Cursor::After(last.id));
        found.extend(page.items.into_iter().map(|application| (application.id, application.uid)));
        if page.done {
            break;
        }
    }
    Ok(found)
}

/// Those that are named, with their uids.
async fn named(
    store: &dyn Store,
    org: OrganizationId,
    apps: &[ApplicationId],
) -> Result<BTreeMap<ApplicationId, Option<Uid>>> {
    let mut found = BTreeMap::new();
    for app in apps {
        let application = store.application(org, &Ref::Id(*app)).await?;
        found.insert(*app, application.and_then(|application| application.uid));
    }
    Ok(found)
}

/// How many attempts were made for each application in `[since, until)`, also for those that were deleted
/// since; or why that is not told.
pub async fn app_stats(
    store: &dyn Store,
    org: OrganizationId,
    only: Option<&[ApplicationId]>,
    range: (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<Outcome> {
    let mut found = match only {
        Some(apps) => named(store, org, apps).await?,
        None => list(store, org, false).await?,
    };
    let spans = spans(store, Granularity::Total, true, rounded(range, now), now).await?;
    let spans: Vec<_> = spans.into_iter().flat_map(|span| span.parts(UNITS)).collect();
    let counts = match counts(store, org, &spans).await {
        Err(StoreError::TooLong) => return Ok(failure("Ask for a shorter range.")),
        counts => counts?,
    };
    if only.is_none() {
        // Attempts were made for deleted ones all the same.
        let sources = list(store, org, true).await?;
        for (app, counts) in &counts {
            if counts.attempts > 0 && !sources.contains_key(app) {
                found.entry(*app).or_default();
            }
        }
    }
    if found.len() > MOST_APPLICATIONS {
        return Ok(failure(&format!(
            "There are more than {MOST_APPLICATIONS} applications: name up to 1000 of them in `appIds`, \
             or ask for a month with GET /api/v1/analytics/usage."
        )));
    }
    let stats = found.into_iter().map(|(app_id, app_uid)| AppStats {
        message_destinations: counts.get(&app_id).map_or(0, |counts| counts.attempts),
        app_id,
        app_uid,
    });
    Ok(Outcome::AppStats(stats.collect()))
}

/// What the endpoints of each application listen to; or why that is not told.
pub async fn event_types(store: &dyn Store, org: OrganizationId) -> Result<Outcome> {
    let mut all: Vec<Subscriptions> = Vec::new();
    let mut bytes = 0;
    loop {
        let after = all.last().map(|last| last.app_id);
        let page = store.subscriptions(org, after, APPLICATIONS).await?;
        let is_last = page.len() < APPLICATIONS;
        bytes += page.iter().map(size).sum::<usize>();
        all.extend(page);
        if all.len() > MOST_APPLICATIONS || bytes > MOST_RESULT_BYTES {
            return Ok(failure(&format!(
                "There are more than {MOST_APPLICATIONS} applications, or the answer is longer than \
                 {MOST_RESULT_BYTES} bytes: list the endpoints of an application with \
                 GET /api/v1/app/{{app_id}}/endpoint."
            )));
        }
        if is_last {
            return Ok(Outcome::EventTypes(all));
        }
    }
}

/// Its bytes as JSON, about.
fn size(of: &Subscriptions) -> usize {
    128 + of.explicitly_subscribed_event_types.iter().map(|t| t.as_str().len() + 3).sum::<usize>()
}

fn failure(why: &str) -> Outcome {
    Outcome::Failure(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_days_tell_of_is_rounded_to_days() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let now = at("2026-11-27T13:37:00Z");
        for (since, until, want) in [
            ("2026-11-01T10:01:00Z", "2026-11-02T10:02:00Z", None),
            (
                "2026-09-01T10:01:00Z",
                "2026-09-01T10:02:00Z",
                Some(("2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z")),
            ),
            (
                "2026-09-01T10:01:00Z",
                "2026-11-02T10:02:00Z",
                Some(("2026-09-01T00:00:00Z", "2026-11-02T10:02:00Z")),
            ),
        ] {
            let want = want.unwrap_or((since, until));
            assert_eq!(rounded((at(since), at(until)), now), (at(want.0), at(want.1)));
        }
    }
}
