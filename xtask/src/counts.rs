//! What `hookwright check` says of counts by time.
use crate::goals::{
    Goal::{AtLeast, AtMost},
    Goals,
};
use anyhow::{Context, Result};

/// How its lines end, or what is between their figures.
const COMPARED: &str = " counts by time compared with ";
const DIFFER: [&str; 2] = [
    " counts differ from a recount of messages and attempts",
    " sums of counts differ from their parts",
];

/// What all checks of a campaign found.
#[derive(Debug, Default, PartialEq)]
pub struct Counts {
    /// Attempts that the last one compared.
    attempts: f64,
    differ: f64,
}

impl Counts {
    /// Takes in what a check said; whether it found counts that differ.
    pub fn add(&mut self, said: &str) -> Result<bool> {
        let figure = |text: &str| text.parse::<f64>().context("a figure of `check`");
        let compared = said.lines().find(|line| line.contains(COMPARED));
        let compared = compared.with_context(|| format!("`check` compares no counts:\n{said}"))?;
        let attempts = compared.strip_suffix(" attempts").and_then(|rest| rest.rsplit(' ').next());
        self.attempts = figure(attempts.context("a number of attempts")?)?;
        let problems = said.lines().filter_map(|line| line.strip_prefix("PROBLEM  "));
        let mut differ = 0.0;
        for count in problems.filter_map(|p| DIFFER.iter().find_map(|end| p.strip_suffix(end))) {
            differ += figure(count)?;
        }
        self.differ += differ;
        Ok(differ > 0.0)
    }

    /// That none differ, and that at least so many attempts were looked at.
    pub fn judge(&self, goals: &mut Goals, least: f64) {
        goals.promise("counts that differ from a recount", self.differ, AtMost(0.0));
        goals.promise("attempts that were recounted", self.attempts, AtLeast(least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_check_says_is_understood() {
        let mut counts = Counts::default();
        let clean =
            "7 messages\n12 counts by time compared with 7 messages and 9 attempts\nclean\n";
        assert!(!counts.add(clean).expect("understood"));
        assert_eq!(counts, Counts { attempts: 9.0, differ: 0.0 });
        let wrong = "12 counts by time compared with 7 messages and 11 attempts\n\
                     PROBLEM  app_1, messages, a, minute of 2026: messages counted 1, on record 2\n\
                     PROBLEM  2 counts differ from a recount of messages and attempts\n\
                     PROBLEM  1 sums of counts differ from their parts\n";
        assert!(counts.add(wrong).expect("understood"));
        assert_eq!(counts, Counts { attempts: 11.0, differ: 3.0 });
        assert!(counts.add("clean").is_err());
    }
}
