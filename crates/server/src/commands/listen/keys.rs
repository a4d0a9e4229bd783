//! The keys of whoever watches.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The last event once more.
    Replay,
    /// The end.
    Quit,
}

/// A terminal that gives keys as they are pressed, and is as it was before when this is dropped.
pub struct Keyboard(Option<Termios>);

impl Keyboard {
    /// Of the standard input. Where that is no terminal keys are read all the same: letters, with or
    /// without line ends.
    pub fn open() -> (Self, mpsc::UnboundedReceiver<Key>) {
        let (pressed, keys) = mpsc::unbounded_channel();
        // A thread, because reading a terminal cannot be given up: it ends with the process.
        std::thread::spawn(move || {
            let mut stdin = io::stdin();
            let mut byte = [0];
            while stdin.read_exact(&mut byte).is_ok() {
                let key = match byte[0] {
                    b'r' | b'R' => Key::Replay,
                    b'q' | b'Q' => Key::Quit,
                    _ => continue,
                };
                if pressed.send(key).is_err() {
                    return;
                }
            }
        });
        (Self(Self::set()), keys)
    }

    /// Lines are not gathered, and keys not shown; signals work as ever.
    fn set() -> Option<Termios> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &now).ok()?;
        Some(before)
    }

    /// Whether a key works without Enter.
    pub fn is_terminal(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // There is nothing else to do about a terminal that is no more.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
