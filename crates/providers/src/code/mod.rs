//! Verifiers that no row can express, each in a file of its own.

mod adobe_io;
mod adyen;
mod apple;
mod aws_sns;
mod braintree;
mod contentful;
mod easypost;
mod messagebird;
mod paddle_classic;
mod paypal;
mod plivo;

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use domain::clock::Timestamp;

pub(crate) use aws_sns::confirmation;
pub(crate) use braintree::key as braintree_key;
pub(crate) use contentful::path as contentful_path;
pub(crate) use messagebird::query as messagebird_query;
pub(crate) use plivo::signed_url as plivo_url;

use crate::{
    Keys, Reason, Secret,
    row::Code,
    verdict::{Proof, Unproven},
    view::View,
};

/// What a named verifier is given.
pub(crate) struct Given<'g> {
    pub(crate) view: &'g View<'g>,
    pub(crate) secrets: &'g [Secret],
    pub(crate) settings: &'g BTreeMap<String, String>,
    pub(crate) now: Timestamp,
    pub(crate) keys: &'g Keys,
    pub(crate) tolerance_s: Option<u32>,
}

impl Given<'_> {
    /// A setting; empty if it is not set, which the engine has ruled out where it is needed.
    pub(crate) fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.view.request.header_text(name)
    }
}

pub(crate) fn verify(code: Code, given: &Given<'_>) -> Result<Proof, Unproven> {
    match code {
        Code::AwsSns => aws_sns::verify(given),
        Code::Adyen => Ok(adyen::verify(given)?),
        Code::Braintree => Ok(braintree::verify(given)?),
        Code::Contentful => Ok(contentful::verify(given)?),
        Code::PayPal => paypal::verify(given),
        Code::MessageBird => Ok(messagebird::verify(given)?),
        Code::PlivoV3 => Ok(plivo::verify(given)?),
        Code::PaddleClassic => Ok(paddle_classic::verify(given)?),
        Code::AdobeIo => adobe_io::verify(given),
        Code::Apple => Ok(apple::verify(given)?),
        Code::EasyPost => Ok(easypost::verify(given)?),
    }
}

/// HMAC-SHA256 of pieces.
pub(crate) fn sha256(key: &[u8], pieces: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    pieces.iter().for_each(|piece| context.update(piece));
    context.sign()
}

/// Whether two byte strings are equal, in constant time.
fn equal(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// The first secret that proves it.
fn by_secret(
    secrets: &[Secret],
    proves: impl Fn(&Secret) -> Result<bool, Reason>,
) -> Result<usize, Reason> {
    let mut why = Reason::NoSecret;
    for (index, secret) in secrets.iter().enumerate() {
        match proves(secret) {
            Ok(true) => return Ok(index),
            Ok(false) => why = Reason::Mismatch,
            Err(reason) if why == Reason::NoSecret => why = reason,
            Err(_) => {}
        }
    }
    Err(why)
}
