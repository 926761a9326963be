//! What a shim that was killed left running, and the proof that nothing is left.

use std::collections::BTreeSet;
use std::path::Path;

use nix::fcntl::FlockArg;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::layout::{Tried, try_lock};
use crate::error::RunnerError;
use crate::shim::boot_id;
use crate::wire::Boot;

/// What the shim wrote when it started, if it got that far.
pub(super) fn read_boot(folder: &Path) -> Option<Boot> {
    serde_json::from_slice(&std::fs::read(folder.join("boot")).ok()?).ok()
}

/// The processes that have this folder's lock open.
fn holders(folder: &Path) -> BTreeSet<i32> {
    let lock = folder.join("lock");
    let Ok(items) = std::fs::read_dir("/proc") else {
        return BTreeSet::new();
    };
    items
        .flatten()
        .filter_map(|item| {
            let pid: i32 = item.file_name().to_str()?.parse().ok()?;
            let mut open = std::fs::read_dir(item.path().join("fd")).ok()?.flatten();
            open.any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == lock))
                .then_some(pid)
        })
        .collect()
}

/// Kills what a dead shim left. Does nothing while the shim lives or the machine was restarted.
fn end(folder: &Path) {
    let Some(boot) = read_boot(folder) else { return };
    if boot_id().ok().as_ref() != Some(&boot.kernel) {
        return;
    }
    let own = nix::unistd::getpid().as_raw();
    let mut left = holders(folder);
    left.remove(&own);
    if left.contains(&boot.pid) {
        return;
    }
    for pid in left {
        tracing::warn!(pid, folder = %folder.display(), "killing a process whose supervisor is gone");
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Waits until the shim and all its processes are gone; ends those that outlived their shim.
pub(super) async fn gone(folder: &Path) -> Result<(), RunnerError> {
    if !try_lock(folder, FlockArg::LockSharedNonblock)?.is_held() {
        return Ok(());
    }
    end(folder);
    let (tell, told) = oneshot::channel();
    let waited_for = folder.to_owned();
    // A thread of its own rather than one of the runtime's: those are waited for when the server stops.
    std::thread::Builder::new()
        .name("lock".to_owned())
        .spawn(move || {
            let _ = tell.send(try_lock(&waited_for, FlockArg::LockShared).map(|_: Tried| ()));
        })
        .map_err(RunnerError::io("wait for", folder))?;
    told.await.unwrap_or(Ok(()))
}
