//! Plaintext of a secret, while it is on its way to a declared sink.
//!
//! It has no `Display`, prints as `(secret)` in `Debug`, cannot be serialised, and is wiped when dropped. The one
//! way to the text is [`Secret::expose`], so every sink can be found by searching for that word.

use std::fmt;

use serde_json::Value as Json;
use zeroize::Zeroizing;

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, to write to a declared sink and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// JSON with its secrets in plaintext, on its way to a declared sink, and the list of those secrets, so that whoever
/// writes logs beside it can mask them.
#[derive(Clone, Default)]
pub struct Revealed {
    json: Json,
    secrets: Vec<Secret>,
}

impl Revealed {
    /// Takes the JSON and the secrets in it.
    pub fn new(json: Json, secrets: Vec<Secret>) -> Self {
        Self { json, secrets }
    }

    /// The JSON, to write to a declared sink and nowhere else.
    pub fn expose(&self) -> &Json {
        &self.json
    }

    /// The secrets in it, to mask.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(revealed)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_nothing_of_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "(secret)");
    }
}
