//! Alerts: looks at what organizations want to hear of, and tells them.
//!
//! [`observe`] finds the facts that a rule is about, [`evaluate`] lets the rules fire and clear by them,
//! [`notify`] tells whoever is to be told. What is decided is decided in [`domain::alert`].

pub mod evaluate;
pub mod notify;
pub mod observe;
mod words;

pub use evaluate::{AlertParts, Evaluator};
pub use notify::{Notifier, Tell};
