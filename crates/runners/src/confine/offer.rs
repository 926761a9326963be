//! What this machine offers to confine processes with.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
};
use nix::unistd::{AccessFlags, Uid};
use serde::{Deserialize, Serialize};

/// Sockets through which a process could have a container daemon act for it.
const DAEMON_SOCKETS: [&str; 5] = [
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
];

/// What this machine offers to confine processes with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confinement {
    /// The version of Landlock, 0 without.
    pub landlock_abi: u32,
    /// Whether processes run as another user than the server.
    pub other_user: bool,
    /// What is missing, each as a sentence for a person; empty when processes are confined as promised.
    pub gaps: Vec<String>,
}

impl Confinement {
    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }
}

/// Finds out what this machine offers. Takes a thread for a moment, because Landlock tells its version only to who
/// restricts itself.
pub fn confinement_status() -> Confinement {
    let other_user = Uid::effective().is_root();
    let landlock_abi = landlock_abi();
    let mut gaps = Vec::new();
    if landlock_abi == 0 {
        gaps.push(
            "the kernel has no Landlock (or it is switched off), so processes can read every file that their user \
             can read"
                .to_owned(),
        );
    }
    // From ABI 9 Landlock also denies to connect to sockets outside the root.
    if !other_user && landlock_abi < ABI::V9 as u32 {
        for socket in daemon_sockets() {
            if nix::unistd::access(&socket, AccessFlags::W_OK).is_ok() {
                gaps.push(format!(
                    "the container daemon's socket {} is open to this user, and so to every process that is run",
                    socket.display()
                ));
            }
        }
    }
    Confinement {
        landlock_abi,
        other_user,
        gaps,
    }
}

fn daemon_sockets() -> Vec<PathBuf> {
    let mut sockets: Vec<PathBuf> = DAEMON_SOCKETS.iter().map(PathBuf::from).collect();
    let own = PathBuf::from(format!("/run/user/{}", Uid::effective()));
    sockets.push(own.join("docker.sock"));
    sockets.push(own.join("podman/podman.sock"));
    sockets
}

fn landlock_abi() -> u32 {
    let asked = std::thread::spawn(|| {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V1))
            .and_then(Ruleset::create)
            .and_then(|rules| rules.no_new_privs(true).restrict_self())
            .map(|status| status.landlock)
    });
    match asked.join() {
        Ok(Ok(LandlockStatus::Available { effective_abi, .. })) => effective_abi as u32,
        _ => 0,
    }
}
