//! How far something is, in one line of a terminal; elsewhere a line at its end.

use std::{
    cell::Cell,
    io::{IsTerminal, Write, stdout},
    sync::Arc,
    time::Duration,
};

use domain::clock::Clock;

/// How often it is drawn at most.
const PAUSE: Duration = Duration::from_millis(100);
/// Characters of the bar itself.
const WIDTH: u64 = 30;

/// A bar of one part of the work.
pub struct Bar {
    clock: Arc<dyn Clock>,
    /// What is being done, and with what.
    label: (&'static str, &'static str),
    done: Cell<u64>,
    /// About.
    total: u64,
    terminal: bool,
    drawn: Cell<Option<Duration>>,
}

impl Bar {
    /// One that is at its beginning. `total` need not be exact.
    pub fn new(
        clock: &Arc<dyn Clock>,
        doing: &'static str,
        what: &'static str,
        total: u64,
    ) -> Self {
        Self {
            clock: clock.clone(),
            label: (doing, what),
            done: Cell::new(0),
            total,
            terminal: stdout().is_terminal(),
            drawn: Cell::new(None),
        }
    }

    /// More is done.
    pub fn advance(&self, by: u64) {
        self.done.set(self.done.get() + by);
        let now = self.clock.monotonic();
        let drawn = self.drawn.get();
        if self.terminal && drawn.is_none_or(|drawn| now >= drawn + PAUSE) {
            self.drawn.set(Some(now));
            print!("\r{}", line(self.label, self.done.get(), self.total));
            flush();
        }
    }

    /// Takes it off the terminal.
    pub fn clear(&self) {
        if self.drawn.get().is_some() {
            print!("\r\x1b[K");
            flush();
        }
    }

    /// It is all done: says so, and of how many.
    pub fn end(&self, done: &str, count: u64) {
        self.clear();
        let (_, what) = self.label;
        println!("{done:<10}{what:<14}{count:>12}");
    }

    /// How much has been done so far.
    pub fn done(&self) -> u64 {
        self.done.get()
    }
}

fn flush() {
    // Whoever looked at it may have gone.
    let _ = stdout().flush();
}

fn line((doing, what): (&str, &str), done: u64, total: u64) -> String {
    // It may be more than was counted before.
    let total = total.max(done).max(1);
    let full = (done * WIDTH / total) as usize;
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(WIDTH as usize - full));
    format!("{doing:<10}{what:<14}[{bar}] {:>3} %  {done}\x1b[K", done * 100 / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_stays_within_its_width() {
        for (done, total, wanted) in
            [(0, 0, "  0 %"), (1, 2, " 50 %"), (2, 2, "100 %"), (5, 2, "100 %")]
        {
            let line = line(("copying", "messages"), done, total);
            assert!(line.contains(wanted), "{line}");
            assert_eq!(line.chars().filter(|c| "#-".contains(*c)).count() as u64, WIDTH);
        }
    }
}
