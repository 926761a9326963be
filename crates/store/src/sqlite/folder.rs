//! The data folder: only its owner may enter, and one server at a time uses it.
//!
//! The lock is the kernel's (it goes with the process that holds it, however it ends); the pid in the file is for
//! the person who reads the refusal.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// The data folder, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder when it is not there, closes it to others, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Folder {
            folder: path.display().to_string(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(refused)?;
        let mode = std::fs::metadata(path).map_err(refused)?.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(refused)?;
        }
        let mut lock = private_file(&path.join("lock")).map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = lock.take(32).read_to_string(&mut pid);
                let known = read.is_ok() && !pid.is_empty() && pid.trim().bytes().all(|b| b.is_ascii_digit());
                let pid = if known {
                    pid.trim().to_owned()
                } else {
                    "unknown".to_owned()
                };
                return Err(OpenError::InUse {
                    folder: path.display().to_string(),
                    pid,
                });
            }
            Err(TryLockError::Error(source)) => return Err(refused(source)),
        }
        lock.set_len(0).map_err(refused)?;
        lock.rewind().map_err(refused)?;
        writeln!(lock, "{}", std::process::id()).map_err(refused)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The path of a database in the folder. It exists afterwards, closed to others, before SQLite opens it: the
    /// write-ahead log takes its permissions from it.
    pub(super) fn database(&self, name: &str) -> Result<PathBuf, OpenError> {
        let path = self.path.join(name);
        private_file(&path).map_err(|source| OpenError::Folder {
            folder: self.path.display().to_string(),
            source,
        })?;
        Ok(path)
    }

    /// A path in the folder.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
