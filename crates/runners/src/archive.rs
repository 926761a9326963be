//! A kept folder as one value: relative path, mode and bytes of each regular file.
//!
//! **Guarantees.** The order is that of the paths, so the same folder gives the same bytes; a decoded archive
//! holds only paths that stay beneath its root. Links, sockets and devices are refused, not skipped, because a
//! folder that comes back without them is not the one that was left. **Rejected**: tar, whose readers have to
//! defend themselves against everything that this format cannot say.

use serde::{Deserialize, Serialize};

/// First bytes of an encoded archive, with the version.
const MAGIC: &[u8; 8] = b"podarch1";

/// One regular file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative path with `/`.
    pub path: String,
    /// Mode bits.
    pub mode: u32,
    /// Content.
    #[serde(with = "crate::wire::base64_bytes")]
    pub content: Vec<u8>,
}

/// A folder's regular files, ordered by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The files.
    pub entries: Vec<Entry>,
}

/// An archive does not decode.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It does not begin as one.
    #[error("these bytes are no archive of this version")]
    Format,
    /// It ends early or says more than there is.
    #[error("the archive is cut off at byte {0}")]
    Truncated(usize),
    /// A path would leave the root.
    #[error("the archive names `{0}`, which is no relative path beneath its root")]
    Path(String),
}

impl Archive {
    /// The archive as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for entry in &self.entries {
            bytes.extend((entry.path.len() as u64).to_le_bytes());
            bytes.extend(entry.path.as_bytes());
            bytes.extend(entry.mode.to_le_bytes());
            bytes.extend((entry.content.len() as u64).to_le_bytes());
            bytes.extend(&entry.content);
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote. Allocates no more than the input holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let mut rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(ArchiveError::Format)?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let place = bytes.len() - rest.len();
            let entry = take_entry(&mut rest).ok_or(ArchiveError::Truncated(place))?;
            if !is_beneath(&entry.path) {
                return Err(ArchiveError::Path(entry.path));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let bytes = take(rest, 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(bytes)).ok()
}

fn take_entry(rest: &mut &[u8]) -> Option<Entry> {
    let length = take_length(rest)?;
    let path = String::from_utf8(take(rest, length)?.to_vec()).ok()?;
    let mode = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?);
    let length = take_length(rest)?;
    let content = take(rest, length)?.to_vec();
    Some(Entry { path, mode, content })
}

/// Whether a path has only ordinary components.
pub(crate) fn is_beneath(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\0')
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::{Archive, ArchiveError, Entry};

    #[test]
    fn comes_back_as_it_was() {
        let archive = Archive {
            entries: vec![
                Entry {
                    path: "a".into(),
                    mode: 0o644,
                    content: vec![0, 1, 2],
                },
                Entry {
                    path: "b/c".into(),
                    mode: 0o700,
                    content: Vec::new(),
                },
            ],
        };
        assert_eq!(Archive::decode(&archive.encode()).unwrap(), archive);
    }

    #[test]
    fn refuses_what_is_cut_or_leaves_the_root() {
        let entry = |path: &str| Archive {
            entries: vec![Entry {
                path: path.into(),
                mode: 0o644,
                content: vec![1; 10],
            }],
        };
        let whole = entry("a").encode();
        for length in 9..whole.len() {
            assert!(
                matches!(Archive::decode(&whole[..length]), Err(ArchiveError::Truncated(8))),
                "{length}"
            );
        }
        for path in ["../a", "/a", "a/../b", "a//b", "", "./a"] {
            assert!(
                matches!(Archive::decode(&entry(path).encode()), Err(ArchiveError::Path(_))),
                "{path}"
            );
        }
    }
}
