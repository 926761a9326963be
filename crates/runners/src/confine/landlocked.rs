//! The Landlock rules of one process: what is not granted here is denied.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::error::one_line;
use crate::wire::Cage;

/// The newest ABI that is asked for; the kernel's own is what is had.
pub(super) const NEWEST: ABI = ABI::V10;

/// Folders of the system that every program may read and execute from.
const SYSTEM: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
];
/// Folders that every program may read, but execute nothing from.
const READABLE: [&str; 6] = [
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system",
    "/sys/kernel/mm",
    // Where the resolver's configuration in /etc leads to.
    "/run/systemd/resolve",
    "/run/resolvconf",
];
/// Devices that hold nothing.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// How deep a system folder is taken apart around a hidden folder within it.
const DEEPEST: usize = 32;

/// Rules under way; folders that do not exist are left out.
struct Rules {
    created: RulesetCreated,
    hidden: Vec<PathBuf>,
}

impl Rules {
    /// Grants a path, but none of the hidden folders within it.
    fn grant(mut self, path: &Path, access: BitFlags<AccessFs>, depth: usize) -> Result<Self, String> {
        let Ok(real) = path.canonicalize() else {
            return Ok(self);
        };
        if self.hidden.iter().any(|hidden| real.starts_with(hidden)) {
            return Ok(self);
        }
        if self.hidden.iter().any(|hidden| hidden.starts_with(&real)) {
            if depth >= DEEPEST {
                return Ok(self);
            }
            let Ok(items) = std::fs::read_dir(&real) else {
                return Ok(self);
            };
            for item in items.flatten() {
                // A link is granted by where it leads, if that is granted.
                if item.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                    self = self.grant(&item.path(), access, depth + 1)?;
                }
            }
            return Ok(self);
        }
        self.exact(&real, access)
    }

    fn exact(mut self, path: &Path, access: BitFlags<AccessFs>) -> Result<Self, String> {
        let Ok(opened) = PathFd::new(path) else {
            return Ok(self);
        };
        let access = if path.is_dir() {
            access
        } else {
            access & AccessFs::from_file(NEWEST)
        };
        self.created = self
            .created
            .add_rule(PathBeneath::new(opened, access))
            .map_err(|error| {
                format!(
                    "Landlock refuses a rule for {}: {}",
                    path.display(),
                    one_line(&error)
                )
            })?;
        Ok(self)
    }
}

/// The rules for a process with this root.
pub(super) fn ruleset(cage: &Cage, root: &Path) -> Result<RulesetCreated, String> {
    let read = AccessFs::from_read(NEWEST);
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(NEWEST) & !(AccessFs::MakeBlock | AccessFs::MakeChar);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev | AccessFs::Truncate;
    let created = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(|error| format!("Landlock cannot be set up: {}", one_line(&error)))?;
    let hidden = cage
        .hidden
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let mut rules = Rules { created, hidden };
    for path in SYSTEM {
        rules = rules.grant(Path::new(path), read, 0)?;
    }
    for path in READABLE {
        rules = rules.grant(Path::new(path), look, 0)?;
    }
    for path in DEVICES {
        rules = rules.exact(Path::new(path), device)?;
    }
    for path in &cage.executables {
        rules = rules.exact(path, AccessFs::ReadFile | AccessFs::Execute)?;
    }
    for grant in &cage.grants {
        rules = rules.exact(&grant.path, if grant.write { write } else { read })?;
    }
    rules = rules.exact(root, write)?;
    Ok(rules.created)
}

/// Puts the rules in force for this process and all that it starts.
pub(super) fn enforce(rules: RulesetCreated, allow_unconfined: bool) -> Result<(), String> {
    let status = rules
        .restrict_self()
        .map_err(|error| format!("Landlock cannot be enforced: {}", one_line(&error)))?;
    if status.ruleset == RulesetStatus::NotEnforced && !allow_unconfined {
        return Err(
            "this kernel has no Landlock, so the process could read what is not its own; \
                    start the server with --allow-unconfined to run it all the same"
                .to_owned(),
        );
    }
    Ok(())
}
