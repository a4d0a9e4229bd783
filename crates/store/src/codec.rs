//! Bodies as they are stored: compressed where it pays. Done in the caller's task, beside the
//! writer.

use std::{cell::RefCell, sync::LazyLock};

use bytes::Bytes;
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

use crate::StoreError;

/// Made from synthetic webhooks by `cargo run -p hookwright-store --example
/// train_dictionary`. It never changes: a better one gets a codec of its own beside it.
static DICTIONARY: &[u8] = include_bytes!("../dictionary.bin");
/// The fastest: higher ones cost more than the pages they save.
const LEVEL: i32 = 1;
/// Smaller bodies are stored as they are.
const MIN_BYTES: usize = 64;
/// What a stored body may say it unpacks to: the largest body there is, with room.
const MAX_BYTES: usize = 64 << 20;

/// As it is.
const RAW: u8 = 0;
/// zstd with [`DICTIONARY`].
const ZSTD_1: u8 = 1;

/// A body, ready to be written.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Names algorithm and dictionary.
    pub codec: u8,
    /// What is stored.
    pub bytes: Bytes,
}

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Bytes of a body that are looked at to see whether it is worth the work.
const SAMPLE_BYTES: usize = 256;
/// As many different bytes, equally frequent, as make a body look like random text. JSON has some 20,
/// base64 has 64 and would shrink by a quarter at four times the work.
const RANDOM_SYMBOLS: usize = 40;

/// Whether there is little to be gained: the chance that two bytes of the body are the same is as
/// small as that of random text.
fn looks_random(body: &[u8]) -> bool {
    let step = (body.len() / SAMPLE_BYTES).max(1);
    let mut counts = [0_u32; 256];
    let mut sampled = 0;
    for byte in body.iter().step_by(step).take(SAMPLE_BYTES) {
        counts[usize::from(*byte)] += 1;
        sampled += 1;
    }
    let pairs: u32 = counts.iter().map(|count| count * count).sum();
    sampled * sampled > RANDOM_SYMBOLS * pairs as usize
}

/// Compresses `body` if that saves a tenth of it.
pub fn encode(body: &Bytes) -> Encoded {
    let raw = Encoded { codec: RAW, bytes: body.clone() };
    if body.len() < MIN_BYTES || looks_random(body) {
        return raw;
    }
    let compressed = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::with_prepared_dictionary(&ENCODER).ok();
        }
        slot.as_mut().and_then(|compressor| compressor.compress(body).ok())
    });
    match compressed {
        Some(bytes) if bytes.len() <= body.len() - body.len() / 10 => {
            Encoded { codec: ZSTD_1, bytes: bytes.into() }
        }
        _ => raw,
    }
}

/// Unpacks what [`encode`] made.
pub fn decode(codec: u8, stored: &[u8]) -> Result<Bytes, StoreError> {
    let damaged = |what: &dyn std::fmt::Display| StoreError::Corrupt(format!("a payload: {what}"));
    match codec {
        RAW => Ok(Bytes::copy_from_slice(stored)),
        ZSTD_1 => DECOMPRESSOR.with_borrow_mut(|slot| {
            let bound = Decompressor::upper_bound(stored).unwrap_or(MAX_BYTES).min(MAX_BYTES);
            let decompressor = match slot {
                Some(decompressor) => decompressor,
                None => slot.insert(
                    Decompressor::with_prepared_dictionary(&DECODER).map_err(|e| damaged(&e))?,
                ),
            };
            decompressor.decompress(stored, bound).map(Bytes::from).map_err(|e| damaged(&e))
        }),
        other => Err(damaged(&format_args!("unknown codec {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use domain::entropy::{Entropy, SeededEntropy};

    use super::*;

    #[test]
    fn gives_back_what_was_put_in() {
        let entropy = SeededEntropy::new(7);
        for len in [0, 1, 63, 64, 65, 1_000, 100_000, 1 << 20] {
            let mut noise = vec![0; len];
            entropy.fill(&mut noise);
            let text: Vec<u8> = br#"{"type":"invoice.paid","data":{"id":"in_1","amount":1200}}"#
                .iter()
                .copied()
                .cycle()
                .take(len)
                .collect();
            for body in [Bytes::from(noise), Bytes::from(text)] {
                let encoded = encode(&body);
                assert!(encoded.bytes.len() <= body.len());
                assert_eq!(decode(encoded.codec, &encoded.bytes), Ok(body));
            }
        }
    }

    #[test]
    fn compresses_json_and_leaves_noise_alone() {
        let json = Bytes::from_static(
            br#"{"id":"evt_8fK2","object":"event","type":"customer.created","created":1790000000,
            "data":{"object":{"id":"cus_9","email":"jo@example.com","name":"Jo Doe"}}}"#,
        );
        let encoded = encode(&json);
        assert_eq!(encoded.codec, ZSTD_1);
        assert!(encoded.bytes.len() < json.len() * 7 / 10, "{} bytes", encoded.bytes.len());
        let mut noise = vec![0; 1_024];
        SeededEntropy::new(1).fill(&mut noise);
        assert_eq!(encode(&noise.clone().into()).codec, RAW);
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let base64: Vec<u8> = noise.iter().map(|byte| ALPHABET[usize::from(byte & 63)]).collect();
        assert!(looks_random(&base64));
        assert!(!looks_random(&json));
    }

    #[test]
    fn says_what_is_damaged() {
        let body = Bytes::from(vec![b'a'; 1_000]);
        let encoded = encode(&body);
        assert!(matches!(decode(9, b"x"), Err(StoreError::Corrupt(_))));
        assert!(matches!(decode(ZSTD_1, b"not zstd"), Err(StoreError::Corrupt(_))));
        assert!(decode(ZSTD_1, &encoded.bytes[..encoded.bytes.len() - 1]).is_err());
    }
}
