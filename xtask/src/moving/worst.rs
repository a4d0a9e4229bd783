//! What is found in several rounds, of which the worst is judged.
use crate::goals::{
    Goal::{self, AtLeast, AtMost},
    Goals,
};
use serde_json::Value;

/// What is found in the worst of all rounds.
#[derive(Default)]
pub struct Worst {
    rows: Vec<(String, f64, Kind)>,
    /// Of all loads.
    pub reports: Vec<Value>,
}

/// How something is judged.
#[derive(Clone, Copy)]
pub enum Kind {
    /// On any machine.
    Promise(Goal),
    /// It depends on the machine.
    Figure(Goal),
    /// Not at all.
    Shown,
}

impl Worst {
    /// Notes what a round has shown.
    pub fn note(&mut self, name: &str, measured: f64, kind: Kind) {
        let Some(row) = self.rows.iter_mut().find(|row| row.0 == name) else {
            return self.rows.push((name.to_owned(), measured, kind));
        };
        row.1 = match kind {
            Kind::Promise(AtLeast(_)) | Kind::Figure(AtLeast(_)) => row.1.min(measured),
            _ => row.1.max(measured),
        };
    }

    /// There must be none in any round.
    pub fn none(&mut self, name: &str, count: f64) {
        self.note(name, count, Kind::Promise(AtMost(0.0)));
    }

    /// There must be some in each round.
    pub fn some(&mut self, name: &str, count: f64) {
        self.note(name, count, Kind::Promise(AtLeast(1.0)));
    }

    /// Judges it all.
    pub fn judge(self, goals: &mut Goals) {
        for (name, measured, kind) in &self.rows {
            match kind {
                Kind::Promise(goal) => goals.promise(name, *measured, *goal),
                Kind::Figure(goal) => goals.figure(name, *measured, *goal),
                Kind::Shown => goals.shown(name, *measured),
            }
        }
        for report in self.reports {
            goals.keep(report);
        }
    }
}
