//! The conformance suite: the contract of [`Store`](crate::Store) in executable form. One function
//! per behaviour; a store's test runs all of them with
//!
//! ```ignore
//! /// A fresh, empty store and whatever must live as long as it (a directory; `()` for nothing).
//! async fn make_store() -> (Arc<dyn store::Store>, impl Sized) { … }
//!
//! store::suite::tests!(make_store);
//! ```
//!
//! which makes a `#[tokio::test]` of every case, in a module for each group. The calling crate has
//! `store` with the feature `suite` and `tokio` with `macros` and `rt` among its dev-dependencies.
//!
//! A new case is a `pub async fn` in the file of its group and its name in the list below.

pub mod applications;
pub mod fixture;

/// Makes a test of each case; see [the module](self).
pub use crate::__suite_tests as tests;

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_tests {
    ($make:ident) => {
        $crate::__suite_group!($make, applications:
            are_found_by_id_and_uid,
            free_their_uid_when_deleted,
            refuse_a_taken_uid,
            refuse_a_stale_update,
            are_listed_in_pages_both_ways,
            are_filtered_by_their_endpoints,
            of_two_organizations_never_meet,
        );
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
        let list = include_str!("suite.rs");
        for source in [include_str!("suite/applications.rs")] {
            let names = source.split("pub async fn ").skip(1).filter_map(|s| s.split('(').next());
            for name in names {
                assert!(list.contains(&format!("{name},")), "{name} is not listed");
            }
        }
    }
}
