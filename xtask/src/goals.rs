//! What was measured beside what was wanted, as a table and as JSON.
use crate::shell;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fs;

/// The verdict on one figure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    /// Shown only: a short run, or a machine too busy to tell.
    NotJudged,
}

/// A figure's bound.
#[derive(Clone, Copy)]
pub enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// The figures of one campaign.
pub struct Goals {
    campaign: &'static str,
    judge_figures: bool,
    rows: Vec<(String, String, String, Verdict)>,
    reports: Vec<Value>,
}

impl Goals {
    /// Figures of a short run (`full` false) are shown but not judged: a few seconds on a machine
    /// that does other things say little. Promises are always judged.
    pub fn new(campaign: &'static str, full: bool) -> Self {
        Self { campaign, judge_figures: full, rows: Vec::new(), reports: Vec::new() }
    }

    /// A figure that depends on the machine.
    pub fn figure(&mut self, name: &str, measured: f64, goal: Goal) {
        self.add(name, measured, goal, self.judge_figures);
    }

    /// A figure whose measurement was disturbed, shown without a verdict.
    pub fn disturbed(&mut self, name: &str, measured: f64, goal: Goal) {
        self.add(name, measured, goal, false);
    }

    /// A figure that is told and has no goal.
    pub fn shown(&mut self, name: &str, measured: f64) {
        let row = (name.to_owned(), plain(measured), String::new(), Verdict::NotJudged);
        eprintln!("    {}: {}", row.0, row.1);
        self.rows.push(row);
    }

    /// Something that holds on any machine.
    pub fn promise(&mut self, name: &str, measured: f64, goal: Goal) {
        self.add(name, measured, goal, true);
    }

    fn add(&mut self, name: &str, measured: f64, goal: Goal, judge: bool) {
        let (met, text) = match goal {
            Goal::AtMost(bound) => (measured <= bound, format!("≤ {}", plain(bound))),
            Goal::AtLeast(bound) => (measured >= bound, format!("≥ {}", plain(bound))),
        };
        let verdict = match (judge, met) {
            (false, _) => Verdict::NotJudged,
            (true, true) => Verdict::Met,
            (true, false) => Verdict::Missed,
        };
        let row = (name.to_owned(), plain(measured), text, verdict);
        eprintln!("    {}: {} ({}) {}", row.0, row.1, row.2, word(verdict));
        self.rows.push(row);
    }

    /// Keeps a report for the file.
    pub fn keep(&mut self, report: Value) -> Value {
        self.reports.push(report.clone());
        report
    }

    /// Prints the table, writes `target/load/<campaign>.json`, and fails if a goal was missed.
    pub fn finish(self) -> Result<()> {
        let missed = self.rows.iter().filter(|r| r.3 == Verdict::Missed).count();
        println!("\n| {} | measured | goal | |\n|---|---:|---:|---|", self.campaign);
        for (name, measured, goal, verdict) in &self.rows {
            println!("| {name} | {measured} | {goal} | {} |", word(*verdict));
        }
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|(name, measured, goal, verdict)| {
                json!({ "name": name, "measured": measured, "goal": goal, "verdict": word(*verdict) })
            })
            .collect();
        let dir = shell::target().join("load");
        fs::create_dir_all(&dir)?;
        let file = dir.join(format!("{}.json", self.campaign));
        let all = json!({ "goals": rows, "reports": self.reports });
        fs::write(&file, serde_json::to_string_pretty(&all)?)?;
        println!(
            "{}: {} goals, {missed} missed; reports in {}",
            self.campaign,
            self.rows.len(),
            file.display()
        );
        ensure!(missed == 0, "{}: {missed} goals missed", self.campaign);
        Ok(())
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "MISSED",
        Verdict::NotJudged => "not judged",
    }
}

/// Few digits, as many as matter.
fn plain(x: f64) -> String {
    if x.abs() >= 100.0 || x.fract() == 0.0 { format!("{x:.0}") } else { format!("{x:.3}") }
}

/// The middle one of the values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
