//! Sealing of what the shim keeps: AES-256-GCM with a key of the one step or workload.
//!
//! The server derives that key from its own and the id, so nothing needs to be remembered to open a result after
//! a restart, and a result that was moved to another id does not open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// A key of 256 bits.
#[derive(Clone)]
pub struct SealKey(pub(crate) Zeroizing<[u8; 32]>);

impl SealKey {
    /// Takes the key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The key for one step or workload.
    pub(crate) fn derive(&self, id: &str) -> Self {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()),
            format!("podium shim {id}").as_bytes(),
        );
        let mut key = [0_u8; 32];
        key.copy_from_slice(tag.as_ref());
        Self::new(key)
    }

    /// A short name, 16 hexadecimal digits, for what nobody else with another key has.
    pub(crate) fn name(&self, about: &[u8]) -> String {
        use std::fmt::Write as _;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()), about);
        let mut name = String::with_capacity(16);
        for byte in tag.as_ref().iter().take(8) {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    fn aead(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, self.0.as_slice())
            .ok()
            .map(LessSafeKey::new)
    }

    /// Nonce, then ciphertext and tag.
    pub(crate) fn seal(&self, plain: &[u8], about: &str) -> Option<Vec<u8>> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut body = plain.to_vec();
        self.aead()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(about.as_bytes()),
                &mut body,
            )
            .ok()?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        Some(sealed)
    }

    /// What [`Self::seal`] was given, or nothing when key, name or bytes are not those.
    pub(crate) fn open(&self, sealed: &[u8], about: &str) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self
            .aead()?
            .open_in_place(nonce, Aad::from(about.as_bytes()), &mut body)
            .ok()?
            .len();
        body.truncate(length);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::SealKey;

    #[test]
    fn opens_only_with_the_same_key_name_and_bytes() {
        let key = SealKey::new([7; 32]);
        let mut sealed = key.derive("a").seal(b"result", "a").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"result"));
        assert_eq!(key.derive("a").open(&sealed, "a").unwrap().as_slice(), b"result");
        assert!(key.derive("a").open(&sealed, "b").is_none());
        assert!(key.derive("b").open(&sealed, "a").is_none());
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(key.derive("a").open(&sealed, "a").is_none());
        assert!(key.derive("a").open(b"short", "a").is_none());
    }
}
