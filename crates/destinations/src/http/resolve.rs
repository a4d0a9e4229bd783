//! From names to addresses.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    net::{DnsError, NetError},
    proto::rr::Name,
};

/// How long one question to one name server may take. A question is asked twice at most.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time that an answer is kept, whatever its TTL says: a moved receiver is found again
/// within it.
const MAX_TTL: Duration = Duration::from_secs(60);

/// Longest time that "no such name" is kept.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(10);

/// How many answers are kept.
const CACHED_NAMES: u64 = 8192;

/// Finds the addresses of a name. Whoever calls it judges each of them before use.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, best first.
    ///
    /// # Errors
    /// There is none, or it cannot be found out.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError>;
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is no such name, or it has no address.
    #[error("no such name")]
    NotFound,
    /// The name servers did not answer, or with an error.
    #[error("{0}")]
    Failed(String),
}

/// Resolves by the name servers and the hosts file of the system, with a cache of its own. Names are
/// taken as they are: the system's search domains are not tried behind them.
pub struct HickoryResolver(TokioResolver);

impl HickoryResolver {
    /// As the system is set up. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The system's settings (`/etc/resolv.conf`) cannot be read.
    pub fn from_system() -> Result<Self, ResolveError> {
        let failed = |error: NetError| ResolveError::Failed(error.to_string());
        let mut builder = TokioResolver::builder_tokio().map_err(failed)?;
        let options = builder.options_mut();
        options.timeout = QUERY_TIMEOUT;
        options.attempts = 2;
        options.cache_size = CACHED_NAMES;
        options.positive_max_ttl = Some(MAX_TTL);
        options.negative_max_ttl = Some(MAX_NEGATIVE_TTL);
        Ok(Self(builder.build().map_err(failed)?))
    }
}

#[async_trait]
impl Resolve for HickoryResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match self.0.lookup_ip(qualified(host)?).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Err(ResolveError::NotFound),
            Err(NetError::Timeout) => {
                Err(ResolveError::Failed("the name servers did not answer in time".to_owned()))
            }
            Err(error) => Err(ResolveError::Failed(error.to_string())),
        }
    }
}

/// The whole name. Otherwise a name of a customer's could lead to one of ours: `wiki.internal` to
/// `wiki.internal.corp.example`.
fn qualified(host: &str) -> Result<Name, ResolveError> {
    let mut name = Name::from_utf8(host).map_err(|_| ResolveError::NotFound)?;
    name.set_fqdn(true);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The resolver tries search domains behind any other name.
    #[test]
    fn names_are_whole() {
        for host in ["hooks.example", "hooks.example.", "localhost", "xn--bcher-kva.example"] {
            let name = qualified(host).expect(host);
            assert!(name.is_fqdn());
            assert_eq!(name.to_ascii(), format!("{}.", host.trim_end_matches('.')));
        }
        assert_eq!(qualified(&"a".repeat(64)), Err(ResolveError::NotFound));
    }

    /// Without asking anybody: the name of the host itself is never looked up on the network.
    #[tokio::test]
    async fn localhost_is_known() {
        let resolver = HickoryResolver::from_system().expect("a system with name servers");
        let found = resolver.resolve("localhost").await.expect("its addresses");
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
