//! Settings of the engine.

use std::time::Duration;

use domain::{
    breaker::BreakerPolicy, delivery::Policy, signature::HeaderStyle, window::WindowBounds,
};

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct DispatchOptions {
    /// Most attempts under way or waiting for their outcome to be stored, over all lanes.
    pub max_in_flight: usize,
    /// Most bytes of payload under way, over all lanes: bounds memory where bodies are large and
    /// receivers slow.
    pub in_flight_bytes: usize,
    /// Most deliveries of one lane that wait in memory; the rest waits in the store.
    pub lane_queue: usize,
    /// Most bytes of payload that wait in memory, over all lanes.
    pub hot_bytes: usize,
    /// Lanes that are kept in memory beyond those that have work.
    pub idle_lanes: usize,
    /// Pages read from the store at a time.
    pub concurrent_pages: usize,
    /// Concurrency of a lane.
    pub window: WindowBounds,
    /// When a lane's breaker opens.
    pub breaker: BreakerPolicy,
    /// How outcomes are judged; endpoints and event types may override the schedule.
    pub policy: Policy,
    /// One deadline over a whole attempt.
    pub request_timeout: Duration,
    /// How the signature headers are named.
    pub header_style: HeaderStyle,
    /// Sent with every attempt.
    pub user_agent: String,
    /// What is kept for how long.
    pub retention: RetentionOptions,
    /// How long stopping waits for attempts under way.
    pub drain_timeout: Duration,
}

impl Default for DispatchOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 4_096,
            in_flight_bytes: 128 * 1024 * 1024,
            lane_queue: 512,
            hot_bytes: 64 * 1024 * 1024,
            idle_lanes: 10_000,
            concurrent_pages: 8,
            window: WindowBounds::default(),
            breaker: BreakerPolicy::default(),
            policy: Policy::default(),
            request_timeout: Duration::from_secs(15),
            header_style: HeaderStyle::default(),
            user_agent: concat!("Hookwright/", env!("CARGO_PKG_VERSION")).to_owned(),
            retention: RetentionOptions::default(),
            drain_timeout: Duration::from_secs(25),
        }
    }
}

/// What is kept for how long, and how it is taken away. (Payloads carry their own end.)
#[derive(Clone, Copy, Debug)]
pub struct RetentionOptions {
    /// Messages, deliveries and attempts older than this go.
    pub history: Duration,
    /// Wait between sweeps that found nothing more to do.
    pub sweep_interval: Duration,
    /// Most rows of a kind per step.
    pub sweep_rows: usize,
    /// Counts by minute older than this go; those by quarter of an hour stay.
    pub minutes: Duration,
    /// Counts by quarter of an hour older than this go; those by day stay.
    pub quarters: Duration,
    /// Counts by day older than this go.
    pub days: Duration,
}

impl Default for RetentionOptions {
    fn default() -> Self {
        Self {
            history: Duration::from_secs(90 * 24 * 3_600),
            sweep_interval: Duration::from_secs(10),
            sweep_rows: 1_000,
            minutes: Duration::from_secs(2 * 86_400),
            quarters: Duration::from_secs(60 * 86_400),
            days: Duration::from_secs(800 * 86_400),
        }
    }
}
