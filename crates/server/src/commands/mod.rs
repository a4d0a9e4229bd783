//! The commands, one file each.

pub mod config;
pub mod dev;
pub mod health;
pub mod migrate;
pub mod nodes;
pub mod serve;
pub mod store;
pub mod token;
