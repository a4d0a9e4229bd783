//! The door for inbound webhooks: `POST /in/{token}`. Each request is verified before anything else is
//! done with it, told from a duplicate, stored together with its deliveries in one act, and answered as
//! its provider wants it. What is stored is a message of the source's application, and goes the way of
//! all messages from then on.
//!
//! In the order of a request: [`door`] (who, how much, how often), [`source`] (what is known of the
//! source), [`judge`] (genuine, a question, or neither), [`event`] (the message that it becomes),
//! [`answer`].

pub mod answer;
mod body;
pub mod cron;
pub mod door;
pub mod event;
pub mod judge;
pub mod keys;
mod rate;
mod refused;
pub mod replay;
mod setup;
pub mod source;
mod tally;

pub use door::{Gateway, GatewayOptions};
pub use keys::Fetch;
pub use replay::Replayed;

/// What the path of an inbound request begins with.
pub const PATH: &str = "/in/";
