//! Files beneath a root, whatever links lie there: each path is resolved by the kernel with `openat2`, which
//! refuses symbolic links and everything that leads out.
//!
//! **Rejected**: checking a path and then opening it (the work may swap a folder for a link in between), and
//! canonicalising (follows the links it should refuse).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{Gid, Uid, fchown, symlinkat};

use crate::archive::{Archive, Entry, is_beneath};
use crate::specification::RunAs;

/// A folder that everything stays beneath.
pub(crate) struct Root {
    folder: OwnedFd,
    owner: Option<RunAs>,
}

/// The components of a path that a document wrote: a leading `/` is the root, `.` is nothing, `..` is refused.
pub(crate) fn components(path: &str) -> io::Result<Vec<&str>> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.is_empty() || parts.contains(&"..") || path.contains('\0') || path.len() > 4096 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "`{}` is no path beneath the root",
                path.chars().take(200).collect::<String>()
            ),
        ));
    }
    Ok(parts)
}

impl Root {
    /// Opens the folder; what is written in it belongs to `owner`.
    pub(crate) fn open(path: &Path, owner: Option<RunAs>) -> io::Result<Self> {
        let folder = nix::fcntl::open(
            path,
            OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW,
            Mode::empty(),
        )?;
        Ok(Self { folder, owner })
    }

    fn resolve(&self, path: &str, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK)
            .mode(mode)
            .resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_SYMLINKS
                    | ResolveFlag::RESOLVE_NO_MAGICLINKS,
            );
        // The kernel asks to try again when something is renamed at that moment; work that does so on purpose is
        // not waited for.
        let mut attempts = 0;
        loop {
            match openat2(&self.folder, path, how) {
                Err(Errno::EAGAIN) if attempts < 64 => attempts += 1,
                answer => return answer,
            }
        }
    }

    fn own(&self, what: impl AsFd) -> io::Result<()> {
        if let Some(owner) = self.owner {
            fchown(
                what,
                Some(Uid::from_raw(owner.uid)),
                Some(Gid::from_raw(owner.gid)),
            )?;
        }
        Ok(())
    }

    /// Makes a folder and those above it.
    pub(crate) fn make_folder(&self, path: &str) -> io::Result<()> {
        self.make_folders(&components(path)?)
    }

    fn make_folders(&self, parts: &[&str]) -> io::Result<()> {
        for length in 1..=parts.len() {
            let path = parts[..length].join("/");
            match self.resolve(&path, OFlag::O_DIRECTORY | OFlag::O_RDONLY, Mode::empty()) {
                Ok(_) => {}
                Err(Errno::ENOENT) => {
                    let parent = self.parent(&parts[..length])?;
                    mkdirat(&parent, parts[length - 1], Mode::from_bits_truncate(0o700))?;
                    self.own(self.resolve(&path, OFlag::O_DIRECTORY | OFlag::O_RDONLY, Mode::empty())?)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn parent(&self, parts: &[&str]) -> io::Result<OwnedFd> {
        let path = match parts.split_last() {
            Some((_, above)) if !above.is_empty() => above.join("/"),
            _ => ".".to_owned(),
        };
        Ok(self.resolve(&path, OFlag::O_DIRECTORY | OFlag::O_RDONLY, Mode::empty())?)
    }

    /// Writes a file that does not exist yet, and the folders above it.
    pub(crate) fn write(&self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let parts = components(path)?;
        self.make_folders(&parts[..parts.len() - 1])?;
        let file = self.resolve(
            &parts.join("/"),
            OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY,
            Mode::from_bits_truncate(0o600),
        )?;
        let mut file = File::from(file);
        file.write_all(content)?;
        self.own(&file)?;
        fchmod(&file, Mode::from_bits_truncate(mode & 0o777))?;
        Ok(())
    }

    /// Links a path beneath the root to a folder elsewhere.
    pub(crate) fn link(&self, path: &str, target: &Path) -> io::Result<()> {
        let parts = components(path)?;
        self.make_folders(&parts[..parts.len() - 1])?;
        let parent = self.parent(&parts)?;
        symlinkat(target, &parent, parts[parts.len() - 1])?;
        Ok(())
    }

    /// Reads a regular file of at most `limit` bytes. `Ok(None)` when it does not exist.
    pub(crate) fn read(&self, path: &str, limit: u64) -> io::Result<Option<(Vec<u8>, u32)>> {
        let parts = components(path)?;
        let file = match self.resolve(&parts.join("/"), OFlag::O_RDONLY, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP) => return Err(refused(path, "leads through a symbolic link")),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(refused(path, "is no regular file"));
        }
        if metadata.nlink() > 1 {
            return Err(refused(path, "has a second name (a hard link)"));
        }
        let mut bytes = Vec::new();
        (&file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(refused(
                path,
                &format!("is larger than the {limit} bytes allowed"),
            ));
        }
        Ok(Some((bytes, metadata.permissions().mode() & 0o777)))
    }

    /// All regular files of a folder. An absent folder is an empty archive.
    pub(crate) fn archive(&self, path: &str, limit: u64, files: usize) -> io::Result<Archive> {
        let base = components(path)?.join("/");
        let mut entries = Vec::new();
        let mut left = limit;
        let mut waiting = vec![String::new()];
        while let Some(relative) = waiting.pop() {
            let folder = if relative.is_empty() {
                base.clone()
            } else {
                format!("{base}/{relative}")
            };
            let opened = match self.resolve(&folder, OFlag::O_DIRECTORY | OFlag::O_RDONLY, Mode::empty()) {
                Ok(opened) => opened,
                Err(Errno::ENOENT) if relative.is_empty() => break,
                Err(error) => return Err(refused(&folder, error.desc())),
            };
            for item in Dir::from_fd(opened)?.iter() {
                let item = item?;
                let Ok(name) = item.file_name().to_str() else {
                    return Err(refused(&folder, "holds a name that is not UTF-8"));
                };
                if name == "." || name == ".." {
                    continue;
                }
                let inner = if relative.is_empty() {
                    name.to_owned()
                } else {
                    format!("{relative}/{name}")
                };
                if entries.len() + waiting.len() >= files || inner.len() > 4096 {
                    return Err(refused(
                        path,
                        &format!("holds more than the {files} files allowed"),
                    ));
                }
                if item.file_type() == Some(Type::Directory) {
                    waiting.push(inner);
                    continue;
                }
                let Some((content, mode)) = self.read(&format!("{base}/{inner}"), left)? else {
                    continue;
                };
                left -= content.len() as u64;
                debug_assert!(is_beneath(&inner));
                entries.push(Entry {
                    path: inner,
                    mode,
                    content,
                });
            }
        }
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Archive { entries })
    }
}

fn refused(path: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{path}` {why}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::Root;

    #[test]
    fn nothing_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path(), None).unwrap();
        symlink(outside.path(), folder.path().join("away")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
        for path in ["away/secret", "file"] {
            assert!(
                root.read(path, 10)
                    .unwrap_err()
                    .to_string()
                    .contains("symbolic link"),
                "{path}"
            );
        }
        for path in ["../x", "a/../../x", "", "/", "a\0b"] {
            assert!(root.read(path, 10).is_err(), "{path}");
            assert!(root.write(path, b"x", 0o600).is_err(), "{path}");
        }
        assert!(root.write("away/new", b"x", 0o600).is_err());
        assert!(root.make_folder("away/new").is_err());
        assert!(root.archive("away", 10, 10).is_err());
        assert!(!outside.path().join("new").exists());
        std::fs::hard_link(outside.path().join("secret"), folder.path().join("hard")).unwrap();
        assert!(
            root.read("hard", 10)
                .unwrap_err()
                .to_string()
                .contains("hard link")
        );
    }

    #[test]
    fn sizes_and_kinds_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path(), None).unwrap();
        root.write("/a/b/c", b"12345", 0o640).unwrap();
        assert_eq!(root.read("a/b/c", 5).unwrap(), Some((b"12345".to_vec(), 0o640)));
        assert!(root.read("a/b/c", 4).is_err());
        assert!(root.read("a/b", 4).is_err());
        assert_eq!(root.read("a/none", 4).unwrap(), None);
        assert!(root.write("a/b/c", b"again", 0o600).is_err());
        nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(root.read("pipe", 4).is_err());
        root.write("a/d", b"67", 0o600).unwrap();
        let archive = root.archive("a", 7, 10).unwrap();
        let paths: Vec<_> = archive.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["b/c", "d"]);
        assert!(root.archive("a", 6, 10).is_err());
        assert!(root.archive("a", 7, 1).is_err());
        assert!(root.archive("none", 7, 1).unwrap().entries.is_empty());
    }
}
