//! Who sends webhooks, and how to tell their requests from anyone else's.
//!
//! A [`Provider`] is a row of data ([`row::Row`]) that one small engine follows: where the signature
//! stands, how it is taken apart, what is signed, how the key is written, how old it may be, where the
//! event's id and type are, what the sender asks first and how it wants to be answered. The
//! [`catalogue`] holds those that are known; [`Provider::custom`] takes one from JSON. What no row can
//! say is in `code/`, one file each.
//!
//! Pure: no I/O (but for [`vectors::check`], which reads files), no clock, no randomness of its own.
//! The time is an argument; keys that must be fetched are asked for ([`Verdict::NeedsKey`]), fetched
//! by the caller, and given back in [`Keys`].
//!
//! ```
//! use domain::clock::Timestamp;
//! use hookwright_providers::{Keys, Request, Sample, Secret, Verdict, catalogue};
//!
//! let github = catalogue::find("github").expect("in the catalogue");
//! let secret = Secret::new("It's a Secret to Everybody");
//! let now = Timestamp::from_secs(1_767_225_600);
//!
//! // A test event, as GitHub would sign it.
//! let sample = Sample {
//!     url: "https://receiver.example/in".to_owned(),
//!     id: "72d3162e".to_owned(),
//!     event_type: "push".to_owned(),
//!     body: None,
//! };
//! let made = github.sign(&sample, &secret, now)?;
//!
//! let headers: Vec<(&str, &[u8])> =
//!     made.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
//! let request =
//!     Request { method: made.method, url: &made.url, headers: &headers, body: &made.body };
//! match github.verify(&request, &[secret], now, &Keys::new()) {
//!     Verdict::Genuine(event) => assert_eq!(event.event_type.as_deref(), Some("push")),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), hookwright_providers::SignError>(())
//! ```
//!
//! # In what order
//!
//! 1. [`Provider::verify`] on the raw bytes, before anything else is done with the request.
//! 2. [`Provider::challenge`] with what came out: it may be a question, which is answered and goes no
//!    further.
//! 3. Only what is [`Verdict::Genuine`] is an event. Its id tells duplicates, but where
//!    [`row::Row::event_id_signed`] is false, the id is not among what the signature covers.
//! 4. [`Provider::ack`] once it is kept.
//!
//! # What holds
//!
//! - Secrets and signatures are compared in constant time; no message repeats either.
//! - A timestamp may be as far in the future as in the past, and no further: many official libraries
//!   look only back.
//! - Nothing is re-serialised. Versions of signatures that are not known are passed over, never
//!   taken for one that is.
//! - Everything is bounded: headers 16 KiB, signatures 128, secrets 16, form fields 2,000, JSON 8 MiB,
//!   XML 64 deep, ids and types 256 bytes. No input makes it panic.

pub mod catalogue;
pub mod doctor;
pub mod row;
pub mod source;
pub mod vectors;

mod body;
mod challenge;
mod code;
mod encoding;
mod keys;
mod moment;
mod provider;
mod request;
mod sample;
mod secret;
mod verdict;
mod verify;
mod view;

pub use challenge::{Effect, Reply};
pub use keys::{KeyKind, KeyUrl, Keys, LONGEST_KEY};
pub use provider::Provider;
pub use request::{LONGEST_HEADER, Request};
pub use row::RowError;
pub use sample::{Sample, SignError, SignedRequest};
pub use secret::Secret;
pub use verdict::{Genuine, Reason, Verdict};
