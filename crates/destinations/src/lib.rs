//! Where messages go: the kinds of [`domain::destination::Destination`]. Today there is one, the
//! webhook over HTTP/1.1 ([`http::HttpDestination`]).
//!
//! [`guard`] says which addresses may be dialled at all; `http/dial.rs` is the only place that opens
//! a socket, and asks the guard about each address it dials.

pub mod guard;
pub mod http;
