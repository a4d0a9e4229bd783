//! What is true: the rules of Hookwright, without I/O, without `async`, without a clock and without
//! randomness of its own. Time and chance are arguments ([`clock`], [`entropy`]); everything here can
//! be run a million times under one seed.
//!
//! Read [`delivery`] first: it decides what an attempt's outcome means.

pub mod alert;
pub mod analytics;
pub mod application;
pub mod attempt;
pub mod breaker;
pub mod claim;
pub mod clock;
pub mod delivery;
pub mod destination;
pub mod duration;
pub mod endpoint;
pub mod entropy;
pub mod event_type;
pub mod filter;
pub mod id;
pub mod message;
pub mod name;
pub mod operational;
pub mod organization;
pub mod page;
pub mod retry;
pub mod routing;
pub mod shard;
pub mod signature;
pub mod source;
pub mod standing;
pub mod task;
pub mod throttle;
pub mod token;
pub mod window;
