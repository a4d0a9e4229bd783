//! The engine: takes stored deliveries to their end.
//!
//! [`core`] decides (which delivery starts next, what is read from the store, when to wake) and does
//! nothing else; it is one value behind one short lock. Everything that waits, [`attempt`], paging,
//! timers and jobs, happens around it and tells it what came of it.
//!
//! Where several nodes share the store, each works on the shards that it owns ([`ownership`]), and hears
//! from the others what they did ([`news`]).
//!
//! What is in memory is a cache of the due index: losing it costs latency, never a delivery.

mod attempt;
mod budget;
mod core;
mod engine;
mod handle;
mod housekeeping;
mod jobs;
mod lane;
mod live;
mod news;
mod options;
mod ownership;
mod pages;
mod rollups;
mod settle;
mod shards;
mod share;
pub mod spawn;
mod time;
mod timers;
mod turns;

pub use core::Depths;
pub use engine::{Engine, EngineParts};
pub use handle::EngineHandle;
pub use lane::LaneState;
pub use options::{DispatchOptions, RetentionOptions};
