//! Requests through the door, over the reference store.

mod bad;
mod cron;
mod events;
mod support;
