//! Test support: real PostgreSQL servers that can be killed, paused, replicated and promoted, and a
//! TCP proxy that can cut, partition, delay and lose replies. It is for tests and for the campaigns
//! of `xtask`; the server never depends on it.
//!
//! Everything here is plain blocking code with threads, and panics when the machine does not do
//! what a test needs, because a test can do nothing better. Linux only: processes are found in
//! `/proc`.
#![expect(
    clippy::disallowed_methods,
    reason = "test support waits for real processes and finds binaries by the environment"
)]

mod cluster;
mod installation;
mod lifecycle;
mod ports;
mod processes;
mod proxy;
mod replication;
mod server;
mod watchdog;

pub use cluster::{Cluster, psql};
pub use lifecycle::StopMode;
pub use proxy::{Partition, Proxy};
