//! Ports to listen on.
use anyhow::{Context, Result};
use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Below the range from which Linux gives ports to outgoing connections: a server that is down for a
/// while finds its port free again, and whoever dials it meanwhile is never connected to itself.
const LOWEST: u64 = 12_000;
const COUNT: u64 = 20_000;

/// A loopback address that was free a moment ago. Where the search begins is by chance, so that two
/// that search one after the other do not find the same.
pub fn free_address() -> Result<SocketAddr> {
    let start = RandomState::new().hash_one(0) % COUNT;
    let ports = (0..COUNT).map(|step| LOWEST + (start + step) % COUNT);
    let listener = ports
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, u16::try_from(port).ok()?)).ok())
        .next()
        .context("no port is free")?;
    Ok(listener.local_addr()?)
}
