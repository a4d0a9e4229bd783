//! Secrets at rest: sealed with AES-256-GCM under a key of a ring. A ciphertext carries algorithm and
//! key id, so that keys can be rotated; what it belongs to is authenticated with it, so that it cannot
//! be moved to another row.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
};
use domain::entropy::Entropy;

use crate::StoreError;

/// First byte of a sealed value: AES-256-GCM, 4-byte key id, 12-byte nonce.
const ALGORITHM: u8 = 1;
const HEAD_BYTES: usize = 1 + 4 + NONCE_LEN;

/// The master keys: the newest seals, all open.
pub struct Vault {
    keys: BTreeMap<u32, LessSafeKey>,
    newest: u32,
    entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// A ring of one or more keys of 32 bytes. The last one seals.
    pub fn new(keys: &[[u8; 32]], entropy: Arc<dyn Entropy>) -> Result<Self, StoreError> {
        let newest = keys.last().map(key_id);
        let keys = keys.iter().map(|key| {
            let unbound = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key");
            (key_id(key), LessSafeKey::new(unbound))
        });
        let newest = newest.ok_or_else(|| StoreError::Internal("no master key".into()))?;
        Ok(Self { keys: keys.collect(), newest, entropy })
    }

    /// The id of the key that seals.
    pub fn newest(&self) -> u32 {
        self.newest
    }

    /// Seals `plain`, bound to `owner`.
    pub fn seal(&self, owner: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(HEAD_BYTES + plain.len() + 16);
        sealed.push(ALGORITHM);
        sealed.extend_from_slice(&self.newest.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        self.keys[&self.newest]
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner),
                &mut body,
            )
            .expect("far below the size limit of AES-GCM");
        sealed.append(&mut body);
        sealed
    }

    /// Opens what was sealed for `owner`.
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::Corrupt("a sealed value does not open".into());
        if sealed.len() < HEAD_BYTES || sealed[0] != ALGORITHM {
            return Err(damaged());
        }
        let id = Self::key_of(sealed).ok_or_else(damaged)?;
        let key = self.keys.get(&id).ok_or_else(|| {
            StoreError::Corrupt(format!("a value is sealed with key {id:08x}, which was not given"))
        })?;
        let nonce =
            Nonce::try_assume_unique_for_key(&sealed[5..HEAD_BYTES]).map_err(|_| damaged())?;
        let mut body = sealed[HEAD_BYTES..].to_vec();
        let plain = key.open_in_place(nonce, Aad::from(owner), &mut body).map_err(|_| damaged())?;
        let len = plain.len();
        body.truncate(len);
        Ok(body)
    }

    /// Seals with the newest key what was sealed for `owner`; `None` if it is already.
    pub fn reseal(&self, owner: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if Self::key_of(sealed) == Some(self.newest) {
            return Ok(None);
        }
        Ok(Some(self.seal(owner, &self.open(owner, sealed)?)))
    }

    /// The key that a value is sealed with.
    pub fn key_of(sealed: &[u8]) -> Option<u32> {
        sealed.get(1..5).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes)
    }
}

/// Names a key without telling anything of it.
fn key_id(key: &[u8; 32]) -> u32 {
    let hash = digest::digest(&digest::SHA256, &[b"hookwright key id", key.as_slice()].concat());
    u32::from_be_bytes(hash.as_ref()[..4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::entropy::SeededEntropy;

    #[test]
    fn opens_only_for_its_owner_and_with_its_key() {
        let entropy = Arc::new(SeededEntropy::new(1));
        let old = Vault::new(&[[1; 32]], entropy.clone()).expect("ring");
        let both = Vault::new(&[[1; 32], [2; 32]], entropy.clone()).expect("ring");
        let new = Vault::new(&[[2; 32]], entropy).expect("ring");
        let sealed = old.seal(b"ep_1", b"secret");
        assert_eq!(old.open(b"ep_1", &sealed), Ok(b"secret".to_vec()));
        assert!(old.open(b"ep_2", &sealed).is_err());
        assert_eq!(both.open(b"ep_1", &sealed), Ok(b"secret".to_vec()));
        assert!(new.open(b"ep_1", &sealed).is_err());
        let again = both.seal(b"ep_1", b"secret");
        assert!(new.open(b"ep_1", &again).is_ok());
        for i in 0..again.len() {
            let mut torn = again.clone();
            torn[i] ^= 1;
            assert!(new.open(b"ep_1", &torn).is_err(), "byte {i}");
        }
        assert!(new.open(b"ep_1", &[]).is_err());
    }
}
