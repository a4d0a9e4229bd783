//! The commands, one file each; `sender.rs` and `streams.rs` are what some of them share, `sample.rs` is
//! the sample traffic of `dev`.

pub mod config;
pub mod dev;
pub mod health;
pub mod listen;
pub mod migrate;
pub mod nodes;
pub mod providers;
pub mod sample;
pub mod sender;
pub mod serve;
pub mod store;
pub mod streams;
pub mod token;
pub mod verify;
