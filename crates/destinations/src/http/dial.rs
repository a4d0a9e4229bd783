//! From a URL to a stream that reaches it: resolve, judge, connect, through the proxy if there is
//! one, and TLS. The only place that opens a socket.
//!
//! The address that was judged is the one that is dialled, or asked of the proxy. There is no second
//! lookup, and a literal address in a URL takes the same way.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use domain::{attempt::OutcomeClass, clock::Clock};
use rustix::io::Errno;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{
    HttpOptions, Resolve, Stage,
    answer::Failure,
    options::{ProxyKind, ProxyOptions},
    proxy,
    stream::Stream,
    tls,
};
use crate::guard;

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 4;

/// How long to wait for an address while there is another one to try.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(500);

/// How long to wait before a socket is asked for again that this host had none to give.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

pub(super) struct Dialer {
    options: HttpOptions,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

impl Dialer {
    pub(super) fn new(
        options: HttpOptions,
        resolver: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tls = tls::connector(&options, clock);
        Self { options, resolver, tls }
    }

    /// A stream to where `url` leads. `stage` tells how far it has come.
    pub(super) async fn dial(&self, url: &Url, stage: &mut Stage) -> Result<Stream, Failure> {
        let host = &url.host().ok_or_else(|| no_host(url))?.to_owned();
        let port = url.port_or_known_default().ok_or_else(|| no_host(url))?;
        *stage = Stage::Resolving;
        let mut addresses = self.resolve(host, port).await?;
        addresses.retain(|address| guard::judge(address.ip(), &self.options.allow).is_ok());
        if addresses.is_empty() {
            return Err(Failure::new(OutcomeClass::Blocked, guard::BLOCKED));
        }
        let (address, stream) = self.connect_any(host, &addresses, stage).await?;
        if url.scheme() != "https" {
            return Ok(stream);
        }
        *stage = Stage::Securing(address);
        tls::secure(&self.tls, host, stream).await
    }

    async fn resolve(&self, host: &Host<String>, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let name = match host {
            Host::Ipv4(address) => return Ok(vec![(*address, port).into()]),
            Host::Ipv6(address) => return Ok(vec![(*address, port).into()]),
            Host::Domain(name) => name,
        };
        match self.resolver.resolve(name).await {
            Ok(found) if !found.is_empty() => {
                Ok(found.into_iter().map(|address| (address, port).into()).collect())
            }
            Ok(_) => Err(dns_failure(name, "it has no address")),
            Err(error) => Err(dns_failure(name, error)),
        }
    }

    /// Tries the addresses one after another; the last one that failed says why.
    async fn connect_any(
        &self,
        host: &Host<String>,
        addresses: &[SocketAddr],
        stage: &mut Stage,
    ) -> Result<(SocketAddr, Stream), Failure> {
        let mut failed = None;
        for (address, patience) in tries(addresses, self.options.connect_timeout) {
            match self.connect(host, address, patience, stage).await {
                Ok(stream) => return Ok((address, stream)),
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.expect("at least one address was allowed"))
    }

    /// To one address that was judged, straight or through the proxy.
    async fn connect(
        &self,
        host: &Host<String>,
        address: SocketAddr,
        patience: Duration,
        stage: &mut Stage,
    ) -> Result<Stream, Failure> {
        let proxy = self.options.proxy.as_ref();
        match proxy.filter(|proxy| proxy.serves(&host.to_string(), address.ip())) {
            None => {
                *stage = Stage::Connecting(address);
                open(address, patience).await
            }
            Some(proxy) => {
                *stage = Stage::Tunnelling(address);
                let tunnel = self.tunnel(proxy, address);
                // Twice the patience: two connections are made, one after the other.
                timeout(2 * self.options.connect_timeout, tunnel).await.unwrap_or_else(|_| {
                    let text = format!("the proxy opened no connection to {address} in time");
                    Err(Failure::new(OutcomeClass::Connect, text))
                })
            }
        }
    }

    async fn tunnel(&self, proxy: &ProxyOptions, to: SocketAddr) -> Result<Stream, Failure> {
        let addresses = self.resolve(&proxy.host, proxy.port).await?;
        let mut stream = open_any(&addresses, self.options.connect_timeout).await?;
        if proxy.kind == ProxyKind::Https {
            stream = tls::secure(&self.tls, &proxy.host, stream).await?;
        }
        let credentials = proxy.credentials.as_ref();
        match proxy.kind {
            ProxyKind::Socks5 => proxy::socks5(&mut stream, to, credentials).await?,
            ProxyKind::Http | ProxyKind::Https => {
                proxy::connect(&mut stream, to, credentials).await?;
            }
        }
        Ok(stream)
    }
}

/// In which order addresses are tried, and how patiently each. Families take turns, beginning with
/// that of the first: on a host that has only one of them, a name with many addresses of the other is
/// reached all the same.
fn tries(
    addresses: &[SocketAddr],
    patience: Duration,
) -> impl Iterator<Item = (SocketAddr, Duration)> {
    let first = addresses.first().map(SocketAddr::is_ipv4);
    let (ours, theirs): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| Some(address.is_ipv4()) == first);
    let turns = 0..ours.len().max(theirs.len());
    let mut tried: Vec<_> =
        turns.flat_map(|turn| ours.get(turn).into_iter().chain(theirs.get(turn))).collect();
    tried.truncate(MAX_ADDRESSES);
    let short = NEXT_ADDRESS_AFTER.min(patience);
    let (last, others) = tried.split_last().map_or((None, &[][..]), |(l, o)| (Some(**l), o));
    let others: Vec<_> = others.iter().map(|address| (**address, short)).collect();
    others.into_iter().chain(last.map(|address| (address, patience)))
}

/// A socket to the first address that takes it; the last one that failed says why.
async fn open_any(addresses: &[SocketAddr], patience: Duration) -> Result<Stream, Failure> {
    let mut failed = None;
    for (address, patience) in tries(addresses, patience) {
        match open(address, patience).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => failed = Some(failure),
        }
    }
    Err(failed.expect("a name that resolved has an address"))
}

async fn open(address: SocketAddr, patience: Duration) -> Result<Stream, Failure> {
    let connected = match timeout(patience, socket(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    let stream = connected.map_err(|error| connect_failure(address, patience, &error))?;
    // Without it small writes wait for acknowledgements. A socket that refuses still works.
    let _ = stream.set_nodelay(true);
    Ok(Stream::Plain(stream))
}

/// A connected socket. What this host has run out of is waited for: it is not the receiver's fault,
/// and idle connections give it back within seconds.
#[expect(clippy::disallowed_methods, reason = "the one place that opens sockets")]
async fn socket(address: SocketAddr) -> io::Result<TcpStream> {
    loop {
        match TcpStream::connect(address).await {
            Err(error) if is_shortage(&error, address) => {
                tracing::warn!(%error, "no socket to be had; waiting for one");
                sleep(AGAIN_AFTER).await;
            }
            connected => return connected,
        }
    }
}

/// Whether this host is out of descriptors, memory or ports.
fn is_shortage(error: &io::Error, address: SocketAddr) -> bool {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => true,
        // For IPv6 it means that this host has no address of that kind.
        Some(Errno::ADDRNOTAVAIL) => address.is_ipv4(),
        _ => false,
    }
}

fn connect_failure(address: SocketAddr, patience: Duration, error: &io::Error) -> Failure {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        io::ErrorKind::ConnectionReset => format!("connection reset by {address}"),
        io::ErrorKind::TimedOut => format!("no connection to {address} within {patience:?}"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("there is no way to {address}")
        }
        _ => format!("no connection to {address}: {error}"),
    };
    Failure::new(OutcomeClass::Connect, text)
}

fn dns_failure(name: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(OutcomeClass::Dns, format!("{name:.256} did not resolve: {why}"))
}

fn no_host(url: &Url) -> Failure {
    let text = format!("the {} URL has no host", url.scheme());
    Failure::new(OutcomeClass::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(addresses: &[&str]) -> Vec<(String, u64)> {
        let addresses: Vec<SocketAddr> = addresses
            .iter()
            .map(|a| (a.parse::<std::net::IpAddr>().expect(a), 80).into())
            .collect();
        tries(&addresses, Duration::from_secs(5))
            .map(|(address, patience)| (address.ip().to_string(), patience.as_millis() as u64))
            .collect()
    }

    #[test]
    fn families_take_turns() {
        let expect = |expected: &[(&str, u64)]| -> Vec<(String, u64)> {
            expected.iter().map(|(address, ms)| ((*address).to_owned(), *ms)).collect()
        };
        let many = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "192.0.2.1"];
        assert_eq!(
            order(&many),
            expect(&[
                ("2001:db8::1", 500),
                ("192.0.2.1", 500),
                ("2001:db8::2", 500),
                ("2001:db8::3", 5_000),
            ])
        );
        assert_eq!(
            order(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
            expect(&[("192.0.2.1", 500), ("2001:db8::1", 500), ("192.0.2.2", 5_000)])
        );
        assert_eq!(order(&["192.0.2.1"]), expect(&[("192.0.2.1", 5_000)]));
        assert_eq!(order(&[]), []);
    }

    #[test]
    fn what_this_host_lacks_is_told_from_what_the_receiver_refuses() {
        let v4 = SocketAddr::from(([192, 0, 2, 1], 80));
        let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 80));
        for (errno, address, shortage) in [
            (Errno::MFILE, v4, true),
            (Errno::NFILE, v6, true),
            (Errno::ADDRNOTAVAIL, v4, true),
            (Errno::ADDRNOTAVAIL, v6, false),
            (Errno::CONNREFUSED, v4, false),
            (Errno::NETUNREACH, v6, false),
        ] {
            assert_eq!(is_shortage(&errno.into(), address), shortage, "{errno} at {address}");
        }
    }
}
