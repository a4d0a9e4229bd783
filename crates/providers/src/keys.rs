use std::{collections::HashMap, fmt};

/// What is behind a key's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A JSON Web Key Set (RFC 7517).
    Jwks,
    /// An X.509 certificate in PEM.
    Certificate,
    /// A public key in PEM.
    PublicKey,
}

/// Where a key is that must be fetched. Always `https`, without credentials, on port 443, and at a
/// host that the provider's rules pin. The caller fetches it through its guard against private
/// addresses, follows no redirect, and keeps it: certificates for a day, key sets for minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUrl {
    /// The address.
    pub url: String,
    /// What it answers.
    pub kind: KeyKind,
}

/// Keys that have been fetched, by address. A key set that lacks a key id gives
/// [`Reason::UnknownKey`](crate::Reason::UnknownKey): fetch it again if it is old, not at each request.
#[derive(Clone, Default)]
pub struct Keys(HashMap<String, Vec<u8>>);

/// A fetched key is not looked at if it is longer than this, in bytes.
pub const LONGEST_KEY: usize = 256 * 1024;

impl Keys {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what an address answered, or replaces it.
    pub fn insert(&mut self, url: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(url.into(), content.into());
    }

    /// What an address answered.
    pub fn get(&self, url: &str) -> Option<&[u8]> {
        self.0.get(url).map(Vec::as_slice).filter(|k| k.len() <= LONGEST_KEY)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether an address may be asked for a key: `https`, no credentials, port 443, a host that fits.
pub(crate) fn pinned(url: &str, host_fits: impl Fn(&str) -> bool) -> Option<url::Url> {
    if url.len() > 2_048 {
        return None;
    }
    let parsed = url::Url::parse(url).ok()?;
    let plain = parsed.scheme() == "https"
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.port().is_none()
        && parsed.fragment().is_none();
    (plain && parsed.host_str().is_some_and(host_fits)).then_some(parsed)
}
