//! Ports to listen on.
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::{Ipv4Addr, TcpListener},
};

/// Below the range from which Linux gives ports to outgoing connections (32768 and up). A server
/// that is down for a while thus finds its port free again, and a client that keeps dialling a
/// port nobody listens on is never given that very port and connected to itself.
const LOWEST: u64 = 12_000;
const COUNT: u64 = 20_000;

/// Listens on a free port of 127.0.0.1. Where the search begins is by chance, so that test
/// processes that run at the same time do not race for the same ports.
pub(crate) fn listen() -> TcpListener {
    let start = RandomState::new().build_hasher().finish() % COUNT;
    (0..COUNT)
        .map(|step| u16::try_from(LOWEST + (start + step) % COUNT).expect("below 32768"))
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .expect("one of 20000 ports of 127.0.0.1 is free")
}

/// A port that was free a moment ago.
pub(crate) fn free() -> u16 {
    listen().local_addr().expect("a bound socket has an address").port()
}
