//! Alerts under a clock that stands still until a test moves it, over the reference store.

mod conditions;
mod notices;
mod restarts;
mod support;
