//! How many attempts an endpoint takes at a time: a window that grows while the endpoint keeps up and
//! shrinks when it does not (additive increase, multiplicative decrease, with a fast start).

use serde::{Deserialize, Serialize};

/// Bounds of a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowBounds {
    /// Where it starts.
    pub initial: u32,
    /// Never less; at least 1.
    pub min: u32,
    /// Never more.
    pub max: u32,
}

impl Default for WindowBounds {
    fn default() -> Self {
        Self { initial: 16, min: 1, max: 512 }
    }
}

/// The concurrency of one lane.
#[derive(Clone, Debug)]
pub struct Window {
    bounds: WindowBounds,
    size: f64,
    /// Until the first setback each success adds a whole place.
    fast: bool,
    /// Successes since the last setback; a setback within one window's worth is the same event.
    since_setback: f64,
}

impl Window {
    /// A fresh one.
    pub fn new(bounds: WindowBounds) -> Self {
        let max = bounds.max.max(1);
        let min = bounds.min.clamp(1, max);
        let bounds = WindowBounds { initial: bounds.initial.clamp(min, max), min, max };
        Self { bounds, size: f64::from(bounds.initial), fast: true, since_setback: f64::MAX }
    }

    /// How many attempts may run.
    pub fn size(&self) -> u32 {
        // Never negative, never above `max`: bounded below.
        self.size as u32
    }

    /// An attempt succeeded; `full` tells whether the window was what limited the lane.
    pub fn success(&mut self, full: bool) {
        self.since_setback += 1.0;
        if full {
            let step = if self.fast { 1.0 } else { 1.0 / self.size };
            self.size = (self.size + step).min(f64::from(self.bounds.max));
        }
    }

    /// A timeout, a 429 or a 503: half as many at a time. Attempts that were in the air together
    /// count as one setback.
    pub fn setback(&mut self) {
        self.fast = false;
        if self.since_setback >= self.size / 2.0 || self.size <= 2.0 {
            self.size = (self.size / 2.0).max(f64::from(self.bounds.min));
            self.since_setback = 0.0;
        } else {
            // What fails without any success between still shrinks it, more slowly.
            self.size = (self.size - 0.5).max(f64::from(self.bounds.min));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_only_when_it_limits_and_stays_in_bounds() {
        let mut window = Window::new(WindowBounds { initial: 4, min: 1, max: 64 });
        for _ in 0..100 {
            window.success(false);
        }
        assert_eq!(window.size(), 4);
        for _ in 0..1_000 {
            window.success(true);
        }
        assert_eq!(window.size(), 64);
        for _ in 0..1_000 {
            window.setback();
        }
        assert_eq!(window.size(), 1);
        for _ in 0..3 {
            window.success(true);
        }
        assert!(window.size() >= 2, "recovers, slowly: {window:?}");
    }

    #[test]
    fn failures_of_one_flight_halve_once() {
        let mut window = Window::new(WindowBounds { initial: 64, min: 1, max: 64 });
        window.setback();
        assert_eq!(window.size(), 32);
        for _ in 0..8 {
            window.setback();
        }
        assert_eq!(window.size(), 28);
    }
}
