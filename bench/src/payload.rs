//! What is sent: JSON of a given size that names its run and its number.
use aws_lc_rs::hmac;
use bytes::Bytes;
use std::fmt::Write as _;

const POOL_BYTES: usize = 1 << 20;

/// Random text that messages take their padding from, so that it neither compresses nor costs
/// CPU time while sending.
pub struct Payloads {
    pool: Vec<u8>,
    bytes: usize,
}

impl Payloads {
    /// Payloads of about `bytes` bytes each.
    pub fn new(bytes: usize) -> Self {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        let alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        let pool = (0..POOL_BYTES + bytes)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                alphabet[(x >> 40) as usize % 64]
            })
            .collect();
        Self { pool, bytes }
    }

    /// The bare payload of message `i`.
    pub fn payload(&self, run: u64, i: usize) -> String {
        let head = format!("{{\"lg_r\":{run},\"lg_i\":{i},\"pad\":\"");
        let pad = self.bytes.saturating_sub(head.len() + 2);
        let at = i.wrapping_mul(2_654_435_761) % POOL_BYTES;
        let text = std::str::from_utf8(&self.pool[at..at + pad]).expect("the alphabet is ASCII");
        format!("{head}{text}\"}}")
    }

    /// The body of the request that creates message `i`, to be delivered at `deliver_at` if given.
    pub fn message(&self, run: u64, i: usize, deliver_at: Option<jiff::Timestamp>) -> Bytes {
        let payload = self.payload(run, i);
        match deliver_at {
            None => format!("{{\"eventType\":\"load.test\",\"payload\":{payload}}}"),
            Some(at) => format!(
                "{{\"eventType\":\"load.test\",\"deliverAt\":\"{at:.6}\",\"payload\":{payload}}}"
            ),
        }
        .into()
    }
}

/// A fresh key in the form that the official clients make: `auto_` and a version 4 UUID.
pub fn idempotency_key(run: u64, i: usize) -> String {
    let (a, b) = (mix(run ^ (i as u64).rotate_left(40)), mix(i as u64 ^ run.rotate_left(17)));
    format!(
        "auto_{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | (b >> 48) & 0x3fff,
        b & 0xffff_ffff_ffff
    )
}

/// The secret of all sources.
pub const SECRET: &str = "a secret of the load generator, and of nobody else";

/// The signature that GitHub sends with a body (`X-Hub-Signature-256`).
pub fn signature(key: &hmac::Key, body: &[u8]) -> String {
    let mut text = String::from("sha256=");
    for byte in hmac::sign(key, body).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// SplitMix64's output function: every input has its own output, and they look random.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_uuids_and_differ() {
        let keys: std::collections::HashSet<_> =
            (0..10_000).map(|i| idempotency_key(7, i)).collect();
        assert_eq!(keys.len(), 10_000);
        for key in keys.iter().take(100) {
            let uuid = key.strip_prefix("auto_").expect("prefix");
            let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{key}");
            assert_eq!(&uuid[14..15], "4", "{key}");
            assert!("89ab".contains(&uuid[19..20]), "{key}");
        }
    }

    #[test]
    fn a_message_is_json_of_the_size() {
        let payloads = Payloads::new(1024);
        let at = "2026-01-02T03:04:05Z".parse().expect("time");
        let body = payloads.message(5, 3, Some(at));
        let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(value["payload"]["lg_i"], 3);
        assert_eq!(value["deliverAt"], "2026-01-02T03:04:05.000000Z");
        assert_eq!(payloads.payload(5, 3).len(), 1024);
    }
}
