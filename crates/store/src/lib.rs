//! What is kept: traits named by use. Each method is one atomic act; batches are the normal form and
//! a single item is a batch of one. An item's own fault never fails the others of its batch.
//!
//! [`suite`] is the contract in executable form: every store runs it.

pub mod alert_doc;
pub mod alerts;
pub mod analytics;
pub mod audit;
pub mod catalog;
pub mod codec;
pub mod deliveries;
pub mod error;
pub mod failpoint;
pub mod history;
pub mod housekeeping;
pub mod nodes;
pub mod outage;
pub mod paging;
pub mod publish;
pub mod rejected;
pub mod replay;
pub mod rollup_codec;
pub mod sealed;
pub mod statistics;
#[cfg(feature = "suite")]
pub mod suite;
pub mod tasks;
pub mod tokens;
pub mod transfer;
pub mod vault;
pub mod walk;

pub use alerts::Alerts;
pub use analytics::Analytics;
pub use audit::Audit;
pub use catalog::Catalog;
pub use deliveries::Deliveries;
pub use error::{Result, StoreError};
pub use history::History;
pub use housekeeping::Housekeeping;
pub use nodes::Nodes;
pub use publish::Publish;
pub use rejected::Rejected;
pub use tasks::Tasks;
pub use tokens::Tokens;
pub use transfer::Transfer;

/// Everything a store does.
pub trait Store:
    Catalog
    + Tokens
    + Audit
    + Publish
    + Rejected
    + Deliveries
    + History
    + Analytics
    + Alerts
    + Tasks
    + Housekeeping
    + Nodes
{
}

impl<T> Store for T where
    T: Catalog
        + Tokens
        + Audit
        + Publish
        + Rejected
        + Deliveries
        + History
        + Analytics
        + Alerts
        + Tasks
        + Housekeeping
        + Nodes
{
}
