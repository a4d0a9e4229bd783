//! The conformance suite: the contract of [`Store`](crate::Store) in executable form. One function
//! per behaviour; a store's test runs all of them with
//!
//! ```ignore
//! /// A fresh, empty store and whatever must live as long as it (a directory; `()` for nothing).
//! async fn make_store() -> (Arc<dyn store::Store>, impl Sized) { unimplemented!() }
//!
//! store::suite::tests!(make_store);
//! ```
//!
//! which makes a `#[tokio::test]` of every case, in a module for each group; or, for a store that costs
//! much to set up, `tests!(in_one_process make_store)`, which makes one test of all of them. The calling
//! crate has `store` with the feature `suite` and `tokio` with `macros` and `rt` among its
//! dev-dependencies.
//!
//! A new case is a `pub async fn` in the file of its group and its name in the list below.

use std::{panic::AssertUnwindSafe, pin::Pin};

use futures_util::FutureExt;

pub mod alerts;
pub mod analytics;
pub mod applications;
pub mod attempts;
pub mod audit;
pub mod due;
pub mod endpoints;
pub mod fill;
pub mod fixture;
pub mod health;
pub mod messages;
pub mod organizations;
pub mod publish;
pub mod rejected;
pub mod replays;
pub mod retention;
pub mod settle;
pub mod sources;
pub mod standing;
pub mod tasks;
pub mod tokens;
pub mod traffic;

/// Makes a test of each case; see [the module](self).
pub use crate::__suite_tests as tests;

/// A case that runs on a store of its own.
pub type Case = Pin<Box<dyn Future<Output = ()>>>;

/// Whether a case comes to its end without a panic.
pub async fn passes(case: Case) -> bool {
    AssertUnwindSafe(case).catch_unwind().await.is_ok()
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_tests {
    ($make:ident) => {
        $crate::__suite_list!(__suite_apart $make);
    };
    (in_one_process $make:ident) => {
        /// All cases, one after the other: what they share is made once.
        #[::tokio::test(flavor = "multi_thread")]
        async fn suite() {
            let mut failed: Vec<&str> = Vec::new();
            $crate::__suite_list!(__suite_together $make failed);
            assert!(failed.is_empty(), "failed: {failed:?}");
        }
    };
}

/// The cases, for a macro that does something with them.
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_list {
    ($each:ident $($with:ident)*) => {
        $crate::$each!(
            $($with)*;
            applications:
                are_found_by_id_and_uid,
                free_their_uid_when_deleted,
                refuse_a_taken_uid,
                refuse_a_stale_update,
                are_listed_in_pages_both_ways,
                are_filtered_by_their_endpoints,
                of_two_organizations_never_meet,
            ;
            analytics:
                count_messages_and_attempts,
                leave_out_what_changed_nothing,
                are_what_a_recount_gives,
                are_rolled_up,
                are_kept_for_their_time,
                stay_when_their_parts_are_gone,
                are_checked,
                count_what_sources_do_not_accept,
                of_two_tenants_never_meet,
                find_failing_endpoints,
                find_pending_work,
            ;
            alerts:
                have_rules,
                have_bounded_rules,
                fire_once,
                are_found_while_they_live,
                are_listed_in_pages_both_ways,
                go_with_history,
                find_the_oldest_work,
            ;
            sources:
                are_kept_whole,
                are_changed_with_their_application,
                are_listed_apart,
                of_all_organizations_are_listed,
                are_gone_when_deleted,
                of_two_organizations_never_meet,
            ;
            endpoints:
                keep_all_they_are_given,
                refuse_a_taken_uid,
                refuse_a_stale_revision,
                are_named_after_they_are_deleted,
                leave_a_task_when_deleted,
                keep_the_headers_of_past_revisions,
                are_listed_in_pages_both_ways,
                of_two_tenants_never_meet,
                are_summed_up_by_application,
            ;
            organizations:
                have_settings,
                refuse_stale_settings,
                keep_event_types,
                replace_archived_event_types,
                refuse_stale_event_types,
                count_versions,
            ;
            publish:
                keeps_message_and_deliveries,
                refuses_a_stale_catalogue,
                refuses_a_missing_application,
                answers_each_message_by_itself,
                happens_once_per_idempotency_key,
                happens_once_per_event_id,
                keeps_to_the_quota,
                is_safe_to_repeat,
                enqueues_only_for_stored_messages,
                keeps_claims_of_organizations_apart,
                remembers_other_answers,
                answers_callers_at_once,
            ;
            due:
                finds_every_lane_once,
                knows_the_earliest_of_a_lane,
                gives_work_in_order,
                skips_what_is_in_memory,
                bounds_the_bytes_of_a_page,
                gives_nothing_to_strangers,
                cancels_in_steps,
            ;
            settle:
                moves_to_the_next_try,
                ends_on_record,
                supersedes_what_has_moved_on,
                answers_each_by_itself,
                ends_the_schedule_when_a_resend_arrives,
                leaves_the_schedule_when_a_resend_fails,
                publishes_what_it_causes,
                is_safe_to_repeat,
                answers_callers_at_once,
            ;
            health:
                changes_only_on_transition,
                disables_once,
                survives_an_update,
                counts_when_superseded,
            ;
            messages:
                are_filtered,
                are_listed_in_pages_both_ways,
                come_with_or_without_body,
                come_in_pages_of_bounded_bytes,
                are_found,
                of_two_tenants_never_meet,
                can_be_expunged,
            ;
            attempts:
                keep_all_they_are_given,
                are_filtered,
                are_listed_in_pages_both_ways,
                can_be_expunged,
                of_two_tenants_never_meet,
            ;
            standing:
                is_told_of_messages,
                follows_the_schedule,
                is_listed_in_pages_both_ways,
                is_told_of_endpoints,
                is_counted,
                tells_what_to_recover,
                tells_of_each_failure_once,
                is_on_record,
            ;
            replays:
                find_what_is_missing,
                find_what_was_sent,
                are_counted_within_bounds,
            ;
            tasks:
                run_until_they_are_done,
                are_paused_and_cancelled,
                take_turns,
                recover_an_endpoint_once,
                are_listed,
                keep_what_they_found_out,
            ;
            tokens:
                are_refused_until_forgotten,
                make_messages_stale_when_revoked,
                keep_all_they_are_given,
                are_listed_in_pages_both_ways,
                remember_when_they_were_used,
            ;
            audit:
                has_every_change,
                tells_of_tokens,
                is_listed_in_pages_both_ways,
            ;
            rejected:
                are_kept_whole,
                are_listed_in_pages_both_ways,
                go_when_more_come,
                go_when_they_expire,
                go_with_their_application,
                of_two_tenants_never_meet,
            ;
            retention:
                takes_expired_payloads,
                takes_old_history,
                takes_payloads_beside_history,
                takes_expired_claims,
                takes_old_tasks,
                takes_past_headers,
                counts_what_remains,
            ;
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_apart {
    ($make:ident; $($group:ident: $($case:ident),* $(,)? ;)*) => {
        $($crate::__suite_group!($make, $group: $($case),*);)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_together {
    ($make:ident $failed:ident; $($group:ident: $($case:ident),* $(,)? ;)*) => {
        $($({
            // A function of its own: all of them in one would not fit on the stack.
            fn $case() -> $crate::suite::Case {
                Box::pin(async {
                    let (store, _guard) = $make().await;
                    $crate::suite::$group::$case(&*store).await;
                    $crate::suite::fixture::assert_clean(&*store).await;
                })
            }
            if !$crate::suite::passes($case()).await {
                $failed.push(concat!(stringify!($group), "::", stringify!($case)));
            }
        })*)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_group {
    ($make:ident, $group:ident: $($case:ident),* $(,)?) => {
        mod $group {
            $(
                #[::tokio::test]
                async fn $case() {
                    let (store, _guard) = super::$make().await;
                    $crate::suite::$group::$case(&*store).await;
                    $crate::suite::fixture::assert_clean(&*store).await;
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests {
    /// A case that nobody lists would never run.
    #[test]
    fn every_case_is_listed() {
        let suite = include_str!("suite.rs");
        for (group, source) in [
            ("applications", include_str!("suite/applications.rs")),
            ("analytics", include_str!("suite/analytics.rs")),
            ("alerts", include_str!("suite/alerts.rs")),
            ("sources", include_str!("suite/sources.rs")),
            ("endpoints", include_str!("suite/endpoints.rs")),
            ("organizations", include_str!("suite/organizations.rs")),
            ("publish", include_str!("suite/publish.rs")),
            ("due", include_str!("suite/due.rs")),
            ("settle", include_str!("suite/settle.rs")),
            ("health", include_str!("suite/health.rs")),
            ("messages", include_str!("suite/messages.rs")),
            ("attempts", include_str!("suite/attempts.rs")),
            ("standing", include_str!("suite/standing.rs")),
            ("replays", include_str!("suite/replays.rs")),
            ("tasks", include_str!("suite/tasks.rs")),
            ("tokens", include_str!("suite/tokens.rs")),
            ("audit", include_str!("suite/audit.rs")),
            ("rejected", include_str!("suite/rejected.rs")),
            ("retention", include_str!("suite/retention.rs")),
        ] {
            let list =
                suite.split_once(&format!("            {group}:")).expect("the group is listed").1;
            let listed: Vec<_> = list.lines().skip(1).map(str::trim).collect();
            let end = listed.iter().position(|line| *line == ";").expect("a list ends");
            let cases = source.split("\npub async fn ").skip(1);
            let cases: Vec<_> = cases.filter_map(|case| case.split('(').next()).collect();
            assert!(!cases.is_empty(), "{group}");
            for case in cases {
                assert!(listed[..end].contains(&&*format!("{case},")), "{group}: {case}");
            }
        }
    }
}
