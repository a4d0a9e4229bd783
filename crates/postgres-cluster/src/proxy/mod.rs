//! A TCP proxy that does to connections what networks do.
mod connection;
mod faults;

use crate::{ports, processes::until};
use faults::{Faults, Lose, State};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long the accepting thread sleeps when nobody dials.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What a partition does to those who dial anew. Connections that were there stay open and silent
/// in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// They are connected to the proxy, and hear nothing until it heals.
    Silent,
    /// They are refused.
    Refused,
}

/// A proxy on 127.0.0.1 that passes bytes between its clients and a server, and does harm when
/// told. Dropping it cuts all connections and ends its threads.
pub struct Proxy {
    addr: SocketAddr,
    faults: Arc<Faults>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one in front of a server, which need not be up yet: while it is not, those who dial
    /// are connected and then cut.
    pub fn start(target: SocketAddr) -> Self {
        let listener = ports::listen();
        let addr = listener.local_addr().expect("a bound socket has an address");
        let faults = Arc::new(Faults::new(target, nonblocking(listener)));
        let shared = faults.clone();
        let accepting = thread::Builder::new().name("proxy accept".into());
        let accepting = accepting.spawn(move || accept(&shared)).expect("a thread starts");
        Self { addr, faults, accepting: Some(accepting) }
    }

    /// Where it listens. It stays the same.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A URL that leads through the proxy: the given one with another host and port.
    pub fn url(&self, cluster_url: &str) -> String {
        let start = cluster_url.find("://").expect("a URL has a scheme") + 3;
        let path = cluster_url[start..].find(['/', '?']).map_or(cluster_url.len(), |at| start + at);
        let host = cluster_url[start..path].rfind('@').map_or(start, |at| start + at + 1);
        format!("{}{}{}", &cluster_url[..host], self.addr, &cluster_url[path..])
    }

    /// Leads new connections elsewhere, and cuts those that exist.
    pub fn retarget(&self, addr: SocketAddr) {
        self.faults.change(|state| {
            state.target = addr;
            state.cut();
        });
    }

    /// Closes all connections now, towards clients and server. New ones are accepted and go on.
    pub fn cut(&self) {
        self.faults.change(State::cut);
    }

    /// Parts clients and server: from now on nothing passes in either direction, the end of a
    /// connection included. What one side sends meanwhile arrives when it heals. The kernel goes on
    /// acknowledging for both sides, so neither keep-alive probes nor TCP's own timeouts notice.
    pub fn block(&self, partition: Partition) {
        self.part(Some(partition));
    }

    /// Ends a partition.
    pub fn heal(&self) {
        self.part(None);
    }

    fn part(&self, partition: Option<Partition>) {
        self.faults.change(|state| {
            state.partition = partition;
            if partition == Some(Partition::Refused) {
                // Only a port that nobody listens on refuses.
                state.listener = None;
            } else if state.listener.is_none() {
                let mut bound = None;
                until(Duration::from_secs(5), || {
                    bound = TcpListener::bind(self.addr).ok();
                    bound.is_some()
                });
                state.listener = Some(nonblocking(bound.expect("the proxy's own port is free")));
            }
        });
    }

    /// Holds every chunk for that long, in each direction; zero ends it. A chunk is what one read
    /// of at most 64 KiB brought, and what comes while it is held waits for it.
    pub fn delay(&self, delay: Duration) {
        self.faults.change(|state| state.delay = delay);
    }

    /// Loses the server's reply to what contains `needle`, such as `COMMIT`, for the next `times`
    /// connections that send it: the client sees its connection closed without a reply, and cannot
    /// know whether it was done. It was: the client's side is closed only when the server has
    /// answered, has worked off all else that it was sent, and has ended its session, so whoever
    /// sees the failure finds the effect. If the server dies instead of answering, the client's
    /// side is closed, but no reply was lost. Replaces an earlier order; 0 `times` takes it back.
    ///
    /// The needle is sought in what clients send, as bytes and case-sensitive, in each chunk that
    /// arrives: one that is spread over two chunks, or encrypted, is not found. A client that
    /// prepares a statement sends its text then and not when it executes it; what is lost is the
    /// reply to the preparation, and nothing was executed unless both were sent together.
    pub fn lose_reply_of(&self, needle: &str, times: u32) {
        assert!(!needle.is_empty(), "every chunk contains nothing");
        let lose = Lose { needle: needle.into(), left: times };
        self.faults.change(|state| state.lose = Some(lose));
    }

    /// How many replies were lost so far. Counted before the client's side is closed.
    pub fn lost(&self) -> u32 {
        self.faults.state().lost
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.faults.change(|state| {
            state.stopped = true;
            state.listener = None;
            state.cut();
        });
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        // Those that are just dialling the server take a moment.
        until(Duration::from_secs(10), || self.faults.state().connections.is_empty());
    }
}

fn nonblocking(listener: TcpListener) -> TcpListener {
    listener.set_nonblocking(true).expect("a socket can be set so");
    listener
}

/// Accepts until the proxy is dropped. It polls, because a thread that waits in `accept` would hold
/// the listener open and could not be told to close it.
fn accept(faults: &Arc<Faults>) {
    let mut number = 0;
    loop {
        let mut state = faults.state();
        if state.stopped {
            return;
        }
        match state.listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _))) => {
                number += 1;
                connection::start(faults, &mut state, number, client);
            }
            _ => {
                drop(state);
                thread::sleep(LOOK_AGAIN);
            }
        }
    }
}
