//! What names, labels and annotations may look like.

use std::fmt::Write as _;

use ring::rand::{SecureRandom, SystemRandom};

/// Longest name of an object.
const MAX_NAME: usize = 253;
/// Longest prefix that a generated name keeps: the suffix must fit into 63 characters.
const MAX_GENERATED_PREFIX: usize = 58;
/// Letters of generated suffixes: those that spell no words, as in Kubernetes.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// What is wrong with an object's name, in the words of kube-apiserver.
pub(crate) fn wrong_name(name: &str) -> Option<String> {
    if name.len() > MAX_NAME {
        return Some(format!("must be no more than {MAX_NAME} characters"));
    }
    (!is_subdomain(name)).then(|| {
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
         and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            .to_owned()
    })
}

fn is_subdomain(name: &str) -> bool {
    !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// The part of a label's key after the prefix, or a label's value.
fn is_label_word(word: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    (1..=63).contains(&word.len())
        && ends(word.chars().next())
        && ends(word.chars().last())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether a text may be the key of a label or annotation, or a finalizer.
pub(crate) fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        None => is_label_word(key),
        Some((prefix, word)) => {
            prefix.len() <= MAX_NAME && is_subdomain(&prefix.to_ascii_lowercase()) && is_label_word(word)
        }
    }
}

/// Whether a text may be the value of a label.
pub(crate) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_label_word(value)
}

/// A name that begins with `prefix` and was not used before, with great likelihood; `None` when the machine gives no
/// random bytes.
pub(crate) fn generate_name(prefix: &str) -> Option<String> {
    let mut bytes = [0_u8; 5];
    SystemRandom::new().fill(&mut bytes).ok()?;
    let mut name: String = prefix.chars().take(MAX_GENERATED_PREFIX).collect();
    for byte in bytes {
        name.push(char::from(
            SUFFIX_LETTERS[usize::from(byte) % SUFFIX_LETTERS.len()],
        ));
    }
    Some(name)
}

/// Bytes as hexadecimal digits in upper case.
pub(crate) fn hex_upper(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02X}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_names() {
        for (name, good) in [
            ("one", true),
            ("a.b-c", true),
            ("Bad_Name", false),
            ("-a", false),
            ("a..b", false),
            ("", false),
        ] {
            assert_eq!(wrong_name(name).is_none(), good, "{name}");
        }
        assert!(wrong_name(&"a".repeat(254)).is_some());
        for (key, good) in [
            ("team", true),
            ("kubernetes.io/name", true),
            ("a/b/c", false),
            ("/x", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(is_qualified_name(key), good, "{key}");
        }
        assert!(is_label_value("") && is_label_value("A_b.c") && !is_label_value("-a"));
        let name = generate_name("gen-").expect("random bytes");
        assert!(
            name.starts_with("gen-") && name.len() == 9 && wrong_name(&name).is_none(),
            "{name}"
        );
    }
}
