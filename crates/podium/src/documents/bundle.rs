//! A module's folder as one upload: a tar archive of its root.
//!
//! **What it guarantees.** The same folder gives the same bytes: entries are sorted, and have no owner and no time.
//! It holds regular files and folders and nothing else; a symbolic link is refused by its name, because what it
//! points to is another thing on another machine. `.git` is left out.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

/// Largest archive. This and the next two are what the server takes apart.
pub(crate) const LARGEST: usize = 32 << 20;
/// Most entries.
const MOST_ENTRIES: usize = 5_000;
/// Deepest folder.
const DEEPEST: usize = 31;

/// A folder on this machine that a Module names as its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalSource {
    /// What is packed.
    pub(crate) root: PathBuf,
    /// The module's folder in it; empty for the root itself.
    pub(crate) path: String,
}

impl LocalSource {
    /// The module's own folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.join(&self.path)
    }

    /// Packs the root.
    pub(crate) fn pack(&self) -> Result<Vec<u8>> {
        let shown = self.root.display();
        let root = std::fs::canonicalize(&self.root)
            .with_context(|| format!("the module's source {shown} cannot be read"))?;
        ensure!(root.is_dir(), "the module's source {shown} is no folder");
        if !self.path.is_empty() {
            let folder = std::fs::canonicalize(root.join(&self.path))
                .with_context(|| format!("the module's folder `{}` in {shown} cannot be read", self.path))?;
            ensure!(
                folder.is_dir() && folder.starts_with(&root),
                "the module's folder `{}` is no folder in its root {shown}",
                self.path
            );
        }
        let mut packer = Packer {
            archive: tar::Builder::new(Vec::new()),
            entries: 0,
        };
        packer.folder(&root, Path::new(""), 0)?;
        packer
            .archive
            .into_inner()
            .context("the archive cannot be finished")
    }
}

struct Packer {
    archive: tar::Builder<Vec<u8>>,
    entries: usize,
}

impl Packer {
    fn folder(&mut self, root: &Path, inside: &Path, depth: usize) -> Result<()> {
        ensure!(
            depth <= DEEPEST,
            "folders are nested more than {DEEPEST} levels deep at {}",
            inside.display()
        );
        let folder = root.join(inside);
        let unreadable = || format!("{} cannot be read", folder.display());
        let mut entries = std::fs::read_dir(&folder)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .with_context(unreadable)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            if name == ".git" {
                continue;
            }
            let path = inside.join(&name);
            let shown = path.display();
            ensure!(name.to_str().is_some(), "the name {shown} is no UTF-8 text");
            self.entries += 1;
            ensure!(
                self.entries <= MOST_ENTRIES,
                "{} holds more than {MOST_ENTRIES} files: choose a smaller root",
                root.display()
            );
            let kind = entry
                .file_type()
                .with_context(|| format!("{shown} cannot be read"))?;
            if kind.is_dir() {
                self.append(&path, tar::EntryType::Directory, 0o755, &[])?;
                self.folder(root, &path, depth + 1)?;
            } else if kind.is_file() {
                self.file(root, &path)?;
            } else if kind.is_symlink() {
                bail!(
                    "{shown} is a symbolic link, and a module's source holds only files and folders\nput a copy of what it points to in its place"
                );
            } else {
                bail!("{shown} is neither a file nor a folder");
            }
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, inside: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = root.join(inside);
        let metadata =
            std::fs::metadata(&path).with_context(|| format!("{} cannot be read", inside.display()))?;
        let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        self.fits(size)?;
        let content = std::fs::read(&path).with_context(|| format!("{} cannot be read", inside.display()))?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        self.append(
            inside,
            tar::EntryType::Regular,
            if executable { 0o755 } else { 0o644 },
            &content,
        )
    }

    fn fits(&self, more: usize) -> Result<()> {
        let size = self.archive.get_ref().len().saturating_add(more);
        ensure!(
            size <= LARGEST,
            "the module's source has more than {} MiB: choose a smaller root",
            LARGEST >> 20
        );
        Ok(())
    }

    fn append(&mut self, path: &Path, kind: tar::EntryType, mode: u32, content: &[u8]) -> Result<()> {
        self.fits(content.len())?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        self.archive
            .append_data(&mut header, path, content)
            .with_context(|| format!("{} cannot be packed", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::LocalSource;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("modules/db/apply.sh", "#!/bin/sh\n"),
            ("shared/lib.sh", "x"),
            (".git/config", "y"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let script = folder.path().join("modules/db/apply.sh");
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o775)).unwrap();
        folder
    }

    fn source(root: &Path, path: &str) -> LocalSource {
        LocalSource {
            root: root.to_owned(),
            path: path.to_owned(),
        }
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        let (one, two) = (folder(), folder());
        let packed = source(one.path(), "modules/db").pack().unwrap();
        assert_eq!(packed, source(two.path(), "modules/db").pack().unwrap());
        let mut entries = Vec::new();
        for entry in tar::Archive::new(packed.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let path = entry.path().unwrap().display().to_string();
            entries.push((path, entry.header().mode().unwrap(), content));
        }
        let expected = [
            ("modules", 0o755, ""),
            ("modules/db", 0o755, ""),
            ("modules/db/apply.sh", 0o755, "#!/bin/sh\n"),
            ("shared", 0o755, ""),
            ("shared/lib.sh", 0o644, "x"),
        ];
        let expected: Vec<_> = expected
            .map(|(path, mode, content)| (path.to_owned(), mode, content.to_owned()))
            .into();
        assert_eq!(entries, expected);
    }

    #[test]
    fn links_and_folders_outside_are_refused() {
        let folder = folder();
        let outside = source(&folder.path().join("modules"), "../shared")
            .pack()
            .unwrap_err();
        assert!(outside.to_string().contains("no folder in its root"), "{outside}");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("shared/users")).unwrap();
        let link = source(folder.path(), "").pack().unwrap_err();
        assert!(
            link.to_string().starts_with("shared/users is a symbolic link"),
            "{link}"
        );
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_read() {
        let folder = folder();
        std::fs::File::create(folder.path().join("large"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let error = source(folder.path(), "").pack().unwrap_err();
        assert!(error.to_string().contains("more than 32 MiB"), "{error}");
    }
}
