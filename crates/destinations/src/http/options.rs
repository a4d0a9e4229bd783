//! What the configuration says about sending.

use std::{fmt, net::IpAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use domain::destination::has_credentials;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use url::{Host, Url};

/// Settings of [`HttpDestination`](super::HttpDestination).
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Exceptions from the address guard.
    pub allow: Vec<IpNet>,
    /// Where to send through, if not straight.
    pub proxy: Option<ProxyOptions>,
    /// Most connections in use at a time; more exchanges wait, within their deadline. With
    /// `max_idle_total` this bounds the file descriptors that sending takes.
    pub max_connections: usize,
    /// Most idle connections of one application to one host and port.
    pub max_idle_per_host: usize,
    /// Most idle connections in all; beyond it the one idle for longest is closed.
    pub max_idle_total: usize,
    /// No request is sent on a connection older than this.
    pub connection_lifetime: Duration,
    /// A connection that idles for longer is closed.
    pub idle_timeout: Duration,
    /// How long to wait for a connection to one address, within the deadline.
    pub connect_timeout: Duration,
    /// Accepts any certificate: whoever is on the way can read and change what is sent. For
    /// development only.
    pub dangerous_disable_tls_verification: bool,
    /// Trusted beside the certificates of the system and those built in.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            proxy: None,
            max_connections: 4096,
            max_idle_per_host: 512,
            max_idle_total: 2048,
            connection_lifetime: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            dangerous_disable_tls_verification: false,
            extra_roots: Vec::new(),
        }
    }
}

/// An egress proxy. Its own address is configuration and not judged by the guard; the addresses
/// asked of it are resolved and judged here.
#[derive(Clone)]
pub struct ProxyOptions {
    pub(super) kind: ProxyKind,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) credentials: Option<Credentials>,
    no_proxy: Vec<NoProxy>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    /// CONNECT (RFC 9110, 9.3.6).
    Http,
    /// CONNECT, over TLS.
    Https,
    /// SOCKS 5 (RFC 1928).
    Socks5,
}

/// A name and a password.
#[derive(Clone)]
pub(super) struct Credentials {
    pub username: Vec<u8>,
    pub password: Vec<u8>,
}

/// What is reached without the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NoProxy {
    Everything,
    Net(IpNet),
    /// This name and those below it.
    Name(String),
}

/// The proxy's URL is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// Not a URL with a host.
    #[error("the proxy is not a URL such as http://user:password@proxy.example:3128")]
    Url,
    /// A scheme that is not known.
    #[error("the proxy's scheme must be http, https, socks5 or socks5h")]
    Scheme,
    /// SOCKS has one byte for their lengths (RFC 1929).
    #[error("the proxy's user name and password must be at most 255 bytes long")]
    Credentials,
}

impl ProxyOptions {
    /// From a URL (`http`, `https`, `socks5` or `socks5h`; credentials as its userinfo) and what is
    /// to be reached without it: CIDRs, addresses, names (with all names below them), or `*`.
    ///
    /// # Errors
    /// The URL is of no use; the error does not show it.
    pub fn new(url: &str, no_proxy: &[String]) -> Result<Self, InvalidProxy> {
        let url = Url::parse(url).map_err(|_| InvalidProxy::Url)?;
        let (kind, default_port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
            _ => return Err(InvalidProxy::Scheme),
        };
        // The URL standard leaves hosts of other schemes than http and https unparsed.
        let host = url.host_str().ok_or(InvalidProxy::Url)?;
        let host = Host::parse(host).map_err(|_| InvalidProxy::Url)?;
        let credentials = Credentials::of(&url);
        if credentials.as_ref().is_some_and(|c| c.username.len().max(c.password.len()) > 255) {
            return Err(InvalidProxy::Credentials);
        }
        let port = url.port().unwrap_or(default_port);
        let no_proxy = no_proxy.iter().filter_map(|entry| NoProxy::parse(entry)).collect();
        Ok(Self { kind, host, port, credentials, no_proxy })
    }

    /// Whether this address of this host is reached through the proxy.
    pub(super) fn serves(&self, host: &str, address: IpAddr) -> bool {
        let host = host.trim_end_matches('.');
        !self.no_proxy.iter().any(|entry| match entry {
            NoProxy::Everything => true,
            NoProxy::Net(net) => net.contains(&address.to_canonical()),
            NoProxy::Name(name) => match host.strip_suffix(name.as_str()) {
                Some(rest) => rest.is_empty() || rest.ends_with('.'),
                None => false,
            },
        })
    }
}

impl fmt::Debug for ProxyOptions {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyOptions")
            .field("kind", &self.kind)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("no_proxy", &self.no_proxy)
            .finish_non_exhaustive()
    }
}

impl NoProxy {
    /// `None` if it is empty.
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim();
        if let Ok(net) = entry.parse::<IpNet>() {
            return Some(Self::Net(net));
        }
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Some(Self::Net(address.into()));
        }
        match entry.trim_matches('.') {
            "" => None,
            "*" => Some(Self::Everything),
            name => Some(Self::Name(name.to_ascii_lowercase())),
        }
    }
}

impl Credentials {
    /// The userinfo of a URL, unescaped; `None` if it has none.
    pub(super) fn of(url: &Url) -> Option<Self> {
        if !has_credentials(url) {
            return None;
        }
        Some(Self {
            username: percent_decode_str(url.username()).collect(),
            password: percent_decode_str(url.password().unwrap_or_default()).collect(),
        })
    }

    /// As the value of an `authorization` header (RFC 7617).
    pub(super) fn to_basic(&self) -> String {
        let pair = [self.username.as_slice(), b":", self.password.as_slice()].concat();
        format!("Basic {}", BASE64.encode(pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_the_proxy() {
        let no_proxy =
            ["10.0.0.0/8", "192.0.2.7", ".Internal.example", "bare", " ", "2001:db8::/32"];
        let proxy = ProxyOptions::new("http://proxy:3128", &no_proxy.map(str::to_owned))
            .expect("a good proxy");
        for (host, address, through) in [
            ("a.test", "8.8.8.8", true),
            ("a.test", "10.1.2.3", false),
            ("a.test", "::ffff:10.1.2.3", false),
            ("a.test", "192.0.2.7", false),
            ("a.test", "192.0.2.8", true),
            ("a.test", "2001:db8::1", false),
            ("internal.example", "8.8.8.8", false),
            ("a.b.internal.example.", "8.8.8.8", false),
            ("notinternal.example", "8.8.8.8", true),
            ("bare", "8.8.8.8", false),
            ("bare.test", "8.8.8.8", true),
        ] {
            let address = address.parse().expect(address);
            assert_eq!(proxy.serves(host, address), through, "{host} at {address}");
        }
        let none = ProxyOptions::new("http://proxy", &["*".to_owned()]).expect("a good proxy");
        assert!(!none.serves("a.test", IpAddr::from([8, 8, 8, 8])));
    }

    #[test]
    fn urls_of_proxies() {
        for (url, kind, port) in [
            ("http://proxy.test", ProxyKind::Http, 80),
            ("https://[2001:db8::1]", ProxyKind::Https, 443),
            ("socks5://127.0.0.1", ProxyKind::Socks5, 1080),
            ("socks5h://u:p@proxy.test:99", ProxyKind::Socks5, 99),
        ] {
            let proxy = ProxyOptions::new(url, &[]).expect(url);
            assert_eq!((proxy.kind, proxy.port), (kind, port), "{url}");
        }
        for (url, error) in [
            ("proxy.test:3128", InvalidProxy::Scheme),
            ("ftp://proxy.test", InvalidProxy::Scheme),
            ("not a url", InvalidProxy::Url),
            ("socks5:nohost", InvalidProxy::Url),
            (&format!("http://{}@proxy", "u".repeat(256)), InvalidProxy::Credentials),
        ] {
            assert_eq!(ProxyOptions::new(url, &[]).err(), Some(error), "{url}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let proxy = ProxyOptions::new("http://me:hush@proxy.test", &[]).expect("a good proxy");
        let shown = format!("{proxy:?}");
        assert!(!shown.contains("hush") && !shown.contains("me:"), "{shown}");
    }
}
