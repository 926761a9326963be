//! Paths to values inside a document.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step down: into a map by its key or into a list by its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathSegment {
    /// The place in a list, from 0.
    Index(usize),
    /// The key in a map.
    Key(String),
}

impl From<&str> for PathSegment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<String> for PathSegment {
    fn from(key: String) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for PathSegment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way from the root of a document to a value; empty for the root.
///
/// As JSON it is a list of texts and numbers. For people it reads `containers.main.args[0]`, and a key that holds
/// more than letters, digits, `_` and `-` is quoted: `files["/etc/app.conf"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(pub Vec<PathSegment>);

impl Path {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// This path and one step more.
    #[must_use]
    pub fn with(&self, segment: impl Into<PathSegment>) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.into());
        Self(segments)
    }
}

impl<S: Into<PathSegment>> FromIterator<S> for Path {
    fn from_iter<I: IntoIterator<Item = S>>(segments: I) -> Self {
        Self(segments.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                PathSegment::Index(index) => write!(formatter, "[{index}]")?,
                PathSegment::Key(key) if is_plain(key) => {
                    if at > 0 {
                        formatter.write_str(".")?;
                    }
                    formatter.write_str(key)?;
                }
                PathSegment::Key(key) => write!(formatter, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::{Path, PathSegment};

    #[test]
    fn reads_like_the_document() {
        let cases: [(Path, &str, &str); 5] = [
            (Path::root(), "", "the root has no name"),
            (
                ["containers", "main"].into_iter().collect(),
                "containers.main",
                "plain keys are joined by dots",
            ),
            (
                Path::root().with("a").with("odd key"),
                "a[\"odd key\"]",
                "a key with a blank is quoted",
            ),
            (
                Path::root().with("").with("x.y"),
                "[\"\"][\"x.y\"]",
                "empty keys and dots are no plain keys",
            ),
            (Path::root().with("args").with(0), "args[0]", "a place in a list"),
        ];
        for (path, text, reason) in cases {
            assert_eq!(path.to_string(), text, "{reason}");
        }
    }

    #[test]
    fn crosses_the_api_as_a_plain_list() {
        let path = Path::root().with("args").with(0);
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(json, r#"["args",0]"#);
        assert_eq!(serde_json::from_str::<Path>(&json).unwrap(), path);
        assert_eq!(
            serde_json::from_str::<Path>(r#"["0"]"#).unwrap().0,
            [PathSegment::from("0")]
        );
    }
}
