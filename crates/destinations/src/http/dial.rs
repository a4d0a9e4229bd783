//! From a URL to a stream that reaches it: resolve, judge, connect, through the proxy if there is
//! one, and TLS. The only place that opens a socket.
//!
//! The address that was judged is the one that is dialled, or asked of the proxy. There is no second
//! lookup, and a literal address in a URL takes the same way.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use domain::{attempt::OutcomeClass, clock::Clock};
use tokio::{net::TcpStream, time::timeout};
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
        let tried = &addresses[..addresses.len().min(MAX_ADDRESSES)];
        let (last, others) = tried.split_last().expect("at least one address was allowed");
        for address in others {
            let patience = NEXT_ADDRESS_AFTER.min(self.options.connect_timeout);
            if let Ok(stream) = self.connect(host, *address, patience, stage).await {
                return Ok((*address, stream));
            }
        }
        let stream = self.connect(host, *last, self.options.connect_timeout, stage).await?;
        Ok((*last, stream))
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
        let mut stream = open(addresses[0], self.options.connect_timeout).await?;
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

#[expect(clippy::disallowed_methods, reason = "the one place that opens sockets")]
async fn open(address: SocketAddr, patience: Duration) -> Result<Stream, Failure> {
    let connected = match timeout(patience, TcpStream::connect(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    let stream = connected.map_err(|error| connect_failure(address, patience, &error))?;
    // Without it small writes wait for acknowledgements. A socket that refuses still works.
    let _ = stream.set_nodelay(true);
    Ok(Stream::Plain(stream))
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
