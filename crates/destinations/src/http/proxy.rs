//! Asking an egress proxy for a connection to an address. The caller puts a deadline over it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use domain::attempt::OutcomeClass;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{answer::Failure, options::Credentials, stream::Stream};

/// Most bytes of the head of a proxy's answer.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// CONNECT (RFC 9110, 9.3.6).
///
/// # Errors
/// The proxy refused, or did not speak HTTP/1.
pub(super) async fn connect(
    stream: &mut Stream,
    to: SocketAddr,
    credentials: Option<&Credentials>,
) -> Result<(), Failure> {
    let authorization = credentials
        .map(|c| format!("proxy-authorization: {}\r\n", c.to_basic()))
        .unwrap_or_default();
    let request = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut head = Vec::with_capacity(512);
    loop {
        let ended = stream.read_buf(&mut head).await.map_err(broken)? == 0;
        match Connected::read(&head) {
            Connected::Yes => return Ok(()),
            Connected::Refused(status) => {
                return Err(refused(&format!("it answered {status} to CONNECT {to}")));
            }
            Connected::Unknown if !ended && head.len() < MAX_HEAD_BYTES => {}
            Connected::Unknown | Connected::NotHttp => {
                return Err(refused("its answer to CONNECT is not HTTP"));
            }
        }
    }
}

/// What the bytes of an answer to CONNECT say so far.
#[derive(Debug, PartialEq, Eq)]
enum Connected {
    /// More of it is needed.
    Unknown,
    /// The tunnel is there, and nothing else came.
    Yes,
    /// Another status. Known as soon as it is there: a page of HTML may follow, and need not end.
    Refused(String),
    /// Not an answer to CONNECT.
    NotHttp,
}

impl Connected {
    fn read(head: &[u8]) -> Self {
        const VERSION: &[u8] = b"HTTP/1.";
        let begins = head.len().min(VERSION.len());
        if head[..begins] != VERSION[..begins] {
            return Self::NotHttp;
        }
        let Some([_, b' ', status @ ..]) = head.get(VERSION.len()..VERSION.len() + 5) else {
            return if head.len() < VERSION.len() + 5 { Self::Unknown } else { Self::NotHttp };
        };
        match status {
            [b'2', _, _] => {}
            _ => return Self::Refused(String::from_utf8_lossy(status).into_owned()),
        }
        match head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            None => Self::Unknown,
            Some(end) if end + 4 == head.len() => Self::Yes,
            // Nobody behind the proxy speaks before we do.
            Some(_) => Self::NotHttp,
        }
    }
}

/// SOCKS 5 (RFC 1928), with a user name and password if there are any (RFC 1929).
///
/// # Errors
/// The proxy refused, or did not speak SOCKS 5.
pub(super) async fn socks5(
    stream: &mut Stream,
    to: SocketAddr,
    credentials: Option<&Credentials>,
) -> Result<(), Failure> {
    const VERSION: u8 = 5;
    const PASSWORD: u8 = 2;
    let method = if credentials.is_some() { PASSWORD } else { 0 };
    stream.write_all(&[VERSION, 1, method]).await.map_err(broken)?;
    let chosen: [u8; 2] = read(stream).await?;
    if chosen != [VERSION, method] {
        return Err(refused("it is no SOCKS 5 proxy or wants another way to log in"));
    }
    if let Some(credentials) = credentials {
        let mut login = vec![1];
        for part in [&credentials.username, &credentials.password] {
            // At most 255, see `ProxyOptions::new`.
            login.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            login.extend_from_slice(part);
        }
        stream.write_all(&login).await.map_err(broken)?;
        let [_, status] = read(stream).await?;
        if status != 0 {
            return Err(refused("it did not accept the user name and password"));
        }
    }
    let mut request = vec![VERSION, 1, 0];
    match to.ip() {
        IpAddr::V4(address) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
    }
    request.extend_from_slice(&to.port().to_be_bytes());
    stream.write_all(&request).await.map_err(broken)?;
    let [_, status, _, kind] = read(stream).await?;
    if status != 0 {
        let why = socks_error(status);
        return Err(refused(&format!("no connection to {to}: {why}")));
    }
    // The address it sends from, and the port.
    match kind {
        1 => drop(read::<6>(stream).await?),
        3 => {
            let [length] = read(stream).await?;
            let mut name = vec![0; usize::from(length) + 2];
            stream.read_exact(&mut name).await.map_err(broken)?;
        }
        4 => drop(read::<18>(stream).await?),
        _ => return Err(refused("its answer is not SOCKS 5")),
    }
    Ok(())
}

async fn read<const N: usize>(stream: &mut Stream) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(bytes)
}

/// RFC 1928, section 6.
fn socks_error(status: u8) -> &'static str {
    match status {
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        _ => "it failed",
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(OutcomeClass::Connect, format!("the proxy did not help: {why}"))
}

fn broken(error: io::Error) -> Failure {
    refused(&format!("the connection to it broke: {error}"))
}
