//! Masking by value: every secret that work was given is replaced in its lines, in clear and in the encodings in
//! which programs commonly print it.
//!
//! A secret of one or two characters is not masked, since that would blank the log without hiding anything. Each
//! line of a secret of several lines is masked by itself when it has six characters or more, because logs go line
//! by line.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use podium_model::secret::Secret;
use zeroize::Zeroizing;

/// What stands where a secret stood.
pub(crate) const MASK: &[u8] = b"(secret)";
/// A secret with fewer bytes is not masked.
const SHORTEST: usize = 3;
/// A line of a longer secret with fewer bytes is not masked by itself.
const SHORTEST_LINE: usize = 6;

/// Replaces secrets in lines.
pub(crate) struct Masker {
    automaton: Option<AhoCorasick>,
    longest: usize,
}

impl Masker {
    pub(crate) fn new(secrets: &[Secret]) -> Self {
        let mut patterns: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in secrets {
            let text = secret.expose();
            add_forms(&mut patterns, text, SHORTEST);
            if text.contains('\n') {
                for line in text.lines() {
                    add_forms(&mut patterns, line.trim(), SHORTEST_LINE);
                }
            }
        }
        patterns.sort_by(|one, other| one.as_slice().cmp(other.as_slice()));
        patterns.dedup();
        let longest = patterns.iter().map(|pattern| pattern.len()).max().unwrap_or(0);
        let automaton = if patterns.is_empty() {
            None
        } else {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(patterns.iter().map(|pattern| pattern.as_slice()))
                .ok()
        };
        Self { automaton, longest }
    }

    /// The length of the longest form of any secret: what must be seen past a cut to cut safely.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn mask(&self, line: &[u8]) -> Vec<u8> {
        let Some(automaton) = &self.automaton else {
            return line.to_vec();
        };
        let mut masked = Vec::with_capacity(line.len());
        automaton.replace_all_with_bytes(line, &mut masked, |_, _, out| {
            out.extend_from_slice(MASK);
            true
        });
        masked
    }
}

fn add_forms(patterns: &mut Vec<Zeroizing<Vec<u8>>>, text: &str, shortest: usize) {
    if text.len() < shortest {
        return;
    }
    let mut add = |form: Vec<u8>| patterns.push(Zeroizing::new(form));
    add(text.as_bytes().to_vec());
    if let Ok(json) = serde_json::to_string(text) {
        add(json.trim_matches('"').as_bytes().to_vec());
    }
    for upper in [true, false] {
        for keep in ["-._~", "-._~!*'()", "-._~/", "-._~!$&'()*+,;=:@/?"] {
            add(percent_encode(text, keep, upper, false));
            add(percent_encode(text, keep, upper, true));
        }
    }
    let mut hex = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
    }
    if text.len() >= SHORTEST_LINE {
        add(hex.to_uppercase().into_bytes());
        add(hex.into_bytes());
    }
    // Inside a longer encoded text the secret begins at one of three places of a base64 group; the characters that
    // mix with its neighbours are left out.
    for offset in 0..3_usize {
        let mut shifted = Zeroizing::new(vec![0_u8; offset]);
        shifted.extend_from_slice(text.as_bytes());
        for encoded in [
            STANDARD_NO_PAD.encode(&*shifted),
            URL_SAFE_NO_PAD.encode(&*shifted),
        ] {
            let start = match offset {
                0 => 0,
                1 => 2,
                _ => 3,
            };
            let end = if shifted.len() % 3 == 0 {
                encoded.len()
            } else {
                encoded.len() - 1
            };
            if let Some(form) = encoded.as_bytes().get(start..end)
                && form.len() >= SHORTEST
            {
                add(form.to_vec());
            }
            if offset == 0 {
                add(encoded.into_bytes());
            }
        }
    }
}

fn percent_encode(text: &str, keep: &str, upper: bool, plus: bool) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            encoded.push(byte);
        } else if plus && byte == b' ' {
            encoded.push(b'+');
        } else if upper {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            encoded.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use podium_model::secret::Secret;

    use super::Masker;

    fn masked(secret: &str, line: &str) -> String {
        String::from_utf8(Masker::new(&[Secret::new(secret)]).mask(line.as_bytes())).unwrap()
    }

    #[test]
    fn masks_the_text_and_its_encodings() {
        let secret = "p@ss w/rd+1";
        assert_eq!(masked(secret, "a p@ss w/rd+1 b"), "a (secret) b");
        assert_eq!(masked(secret, "url=p%40ss%20w%2Frd%2B1"), "url=(secret)");
        assert_eq!(masked(secret, "form=p%40ss+w%2Frd%2B1"), "form=(secret)");
        assert_eq!(masked("a\"b\\c", r#"{"k":"a\"b\\c"}"#), r#"{"k":"(secret)"}"#);
    }

    #[test]
    fn masks_base64_at_every_alignment() {
        let secret = "correct horse battery";
        for before in ["", "u", "us", "user:"] {
            for after in ["", "x", "xy"] {
                let line = STANDARD.encode(format!("{before}{secret}{after}"));
                let shown = masked(secret, &line);
                assert!(shown.contains("(secret)"), "{before}|{after}: {shown}");
                assert!(shown.len() < 30, "{before}|{after}: {shown}");
            }
        }
    }

    #[test]
    fn masks_each_line_of_a_long_secret_and_leaves_the_rest() {
        let secret = "-----BEGIN KEY-----\nMIIabcdef123\n-----END KEY-----\n";
        assert_eq!(masked(secret, "MIIabcdef123"), "(secret)");
        assert_eq!(masked(secret, "nothing here"), "nothing here");
        assert_eq!(masked("ab", "abab"), "abab");
    }
}
