//! A socket in the data directory, for commands that ask the running server: whoever may open the
//! directory may use it. One line asks, one line answers.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use store_embedded::EmbeddedStore;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

/// Its name in the data directory.
const SOCKET: &str = "control.sock";
/// Longest line that is read.
const MAX_LINE_BYTES: u64 = 8 * 1024;
/// Longest path of a socket that every system takes (`sun_path` of macOS, with its end).
const MAX_SOCKET_PATH: usize = 103;
/// How long a caller may take to ask, and to read the answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait after a connection that could not be accepted.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Listens in the data directory; a socket that a dead server left is taken over (the store's lock
/// says that it is dead). Where that cannot be, the server does without: commands then say that the
/// directory is in use.
pub fn listen(data_dir: &Path, store: Arc<EmbeddedStore>) {
    let listener = match bind(data_dir) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "no control socket: `backup` works only when this has stopped");
            return;
        }
    };
    dispatch::spawn::spawn("server.control", async move {
        // One at a time: what is asked for is heavy.
        loop {
            let answered = match listener.accept().await {
                Ok((stream, _)) => answer(stream, &store).await,
                Err(error) => {
                    // Out of descriptors, most likely.
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    Err(error.into())
                }
            };
            if let Err(error) = answered {
                tracing::warn!(%error, "a command could not be answered");
            }
        }
    });
}

fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let (_dir, path) = reach(data_dir)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The path of the socket. That of a socket has some 100 bytes at most; a longer one is reached
/// through a descriptor of its directory, which is to be kept meanwhile.
fn reach(data_dir: &Path) -> io::Result<(Option<File>, PathBuf)> {
    let path = data_dir.join(SOCKET);
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok((None, path));
    }
    let dir = File::open(data_dir)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
    Ok((Some(dir), path.into()))
}

async fn answer(mut stream: UnixStream, store: &EmbeddedStore) -> anyhow::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new((&mut stream).take(MAX_LINE_BYTES));
    tokio::time::timeout(ASK_TIMEOUT, reader.read_line(&mut line)).await??;
    let answer = match line.trim_end().split_once(' ') {
        Some(("backup", path)) => match store.backup(Path::new(path)).await {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        },
        _ => "not a command".to_owned(),
    };
    let answer = format!("{answer}\n");
    tokio::time::timeout(ASK_TIMEOUT, stream.write_all(answer.as_bytes())).await??;
    Ok(())
}

/// Asks the server that runs on a data directory to back it up; false if none runs there.
pub async fn ask_backup(data_dir: &Path, to: &Path) -> anyhow::Result<bool> {
    let to: PathBuf = std::path::absolute(to)?;
    let connected = match reach(data_dir) {
        Ok((_dir, path)) => UnixStream::connect(path).await,
        Err(error) => Err(error),
    };
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(error).context("the server's control socket"),
    };
    stream.write_all(format!("backup {}\n", to.display()).as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    match answer.trim_end() {
        "ok" => Ok(true),
        "" => bail!("the server went away meanwhile; the copy is not whole"),
        error => bail!("the server says: {error}"),
    }
}
