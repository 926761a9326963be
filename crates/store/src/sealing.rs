//! Sealing: authenticated encryption, keyed digests and derived keys, all from keys that only this installation
//! holds.
//!
//! **Guarantees.** Sealed bytes open only in the context they were sealed for, and only unchanged (AES-256-GCM; key
//! id, domain and context are associated data). Three keys with one use each: the data key seals, the digest key
//! addresses (and never rotates, or equal content would change its address), the derivation key makes keys for
//! others. None is ever computed from another's output.
//!
//! **Refuses** a key id it does not hold, and anything that does not authenticate.
//!
//! **Rejected.** Deriving keys with the digest key: the digest of a blob whose content is the label would then be
//! the derived key. Counting nonces: a restored backup would repeat them; random ones allow some 2^32 seals for each
//! data key, and the key id in each seal lets a new data key take over.

use std::collections::BTreeMap;
use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::error::SealError;
use crate::types::BlobDigest;

/// A key of 256 bits, wiped when dropped.
pub(crate) type KeyBytes = Zeroizing<[u8; 32]>;

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 4 + NONCE_LEN;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Seals, digests and derives with the keys of one installation.
pub struct Sealer {
    data: BTreeMap<u32, LessSafeKey>,
    current: u32,
    digest: hmac::Key,
    derivation: hmac::Key,
    random: SystemRandom,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sealer")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer of these keys. The data key with the highest id seals; all of them open.
    pub(crate) fn new(
        data: &BTreeMap<u32, KeyBytes>,
        digest: &KeyBytes,
        derivation: &KeyBytes,
    ) -> Result<Self, SealError> {
        let mut keys = BTreeMap::new();
        for (id, bytes) in data {
            keys.insert(*id, aead_key(bytes)?);
        }
        let current = *keys.keys().next_back().ok_or(SealError::UnknownKey(0))?;
        Ok(Self {
            data: keys,
            current,
            digest: hmac::Key::new(hmac::HMAC_SHA256, &digest[..]),
            derivation: hmac::Key::new(hmac::HMAC_SHA256, &derivation[..]),
            random: SystemRandom::new(),
        })
    }

    /// A sealer whose keys all follow from `seed`: for simulation and tests, where digests must repeat.
    ///
    /// # Errors
    /// Never in practice; the signature follows the library that makes the keys.
    pub fn from_seed(seed: &[u8]) -> Result<Self, SealError> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, seed);
        let key = |label: &str| Zeroizing::new(tag_bytes(hmac::sign(&root, label.as_bytes())));
        Self::new(
            &BTreeMap::from([(1, key("data"))]),
            &key("digest"),
            &key("derivation"),
        )
    }

    /// Seals `plaintext` so that it opens only with the same `context`.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_in("context", context, plaintext)
    }

    /// Opens what [`Sealer::seal`] made.
    ///
    /// # Errors
    /// [`SealError::Damaged`] when the bytes were changed or sealed for another context.
    pub fn open_sealed(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.open_in("context", context, sealed).map(Zeroizing::new)
    }

    /// A key for another part of Podium, always the same for one label and installation.
    pub fn derive_key(&self, label: &str) -> [u8; 32] {
        tag_bytes(hmac::sign(&self.derivation, label.as_bytes()))
    }

    /// The address of `content` as a blob.
    pub fn digest(&self, content: &[u8]) -> BlobDigest {
        blob_digest(hmac::sign(&self.digest, content))
    }

    /// Begins the digest of content that comes in pieces.
    pub(crate) fn digester(&self) -> Digester {
        Digester(hmac::Context::with_key(&self.digest))
    }

    /// Seals within a domain, so that no outside context can be taken for one of the store's own.
    pub(crate) fn seal_in(
        &self,
        domain: &str,
        context: &str,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let key = self
            .data
            .get(&self.current)
            .ok_or(SealError::UnknownKey(self.current))?;
        let mut nonce = [0_u8; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        let mut sealed = Vec::with_capacity(HEADER + plaintext.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.current.to_le_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let body = sealed.get_mut(HEADER..).unwrap_or_default();
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated(self.current, domain, context)),
                body,
            )
            .map_err(|_| SealError::Damaged)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Sealer::seal_in`] made in the same domain and context.
    pub(crate) fn open_in(&self, domain: &str, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (header, body) = sealed.split_at_checked(HEADER).ok_or(SealError::Damaged)?;
        let (format, rest) = header.split_first().ok_or(SealError::Damaged)?;
        let (id, nonce) = rest.split_first_chunk::<4>().ok_or(SealError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
        if *format != FORMAT {
            return Err(SealError::Damaged);
        }
        let id = u32::from_le_bytes(*id);
        let key = self.data.get(&id).ok_or(SealError::UnknownKey(id))?;
        let mut body = body.to_vec();
        let length = key
            .open_in_place(nonce, Aad::from(associated(id, domain, context)), &mut body)
            .map_err(|_| SealError::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

/// A digest in the making.
pub(crate) struct Digester(hmac::Context);

impl Digester {
    /// Takes the next piece.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The address of all pieces together.
    pub(crate) fn finish(self) -> BlobDigest {
        blob_digest(self.0.sign())
    }
}

/// 256 random bits.
pub(crate) fn random_key() -> Result<KeyBytes, SealError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemRandom::new()
        .fill(&mut bytes[..])
        .map_err(|_| SealError::NoRandom)?;
    Ok(bytes)
}

/// A key of these bytes, when there are exactly as many as a key has.
pub(crate) fn key_from(bytes: &[u8]) -> Option<KeyBytes> {
    bytes.try_into().ok().map(Zeroizing::new)
}

/// Wraps one key by another.
pub(crate) fn wrap(master: &KeyBytes, context: &str, key: &KeyBytes) -> Result<Vec<u8>, SealError> {
    single(master)?.seal_in("wrap", context, &key[..])
}

/// Opens a wrapped key.
pub(crate) fn unwrap(master: &KeyBytes, context: &str, wrapped: &[u8]) -> Result<KeyBytes, SealError> {
    let bytes = Zeroizing::new(single(master)?.open_in("wrap", context, wrapped)?);
    key_from(&bytes).ok_or(SealError::Damaged)
}

/// A name for a key that tells nothing of it.
pub(crate) fn key_name(key: &KeyBytes) -> String {
    let name = tag_bytes(hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, &key[..]),
        b"podium master key name",
    ));
    hex(name.get(..8).unwrap_or_default())
}

/// A sealer in which the master key stands as the only data key; its other keys are never used.
fn single(master: &KeyBytes) -> Result<Sealer, SealError> {
    Sealer::new(&BTreeMap::from([(0, master.clone())]), master, master)
}

fn aead_key(bytes: &KeyBytes) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, &bytes[..])
        .map(LessSafeKey::new)
        .map_err(|_| SealError::Damaged)
}

fn associated(key: u32, domain: &str, context: &str) -> Vec<u8> {
    // The domain is one of ours and holds no zero byte, so the three parts cannot run into each other.
    let mut bytes = key.to_le_bytes().to_vec();
    bytes.extend_from_slice(domain.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(context.as_bytes());
    bytes
}

fn tag_bytes(tag: hmac::Tag) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    bytes
}

fn blob_digest(tag: hmac::Tag) -> BlobDigest {
    BlobDigest::from_bytes(&tag_bytes(tag))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_unchanged_and_in_its_context() {
        let sealer = Sealer::from_seed(b"one").unwrap();
        let sealed = sealer.seal("state/7", b"plaintext").unwrap();
        assert_eq!(
            sealer.open_sealed("state/7", &sealed).unwrap().as_slice(),
            b"plaintext"
        );
        assert_eq!(sealer.open_sealed("state/8", &sealed), Err(SealError::Damaged));
        assert_eq!(
            sealer.open_in("chunk", "state/7", &sealed),
            Err(SealError::Damaged)
        );
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(
                sealer.open_sealed("state/7", &changed).is_err(),
                "byte {place} may be changed unseen"
            );
            assert!(sealer.open_sealed("state/7", &sealed[..place]).is_err());
        }
        let other = Sealer::from_seed(b"two").unwrap();
        assert_eq!(other.open_sealed("state/7", &sealed), Err(SealError::Damaged));
        assert_ne!(
            sealed,
            sealer.seal("state/7", b"plaintext").unwrap(),
            "nonces repeat"
        );
    }

    #[test]
    fn digests_and_derived_keys_are_stable_and_apart() {
        let sealer = Sealer::from_seed(b"one").unwrap();
        let mut digester = sealer.digester();
        digester.update(b"sh");
        digester.update(b"im");
        assert_eq!(digester.finish(), sealer.digest(b"shim"));
        assert_ne!(hex(&sealer.derive_key("shim")), sealer.digest(b"shim").as_str());
        assert_ne!(sealer.derive_key("shim"), sealer.derive_key("shim2"));
        assert_ne!(
            sealer.digest(b"shim"),
            Sealer::from_seed(b"two").unwrap().digest(b"shim")
        );
    }

    #[test]
    fn a_wrapped_key_opens_with_its_master_alone() {
        let (master, key) = (random_key().unwrap(), random_key().unwrap());
        let wrapped = wrap(&master, "data/1", &key).unwrap();
        assert_eq!(unwrap(&master, "data/1", &wrapped).unwrap(), key);
        assert!(unwrap(&master, "data/2", &wrapped).is_err());
        assert!(unwrap(&random_key().unwrap(), "data/1", &wrapped).is_err());
    }
}
