//! A world to test the engine in: a store, receivers and time that are all in the test's hands.

mod process;
mod receiver;
mod store;
mod world;

pub use process::{Process, VirtualClock};
pub use receiver::{Answer, Arrival, Receivers};
pub use store::TestStore;
pub use world::{World, schedule};

use std::time::Duration;

pub const MS: Duration = Duration::from_millis(1);
pub const SEC: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3_600);
