//! Where messages go: the kinds of [`domain::destination::Destination`]. A webhook over HTTP/1.1
//! ([`http::HttpDestination`]), or a listener that came to us ([`listen::Listeners`]).
//!
//! [`guard`] says which addresses may be dialled at all; `http/dial.rs` is the only place that opens
//! a socket, and asks the guard about each address it dials.

pub mod guard;
pub mod http;
pub mod listen;
