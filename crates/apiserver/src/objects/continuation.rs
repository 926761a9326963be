//! Continue tokens, in the form that kube-apiserver gives them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::status::StatusError;

const VERSION: &str = "meta.k8s.io/v1";
/// Longest token that is read.
const MAX_BYTES: usize = 2048;

#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: u64,
    start: String,
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Continuation {
    /// The revision of the first page.
    pub(crate) revision: u64,
    /// The last object of the page before: namespace and name.
    pub(crate) after: (Arc<str>, Arc<str>),
}

impl Continuation {
    pub(crate) fn write(&self, all_namespaces: bool) -> String {
        let (namespace, name) = &self.after;
        let start = if all_namespaces {
            format!("/{namespace}/{name}\0")
        } else {
            format!("/{name}\0")
        };
        let token = Token {
            v: VERSION.to_owned(),
            rv: self.revision,
            start,
        };
        // Two numbers and a text always serialise.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    pub(crate) fn read(text: &str, namespace: &str, all_namespaces: bool) -> Result<Self, StatusError> {
        let invalid = |why: &str| {
            StatusError::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        if text.len() > MAX_BYTES {
            return Err(invalid("it is too long"));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| invalid("it is no base64"))?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|error| invalid(&error.to_string()))?;
        if token.v != VERSION {
            return Err(invalid("its version is not known"));
        }
        let place = token
            .start
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('\0'))
            .ok_or_else(|| invalid("it names no place"))?;
        let (in_namespace, name) = match (all_namespaces, place.split_once('/')) {
            (true, Some(parts)) => parts,
            (false, None) => (namespace, place),
            _ => return Err(invalid("it belongs to another list")),
        };
        Ok(Self {
            revision: token.rv,
            after: (in_namespace.into(), name.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_what_kubernetes_wrote() {
        let recorded = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjEyLCJzdGFydCI6Ii9nZW4tbHJyYnpcdTAwMDAifQ";
        let token = Continuation::read(recorded, "rec", false).expect("a recorded token");
        assert_eq!(
            token,
            Continuation {
                revision: 212,
                after: ("rec".into(), "gen-lrrbz".into())
            }
        );
        assert_eq!(token.write(false), recorded);
        let all = token.write(true);
        assert_eq!(Continuation::read(&all, "", true).expect("own token"), token);
        for bad in ["garbage", "", "e30", &all] {
            assert_eq!(
                Continuation::read(bad, "rec", false).expect_err(bad).code,
                400,
                "{bad}"
            );
        }
    }
}
