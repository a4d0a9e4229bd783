//! One webhook receiver that outlives the servers of a campaign.
use anyhow::Result;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Answers 503 until it is told to be up, and notes when something arrives.
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    up: AtomicBool,
    arrivals: Mutex<Vec<Instant>>,
}

impl Receiver {
    /// Starts it, down, on a thread that lives as long as the process.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/", listener.local_addr()?);
        let state = Arc::new(State::default());
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                thread::spawn(move || state.serve(stream));
            }
        });
        Ok(Self { url, state })
    }

    /// From now on it answers 204.
    pub fn up(&self) {
        self.state.up.store(true, Relaxed);
    }

    /// When the `n`-th request (from 1) arrived; `None` if it has not within `limit`.
    pub fn arrival(&self, n: usize, limit: Duration) -> Option<Instant> {
        let until = Instant::now() + limit;
        loop {
            let arrivals = self.state.arrivals.lock().expect("no holder of this lock panics");
            if let Some(at) = arrivals.get(n - 1) {
                return Some(*at);
            }
            drop(arrivals);
            if Instant::now() > until {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl State {
    /// Requests of one connection, until it ends or is broken.
    fn serve(&self, stream: TcpStream) {
        let Ok(mut answers) = stream.try_clone() else { return };
        let mut requests = BufReader::new(stream);
        while let Some(length) = head(&mut requests) {
            let mut body = vec![0; length];
            if requests.read_exact(&mut body).is_err() {
                return;
            }
            self.arrivals.lock().expect("no holder of this lock panics").push(Instant::now());
            let answer = match self.up.load(Relaxed) {
                true => "HTTP/1.1 204 No Content\r\n\r\n",
                false => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            };
            if answers.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Reads a request's head; the length of its body.
fn head(requests: &mut impl BufRead) -> Option<usize> {
    let mut length = 0;
    let mut line = String::new();
    let mut lines = 0;
    loop {
        line.clear();
        if requests.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let text = line.trim_end();
        if text.is_empty() && lines > 0 {
            return Some(length);
        }
        lines += 1;
        if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
}
