//! One connection through a proxy: two sockets, and a thread for each direction.
use super::faults::{Faults, State};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

const CHUNK: usize = 64 * 1024;
const DIAL: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    client: TcpStream,
    /// Once the proxy has dialled it.
    server: OnceLock<TcpStream>,
    cut: AtomicBool,
    losing: Mutex<Losing>,
}

/// How far a reply is on its way to be lost.
#[derive(Default, Clone, Copy)]
struct Losing {
    /// The needle was found: nothing of what the server says reaches the client any more.
    found: bool,
    /// What contains it has been passed on whole.
    passed: bool,
    /// The server has said something since it was found.
    answered: bool,
}

impl Connection {
    /// Closes both sides at once, with a reset where bytes are still under way.
    pub(super) fn cut(&self) {
        self.cut.store(true, SeqCst);
        abort(&self.client);
        if let Some(server) = self.server.get() {
            abort(server);
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(SeqCst)
    }

    fn losing(&self) -> MutexGuard<'_, Losing> {
        self.losing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step towards losing the reply. Once the needle is passed on and the server has
    /// answered, the server is told that nothing more will come. It then works off all that it was
    /// sent and closes, which is how we know that it was done even if the first thing it said was
    /// about something before the needle.
    fn lose(&self, server: &TcpStream, step: impl FnOnce(&mut Losing)) {
        let mut losing = self.losing();
        step(&mut losing);
        if losing.passed && losing.answered {
            let _ = server.shutdown(Shutdown::Write);
        }
    }
}

/// Enters a new client among the connections and starts its threads.
pub(super) fn start(faults: &Arc<Faults>, state: &mut State, number: u64, client: TcpStream) {
    let ready = client.set_nonblocking(false).and_then(|()| client.set_nodelay(true));
    if ready.is_err() {
        return;
    }
    let connection = Arc::new(Connection {
        client,
        server: OnceLock::new(),
        cut: AtomicBool::new(false),
        losing: Mutex::default(),
    });
    state.connections.insert(number, connection.clone());
    let faults = faults.clone();
    let run = move || {
        // An orderly end must not be turned into a reset, which could overtake the last bytes.
        if carry(&faults, &connection).is_err() {
            connection.cut();
        }
        drop(connection);
        faults.change(|state| drop(state.connections.remove(&number)));
    };
    thread::Builder::new().name("proxy to server".into()).spawn(run).expect("a thread starts");
}

/// Dials the server and carries bytes until both directions have ended.
fn carry(faults: &Faults, connection: &Connection) -> io::Result<()> {
    if !faults.pass(connection, Instant::now()) {
        return Ok(());
    }
    let target = faults.state().target;
    let server = TcpStream::connect_timeout(&target, DIAL)?;
    server.set_nodelay(true)?;
    {
        // Under the lock, or a cut that comes now would miss this socket.
        let _state = faults.state();
        if connection.is_cut() {
            return Ok(());
        }
        let _ = connection.server.set(server);
    }
    let server = connection.server.get().expect("set above");
    thread::scope(|scope| {
        let back = thread::Builder::new().name("proxy to client".into());
        back.spawn_scoped(scope, || to_client(faults, connection, server))?;
        to_server(faults, connection, server);
        Ok(())
    })
}

fn to_server(faults: &Faults, connection: &Connection, server: &TcpStream) {
    let passed = pump(faults, connection, &connection.client, |chunk| {
        let found = !connection.losing().found && faults.state().loses(chunk);
        if found {
            // Before it is passed on, or the reply could slip through.
            connection.lose(server, |losing| losing.found = true);
        }
        (&*server).write_all(chunk)?;
        if found {
            connection.lose(server, |losing| losing.passed = true);
        }
        Ok(())
    });
    match passed {
        Ok(()) => drop(server.shutdown(Shutdown::Write)),
        // The server is to close in its own time.
        Err(_) if connection.losing().found => {}
        Err(_) => connection.cut(),
    }
}

fn to_client(faults: &Faults, connection: &Connection, server: &TcpStream) {
    let passed = pump(faults, connection, server, |chunk| {
        if connection.losing().found {
            connection.lose(server, |losing| losing.answered = true);
            return Ok(());
        }
        (&connection.client).write_all(chunk)
    });
    let losing = *connection.losing();
    if losing.passed && losing.answered && !connection.is_cut() {
        faults.state().lost += 1;
    }
    match passed {
        Ok(()) if !losing.found => drop(connection.client.shutdown(Shutdown::Write)),
        _ => connection.cut(),
    }
}

/// Hands on what arrives, chunk by chunk, as far as the orders allow; `Ok` at its orderly end.
fn pump(
    faults: &Faults,
    connection: &Connection,
    mut from: &TcpStream,
    mut hand_on: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer);
        // The end of a connection passes no partition either.
        if !faults.pass(connection, Instant::now()) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match read? {
            0 => return Ok(()),
            length => hand_on(&buffer[..length])?,
        }
    }
}

/// Wakes the threads that wait for this socket, and closes it. Without lingering, what it still
/// holds is thrown away and the peer sees a reset.
fn abort(socket: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    let _ = socket.shutdown(Shutdown::Both);
}
