//! The runner's folders.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::error::RunnerError;
use crate::seal::SealKey;
use crate::specification::RunAs;
use crate::status::OnDisk;
use crate::validate;

/// Where a data folder that is closed to the processes' user has what they reach.
const ELSEWHERE: &str = "/var/lib/podium";

/// Steps or workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Step,
    Workload,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Step => "steps",
            Self::Workload => "workloads",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Workload => "workload",
        }
    }
}

pub(super) struct Layout {
    data: PathBuf,
    /// What only the server reads.
    closed: PathBuf,
    /// What processes reach: roots, volumes, the binary.
    open: PathBuf,
}

impl Layout {
    pub(super) fn make(
        data: &Path,
        open_folder: Option<&Path>,
        run_as: Option<RunAs>,
        key: &SealKey,
    ) -> Result<Self, RunnerError> {
        let data = data
            .canonicalize()
            .map_err(RunnerError::io("find the data folder", data))?;
        let closed = data.join("runner");
        let folder_mode = if run_as.is_some() { 0o711 } else { 0o700 };
        make(&closed, folder_mode)?;
        let open = match run_as {
            Some(user) if !is_reachable(&closed, user) => {
                let open = match open_folder {
                    Some(folder) => folder.to_owned(),
                    None => elsewhere(&data, &closed, key)?,
                };
                for above in open.ancestors().collect::<Vec<_>>().into_iter().rev() {
                    if !above.exists() {
                        make(above, 0o711)?;
                    }
                }
                if !is_reachable(&open, user) {
                    return Err(RunnerError::invalid(
                        open.display().to_string(),
                        format!(
                            "user {} cannot reach this folder, so nothing can run in it; choose one whose parents \
                             are open to it",
                            user.uid
                        ),
                    ));
                }
                open
            }
            _ => closed.clone(),
        };
        for folder in ["steps", "workloads"] {
            make(&closed.join(folder), 0o700)?;
        }
        for folder in ["roots", "volumes", "bin"] {
            make(&open.join(folder), folder_mode)?;
        }
        Ok(Self { data, closed, open })
    }

    /// What no process may read but by a grant of its own.
    pub(super) fn hidden(&self) -> Vec<PathBuf> {
        vec![self.data.clone(), self.open.clone()]
    }

    pub(super) fn folder(&self, kind: Kind, id: &str) -> PathBuf {
        self.closed.join(kind.folder()).join(id)
    }

    pub(super) fn root(&self, kind: Kind, id: &str) -> PathBuf {
        let letter = match kind {
            Kind::Step => 's',
            Kind::Workload => 'w',
        };
        self.open.join("roots").join(format!("{letter}-{id}"))
    }

    pub(super) fn make_folder(&self, kind: Kind, id: &str) -> Result<PathBuf, RunnerError> {
        let folder = self.folder(kind, id);
        make(&folder, 0o700)?;
        Ok(folder)
    }

    /// Removes the root alone.
    pub(super) fn remove_root(&self, kind: Kind, id: &str) -> Result<(), RunnerError> {
        remove(&self.root(kind, id))
    }

    /// Removes folder and root. The root goes first: while the folder is there, what is left is still known.
    pub(super) fn remove(&self, kind: Kind, id: &str) -> Result<(), RunnerError> {
        self.remove_root(kind, id)?;
        remove(&self.folder(kind, id))
    }

    pub(super) fn list(&self, kind: Kind) -> Result<Vec<OnDisk>, RunnerError> {
        let above = self.closed.join(kind.folder());
        let mut found = Vec::new();
        for item in std::fs::read_dir(&above).map_err(RunnerError::io("list", &above))? {
            let item = item.map_err(RunnerError::io("list", &above))?;
            let Ok(id) = item.file_name().into_string() else {
                continue;
            };
            let folder = item.path();
            let alive = is_held(&folder)?;
            found.push(OnDisk {
                id,
                alive,
                has_result: folder.join("result").exists(),
            });
        }
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    fn volume(&self, namespace: &str, name: &str) -> Result<PathBuf, RunnerError> {
        validate::id("volume's namespace", namespace)?;
        validate::id("volume", name)?;
        Ok(self.open.join("volumes").join(namespace).join(name))
    }

    pub(super) fn ensure_volume(
        &self,
        namespace: &str,
        name: &str,
        run_as: Option<RunAs>,
    ) -> Result<PathBuf, RunnerError> {
        let path = self.volume(namespace, name)?;
        if let Some(above) = path.parent() {
            make(above, if run_as.is_some() { 0o711 } else { 0o700 })?;
        }
        make(&path, 0o700)?;
        if let Some(user) = run_as {
            std::os::unix::fs::lchown(&path, Some(user.uid), Some(user.gid))
                .map_err(RunnerError::io("hand over the volume", &path))?;
        }
        Ok(path)
    }

    pub(super) fn remove_volume(&self, namespace: &str, name: &str) -> Result<(), RunnerError> {
        let path = self.volume(namespace, name)?;
        remove(&path)?;
        if let Some(above) = path.parent() {
            // Goes only when it was the last of its namespace.
            let _ = std::fs::remove_dir(above);
        }
        Ok(())
    }

    /// The binary under the name `podium`, where processes reach it: linked, or copied once per version.
    pub(super) fn podium_folder(&self, executable: &Path) -> Result<PathBuf, RunnerError> {
        let metadata = executable
            .metadata()
            .map_err(RunnerError::io("read", executable))?;
        let version = format!(
            "{:x}-{:x}{:09x}",
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec()
        );
        let bin = self.open.join("bin");
        let folder = bin.join(version);
        let target = folder.join("podium");
        if target.exists() {
            return Ok(folder);
        }
        make(&folder, 0o711)?;
        let temporary = folder.join(format!("podium.{}", std::process::id()));
        let _ = std::fs::remove_file(&temporary);
        let open_to_all = metadata.mode() & 0o555 == 0o555;
        if !open_to_all || std::fs::hard_link(executable, &temporary).is_err() {
            std::fs::copy(executable, &temporary)
                .map_err(RunnerError::io("copy the binary to", &temporary))?;
            std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o755))
                .map_err(RunnerError::io("open to others", &temporary))?;
        }
        std::fs::rename(&temporary, &target).map_err(RunnerError::io("name", &target))?;
        Ok(folder)
    }
}

/// The folder beneath [`ELSEWHERE`] of this data folder, to which `runner/open` leads. Its name comes from the data
/// folder's path and its key, so that neither a new data folder in an old one's place nor a copy takes up volumes that
/// are not its own.
fn elsewhere(data: &Path, closed: &Path, key: &SealKey) -> Result<PathBuf, RunnerError> {
    let mut about = b"folder of ".to_vec();
    about.extend_from_slice(data.as_os_str().as_encoded_bytes());
    let open = Path::new(ELSEWHERE).join(key.name(&about));
    let link = closed.join("open");
    match std::fs::read_link(&link) {
        Ok(former) if former == open => Ok(open),
        Ok(former) => Err(RunnerError::invalid(
            data.display().to_string(),
            format!(
                "was moved or copied, and the volumes of its workloads are still in {0}; when it was moved, run `mv -T \
                 {0} {1} && ln -sfn {1} {2}`, and to begin without them remove {2}",
                former.display(),
                open.display(),
                link.display()
            ),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::os::unix::fs::symlink(&open, &link).map_err(RunnerError::io("make the link", &link))?;
            Ok(open)
        }
        Err(error) => Err(RunnerError::io("read the link", link)(error)),
    }
}

/// Makes a folder with exactly this mode; one that is there already is kept.
fn make(path: &Path, mode: u32) -> Result<(), RunnerError> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(RunnerError::io("set the mode of", path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = path.symlink_metadata().map_err(RunnerError::io("read", path))?;
            if metadata.is_dir() {
                return Ok(());
            }
            Err(RunnerError::invalid(
                path.display().to_string(),
                "is no folder; move it away",
            ))
        }
        Err(error) => Err(RunnerError::io("make the folder", path)(error)),
    }
}

fn remove(path: &Path) -> Result<(), RunnerError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RunnerError::io("remove the folder", path)(error))
        }
        _ => Ok(()),
    }
}

/// Whether a user may pass through every folder down to this one.
fn is_reachable(path: &Path, user: RunAs) -> bool {
    path.ancestors().all(|folder| {
        folder.metadata().is_ok_and(|metadata| {
            let bit = if metadata.uid() == user.uid {
                0o100
            } else if metadata.gid() == user.gid {
                0o010
            } else {
                0o001
            };
            metadata.mode() & bit != 0
        })
    })
}

/// Whether a shim or any of its processes lives.
pub(super) fn is_held(folder: &Path) -> Result<bool, RunnerError> {
    Ok(try_lock(folder, FlockArg::LockSharedNonblock)?.is_held())
}

/// What trying a lock found.
pub(super) enum Tried {
    /// There is no lock file: nothing ever began.
    Absent,
    /// Somebody lives.
    Held,
    /// Nobody lives; as long as this is kept, nobody begins.
    Free(Flock<File>),
}

impl Tried {
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held)
    }
}

pub(super) fn try_lock(folder: &Path, how: FlockArg) -> Result<Tried, RunnerError> {
    let path = folder.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tried::Absent),
        Err(error) => return Err(RunnerError::io("open", path)(error)),
    };
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Tried::Free(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(Tried::Held),
        Err((_, error)) => Err(RunnerError::io("lock", path)(error.into())),
    }
}
