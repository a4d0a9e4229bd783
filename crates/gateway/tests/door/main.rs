//! Requests through the door, over the reference store.

mod bad;
mod events;
mod support;
