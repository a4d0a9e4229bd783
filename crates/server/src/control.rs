//! A socket in the data directory, for commands that ask the running server: whoever may open the
//! directory may use it. One line asks, one line answers.

use std::{
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
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
/// How long a caller may take to ask.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens in the data directory; a socket that a dead server left is taken over (the store's lock
/// says that it is dead).
pub fn listen(data_dir: &Path, store: Arc<EmbeddedStore>) -> anyhow::Result<()> {
    let path = data_dir.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| path.display().to_string());
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    dispatch::spawn::spawn("server.control", async move {
        // One at a time: what is asked for is heavy.
        while let Ok((stream, _)) = listener.accept().await {
            if let Err(error) = answer(stream, &store).await {
                tracing::warn!(%error, "a command could not be answered");
            }
        }
    });
    Ok(())
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
    stream.write_all(format!("{answer}\n").as_bytes()).await?;
    Ok(())
}

/// Asks the server that runs on a data directory to back it up; false if none runs there.
pub async fn ask_backup(data_dir: &Path, to: &Path) -> anyhow::Result<bool> {
    let to: PathBuf = std::path::absolute(to)?;
    let mut stream = match UnixStream::connect(data_dir.join(SOCKET)).await {
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
