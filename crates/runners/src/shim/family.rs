//! The processes under the shim: who they are, and how they are ended without leaving one.
//!
//! The shim adopts orphans (it is a child subreaper). So every process that its processes ever started is in the
//! tree below it, whatever group or session it moved to, and a look at `/proc` finds it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

/// How long ending everything may take before the shim goes on: a process in the kernel's hands cannot be ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The shim's children.
pub(crate) struct Family {
    /// Those that somebody waits for; nobody else may reap them.
    awaited: Mutex<HashSet<i32>>,
}

impl Family {
    pub(crate) fn new() -> io::Result<Self> {
        // The first stream installs the handler, so that no end goes unheard.
        drop(ends()?);
        Ok(Self {
            awaited: Mutex::new(HashSet::new()),
        })
    }

    pub(crate) fn add(&self, pid: i32) {
        self.awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(pid);
    }

    pub(crate) fn remove(&self, pid: i32) {
        self.awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&pid);
    }

    fn awaited(&self) -> HashSet<i32> {
        self.awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends what is left of a process whose end was seen: its group, and, when no other awaited process runs, every
    /// orphan that left the group. With others running, an orphan may be theirs and is left to the shim's end.
    pub(crate) async fn end_rest(&self, group: i32) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        if self.awaited().is_empty() {
            self.end_all().await;
        } else {
            self.reap_orphans();
        }
    }

    /// Ends everything below this process.
    pub(crate) async fn end_all(&self) {
        let Ok(mut ends) = ends() else { return };
        let all_gone = async {
            loop {
                self.reap_orphans();
                let left = descendants();
                if left.is_empty() {
                    return;
                }
                for pid in left {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
                // A process that was killed is a zombie only a moment later; the next signal may also be for one
                // whose parent is not this process, which is then told after its parent's end.
                let _ = tokio::time::timeout(Duration::from_millis(50), ends.recv()).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, all_gone).await;
    }

    /// Reaps adopted processes that have ended.
    pub(crate) fn reap_orphans(&self) {
        let awaited = self.awaited();
        let own = nix::unistd::getpid().as_raw();
        for (pid, parent) in parents() {
            if parent == own && !awaited.contains(&pid) {
                let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
            }
        }
    }
}

/// Tells each time that a child ended.
pub(crate) fn ends() -> io::Result<SignalStream> {
    signal(SignalKind::child())
}

/// Every process with its parent.
fn parents() -> HashMap<i32, i32> {
    let Ok(items) = std::fs::read_dir("/proc") else {
        return HashMap::new();
    };
    items
        .flatten()
        .filter_map(|item| {
            let pid: i32 = item.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may hold anything, so what follows the last one counts.
            let (_, rest) = stat.rsplit_once(')')?;
            let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}

/// Every process below this one.
fn descendants() -> Vec<i32> {
    let parents = parents();
    let mut found: HashSet<i32> = HashSet::from([nix::unistd::getpid().as_raw()]);
    let own = found.clone();
    loop {
        let before = found.len();
        for (pid, parent) in &parents {
            if found.contains(parent) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            return found.difference(&own).copied().collect();
        }
    }
}
