//! Bearer tokens.

use async_trait::async_trait;
use http::{HeaderMap, header};
use ring::hmac;
use ring::rand::SystemRandom;

use crate::seams::{Authentication, Authenticator, Principal};

/// Longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 4096;

/// A token and whom it stands for.
pub struct Token {
    /// The secret.
    pub secret: String,
    /// Who bears it.
    pub principal: Principal,
}

/// Knows a fixed set of tokens. Only keyed digests of them are kept, and all are compared in constant time, so that
/// neither memory nor timing gives one away.
pub struct TokenAuthenticator {
    key: hmac::Key,
    known: Vec<(hmac::Tag, Principal)>,
}

impl TokenAuthenticator {
    /// An authenticator for these tokens.
    ///
    /// # Errors
    /// When the machine gives no random bytes.
    pub fn new(tokens: impl IntoIterator<Item = Token>) -> std::io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| std::io::Error::other("the machine gives no random bytes"))?;
        let known = tokens
            .into_iter()
            .map(|token| (hmac::sign(&key, token.secret.as_bytes()), token.principal))
            .collect();
        Ok(Self { key, known })
    }
}

#[async_trait]
impl Authenticator for TokenAuthenticator {
    async fn authenticate(&self, headers: &HeaderMap) -> Authentication {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Authentication::Anonymous;
        };
        let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')) else {
            return Authentication::Invalid;
        };
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.len() > MAX_TOKEN_BYTES {
            return Authentication::Invalid;
        }
        let mut found = Authentication::Invalid;
        for (tag, principal) in &self.known {
            // All are compared, so that the time taken does not tell which one it was.
            if hmac::verify(&self.key, token.as_bytes(), tag.as_ref()).is_ok() {
                found = Authentication::Principal(principal.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_bearers_strangers_and_liars_apart() {
        let principal = Principal {
            name: "ann".to_owned(),
            groups: vec!["team".to_owned()],
        };
        let tokens = [Token {
            secret: "s3cret".to_owned(),
            principal: principal.clone(),
        }];
        let authenticator = TokenAuthenticator::new(tokens).expect("random bytes");
        for (value, expected, why) in [
            (None, Authentication::Anonymous, "claims nothing"),
            (
                Some("Bearer s3cret"),
                Authentication::Principal(principal.clone()),
                "right",
            ),
            (
                Some("bearer  s3cret "),
                Authentication::Principal(principal),
                "schemes know no case",
            ),
            (
                Some("Bearer s3cre"),
                Authentication::Invalid,
                "a part is not enough",
            ),
            (Some("Bearer "), Authentication::Invalid, "empty"),
            (Some("Basic s3cret"), Authentication::Invalid, "another scheme"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::AUTHORIZATION, value.parse().expect("header"));
            }
            assert_eq!(authenticator.authenticate(&headers).await, expected, "{why}");
        }
    }
}
