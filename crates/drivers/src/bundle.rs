//! A module's source out of its bundle: a tar of regular files and folders.
//!
//! **What it refuses.** Links, devices and everything else that is no regular file or folder, paths that lead out of
//! the root, and more than the bounds below. The files are handed to the runner, which writes them beneath the root.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Component;

use podium_runners::RootFile;
use tar::{Archive, EntryType};

use crate::failure::one_line;

/// Bytes of all files.
pub(crate) const BYTES: u64 = 32 << 20;
/// Files and folders.
const ENTRIES: usize = 5_000;
/// Characters of a path.
const PATH: usize = 512;
/// Folders inside each other.
const DEPTH: usize = 32;

/// A bundle is not as it must be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// It is no tar, or is cut off.
    #[error("the module's bundle cannot be read as a tar; publish the module again")]
    Unreadable(#[source] std::io::Error),
    /// An entry is refused.
    #[error("the module's bundle has `{path}`, which {why}")]
    Entry {
        /// Its path.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// It is too much.
    #[error("the module's bundle has more than {0}; leave out what the module does not need")]
    TooMuch(String),
    /// The module's folder is not in it.
    #[error("the module's bundle has no folder `{0}`, which its `source.path` names")]
    NoFolder(String),
}

/// What is in a bundle.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Folders, relative to the root.
    pub(crate) folders: Vec<String>,
    /// Files, relative to the root.
    pub(crate) files: Vec<RootFile>,
    /// The module's own folder, relative to the root.
    pub(crate) module: String,
}

/// Whether a module can be unpacked from a bundle, with `own` as its folder.
///
/// # Errors
/// What is wrong with it, for the person who publishes the module.
pub fn check(bundle: &[u8], own: &str) -> Result<(), String> {
    unpack(bundle, "module", own)
        .map(drop)
        .map_err(|error| one_line(&error))
}

/// Takes a bundle apart; its paths get `prefix` in front. `own` is the module's folder in the bundle.
pub(crate) fn unpack(bundle: &[u8], prefix: &str, own: &str) -> Result<Unpacked, BundleError> {
    let own_parts = relative_parts(own, std::path::Path::new(own))?;
    let mut unpacked = Unpacked {
        module: join(prefix, &own_parts),
        ..Unpacked::default()
    };
    let mut seen = BTreeSet::new();
    let mut left = BYTES;
    let mut folder_found = own_parts.is_empty();
    for entry in Archive::new(bundle).entries().map_err(BundleError::Unreadable)? {
        let mut entry = entry.map_err(BundleError::Unreadable)?;
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            // What `git archive` says about the commit.
            continue;
        }
        let path = entry.path().map_err(BundleError::Unreadable)?.into_owned();
        let shown: String = path.display().to_string().chars().take(PATH).collect();
        let refuse = |why| BundleError::Entry {
            path: shown.clone(),
            why,
        };
        let parts = relative_parts(&shown, &path)?;
        if seen.len() >= ENTRIES {
            return Err(BundleError::TooMuch(format!("{ENTRIES} files and folders")));
        }
        folder_found |= parts.starts_with(&own_parts) && (parts.len() > own_parts.len() || kind.is_dir());
        if parts.is_empty() {
            continue;
        }
        let full = join(prefix, &parts);
        if kind.is_dir() {
            if seen.insert(full.clone()) {
                unpacked.folders.push(full);
            }
            continue;
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            return Err(refuse("is neither a regular file nor a folder"));
        }
        if !seen.insert(full.clone()) {
            return Err(refuse("is in it twice"));
        }
        let mode = entry.header().mode().map_err(BundleError::Unreadable)?;
        let mut content = Vec::new();
        let read = (&mut entry)
            .take(left.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(BundleError::Unreadable)?;
        left = left
            .checked_sub(read as u64)
            .ok_or_else(|| BundleError::TooMuch(format!("{} MiB of files", BYTES >> 20)))?;
        // The root is private: group and others have no business there, and executable is what counts.
        let mode = if mode & 0o111 == 0 { 0o600 } else { 0o700 };
        unpacked.files.push(RootFile::bytes(full, content, mode));
    }
    if folder_found {
        Ok(unpacked)
    } else {
        Err(BundleError::NoFolder(own.to_owned()))
    }
}

fn join(prefix: &str, parts: &[String]) -> String {
    let mut path = prefix.to_owned();
    for part in parts {
        path.push('/');
        path.push_str(part);
    }
    path
}

/// The components of a path, when all of them are ordinary names.
fn relative_parts(shown: &str, path: &std::path::Path) -> Result<Vec<String>, BundleError> {
    let refuse = |why| BundleError::Entry {
        path: shown.to_owned(),
        why,
    };
    if path.as_os_str().len() > PATH {
        return Err(refuse("has a path that is too long"));
    }
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => match name.to_str() {
                Some(name) if !name.contains('\0') => parts.push(name.to_owned()),
                _ => return Err(refuse("has a name that is not UTF-8")),
            },
            _ => return Err(refuse("leads out of the bundle")),
        }
    }
    if parts.len() > DEPTH {
        return Err(refuse("lies too deep"));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use podium_runners::FileContent;
    use tar::{Builder, EntryType, Header};

    use super::{BundleError, unpack};

    /// A header that says exactly this, also where `tar` itself would refuse to write it.
    fn entry(builder: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, content: &[u8], mode: u32) {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        if kind == EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }

    fn tar(entries: &[(&str, EntryType, &[u8], u32)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, kind, content, mode) in entries {
            entry(&mut builder, path, *kind, content, *mode);
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_and_folders_come_out_beneath_the_prefix() {
        let bundle = tar(&[
            ("./", EntryType::Directory, b"", 0o755),
            ("db/", EntryType::Directory, b"", 0o755),
            ("./db/make.sh", EntryType::Regular, b"echo", 0o755),
            ("shared/lib", EntryType::Regular, b"x", 0o644),
        ]);
        let unpacked = unpack(&bundle, "module", "db").unwrap();
        assert_eq!(unpacked.module, "module/db");
        assert_eq!(unpacked.folders, ["module/db"]);
        let files: Vec<_> = unpacked
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.mode))
            .collect();
        assert_eq!(
            files,
            [("module/db/make.sh", 0o700), ("module/shared/lib", 0o600)]
        );
        assert_eq!(unpacked.files[0].content, FileContent::Bytes(b"echo".to_vec()));
        assert!(matches!(
            unpack(&bundle, "module", "none"),
            Err(BundleError::NoFolder(_))
        ));
        assert!(unpack(&bundle, "module", "../db").is_err());
    }

    #[test]
    fn what_is_no_plain_file_within_is_refused() {
        for (path, kind) in [
            ("../x", EntryType::Regular),
            ("a/../../x", EntryType::Regular),
            ("/etc/x", EntryType::Regular),
            ("link", EntryType::Symlink),
            ("hard", EntryType::Link),
            ("pipe", EntryType::Fifo),
            ("device", EntryType::Block),
        ] {
            let refused = unpack(&tar(&[(path, kind, b"", 0o644)]), "module", "");
            assert!(
                matches!(refused, Err(BundleError::Entry { .. })),
                "{path}: {refused:?}"
            );
        }
        let twice = tar(&[
            ("a", EntryType::Regular, b"1", 0o644),
            ("./a", EntryType::Regular, b"2", 0o644),
        ]);
        assert!(matches!(
            unpack(&twice, "module", ""),
            Err(BundleError::Entry {
                why: "is in it twice",
                ..
            })
        ));
    }

    #[test]
    fn amounts_are_bounded() {
        let big = vec![0; 17 << 20];
        let bundle = tar(&[
            ("a", EntryType::Regular, &big, 0o644),
            ("b", EntryType::Regular, &big, 0o644),
        ]);
        assert!(matches!(
            unpack(&bundle, "module", ""),
            Err(BundleError::TooMuch(_))
        ));
        let mut builder = Builder::new(Vec::new());
        for number in 0..5_001 {
            entry(&mut builder, &number.to_string(), EntryType::Regular, b"", 0o644);
        }
        assert!(matches!(
            unpack(&builder.into_inner().unwrap(), "module", ""),
            Err(BundleError::TooMuch(_))
        ));
        assert!(matches!(
            unpack(&[7; 600], "module", ""),
            Err(BundleError::Unreadable(_))
        ));
    }
}
