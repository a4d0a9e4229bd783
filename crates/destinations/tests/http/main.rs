//! The webhook destination against receivers, proxies and name servers that behave and that do not,
//! all on this host.
#![expect(clippy::disallowed_methods, reason = "receivers under test are tasks with sockets")]

mod abuse;
mod addresses;
mod connections;
mod proxy;
mod requests;
mod support;
mod tls;
