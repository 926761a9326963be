//! The shim's folder and the root of its processes: made, filled, watched.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::{Gid, Uid};
use tokio::sync::Notify;

use crate::beneath::Root;
use crate::specification::RunAs;
use crate::wire::{Start, Work};

/// Makes the root anew and writes what belongs in it. What an earlier shim left there is removed: what is to be
/// kept is in volumes.
pub(super) fn prepare_root(start: &Start) -> Result<(), String> {
    let path = &start.root;
    let told = |error: io::Error| format!("the root {} cannot be made: {error}", path.display());
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(error)),
        _ => {}
    }
    let owner = start.cage.run_as.filter(|_| Uid::effective().is_root());
    DirBuilder::new().mode(0o700).create(path).map_err(told)?;
    own(path, owner).map_err(told)?;
    let root = Root::open(path, owner).map_err(told)?;
    for folder in &start.folders {
        root.make_folder(folder)
            .map_err(|error| format!("folder {folder}: {error}"))?;
    }
    if let Work::Workload(workload) = &start.work {
        for part in &workload.containers {
            for volume in &part.volumes {
                match root.link(&volume.target, &volume.source) {
                    // Two containers may share a volume at the same place.
                    Err(error)
                        if error.kind() == io::ErrorKind::AlreadyExists
                            && std::fs::read_link(path.join(volume.target.trim_start_matches('/')))
                                .is_ok_and(|target| target == volume.source) => {}
                    Err(error) => {
                        return Err(format!(
                            "volume {} of container {}: {error}",
                            volume.target, part.command.name
                        ));
                    }
                    Ok(()) => {}
                }
            }
        }
    }
    for file in &start.files {
        root.write(&file.path, file.content.bytes(), file.mode)
            .map_err(|error| match error.raw_os_error() {
                Some(code) if code == Errno::EEXIST as i32 => {
                    format!(
                        "file {} is there already: a second file or a volume has this place",
                        file.path
                    )
                }
                Some(code) if code == Errno::ELOOP as i32 || code == Errno::ENOTDIR as i32 => {
                    format!(
                        "file {} lies inside a volume or another file, and nothing is written there",
                        file.path
                    )
                }
                _ => format!("file {}: {error}", file.path),
            })?;
    }
    Ok(())
}

fn own(path: &Path, owner: Option<RunAs>) -> io::Result<()> {
    if let Some(owner) = owner {
        std::os::unix::fs::chown(
            path,
            Some(Uid::from_raw(owner.uid).as_raw()),
            Some(Gid::from_raw(owner.gid).as_raw()),
        )?;
    }
    Ok(())
}

/// Writes a file so that after a crash it is whole or not there.
pub(crate) fn write_durably(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Tells when the folder or the lock in it is removed or moved away. A thread that waits for the kernel's word,
/// which costs nothing while nothing happens.
pub(super) fn watch(folder: &Path) -> io::Result<Arc<Notify>> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    // The folder's own removal is told to who watches the folder above it; what is in it is removed first.
    inotify.add_watch(
        folder,
        AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF,
    )?;
    let lock = folder.join("lock");
    let gone = Arc::new(Notify::new());
    let tell = Arc::clone(&gone);
    std::thread::Builder::new()
        .name("folder".to_owned())
        .spawn(move || {
            while let Ok(_events) = inotify.read_events() {
                if !lock.exists() {
                    tell.notify_one();
                    return;
                }
            }
        })?;
    Ok(gone)
}
