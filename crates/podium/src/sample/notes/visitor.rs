//! The signed cookie that remembers a visitor's name.
//!
//! `visitor=NAME.SIGNATURE`, both as base64 for URLs; the signature is HMAC-SHA256 over the cookie's purpose and the
//! name. It is no sign-in: whoever has the cookie has the name. It shows that the secret resource is really used, and
//! a cookie that was made up, or signed by another environment's key, is not believed.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

const COOKIE: &str = "visitor";
/// Bytes of the longest cookie value that is looked at.
const COOKIE_LIMIT: usize = 1_024;
/// Keeps a signature from being valid for anything else that this key may sign one day.
const PURPOSE: &[u8] = b"podium sample notes: visitor\n";
/// Seconds that a browser keeps the cookie: 30 days.
const KEPT_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Signs names and believes only its own signatures.
pub(super) struct Signer {
    key: hmac::Key,
}

impl Signer {
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The value of `Set-Cookie`; one that ends the cookie when the name is empty.
    pub(super) fn cookie(&self, name: &str) -> String {
        let attributes = "Path=/; HttpOnly; SameSite=Lax";
        if name.is_empty() {
            return format!("{COOKIE}=; Max-Age=0; {attributes}");
        }
        let signature = hmac::sign(&self.key, &signed(name.as_bytes()));
        format!(
            "{COOKIE}={}.{}; Max-Age={KEPT_SECONDS}; {attributes}",
            URL_SAFE_NO_PAD.encode(name),
            URL_SAFE_NO_PAD.encode(signature)
        )
    }

    /// The name in a request's cookie, if it is there and was signed here.
    pub(super) fn name_in(&self, headers: &HeaderMap) -> Option<String> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
            .find_map(|value| self.verify(value))
    }

    fn verify(&self, value: &str) -> Option<String> {
        if value.len() > COOKIE_LIMIT {
            return None;
        }
        let (name, signature) = value.split_once('.')?;
        let name = URL_SAFE_NO_PAD.decode(name).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, &signed(&name), &signature).ok()?;
        String::from_utf8(name).ok()
    }
}

fn signed(name: &[u8]) -> Vec<u8> {
    [PURPOSE, name].concat()
}
