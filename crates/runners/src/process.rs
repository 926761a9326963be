//! The runner *process*: the server's side of steps and workloads that run as processes on its own machine.
//!
//! **Guarantees.** What was started is found again by its id or uid after the server was killed. Starting is
//! idempotent. A step's outcome is its sealed result, or *lost* once its lock proves that nothing of it runs; a
//! step judged lost can no longer begin. Nothing polls: a wait ends with the socket, the lock or the file.
//!
//! **Folders.** Beneath the data folder: `runner/steps/ID` and `runner/workloads/UID`, which only the server
//! reads. Roots, volumes and the copy of the binary that processes may run must be reachable by the user that
//! they run as: they lie in `runner` beside those, or, where the data folder is closed to that user (such as one
//! in root's home), in a folder of this data folder's own beneath `/var/lib/podium`, to which `runner/open` leads.

mod connection;
mod layout;
mod leftovers;
mod logs;
mod steps;
mod tools;
mod workloads;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::Uid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::confine::{Confinement, confinement_status};
use crate::error::RunnerError;
use crate::frame;
use crate::seal::SealKey;
use crate::shim::START_VERSION;
use crate::specification::{Grant, RootFile, RunAs};
use crate::status::OnDisk;
use crate::wire;

use layout::{Kind, Layout};

pub use steps::StepHandle;

/// The `PATH` on which commands of modules and workloads are found: folders that every confined process may use.
pub const COMMAND_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a shim may take until it can be asked.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// How the runner is set up.
#[derive(Clone)]
pub struct RunnerSettings {
    /// The key from which those of the shims are derived. It must be the same after a restart.
    pub seal_key: SealKey,
    /// The user that processes run as when the server is root.
    pub run_as: RunAs,
    /// Whether to go on where the machine cannot confine.
    pub allow_unconfined: bool,
    /// Where roots and volumes lie when the data folder is closed to `run_as`; one of its own beneath `/var/lib/podium`
    /// unless set.
    pub open_folder: Option<PathBuf>,
    /// Folders beyond [`COMMAND_PATH`] whose commands processes may use.
    pub tool_folders: Vec<PathBuf>,
}

impl RunnerSettings {
    /// The default settings with this key.
    pub fn new(seal_key: SealKey) -> Self {
        Self {
            seal_key,
            run_as: RunAs::NOBODY,
            allow_unconfined: false,
            open_folder: None,
            tool_folders: Vec::new(),
        }
    }
}

/// Runs steps and workloads as processes.
#[derive(Clone)]
pub struct ProcessRunner {
    inner: Arc<Inner>,
}

struct Inner {
    layout: Layout,
    executable: PathBuf,
    settings: RunnerSettings,
    run_as: Option<RunAs>,
    confinement: Confinement,
    /// One at a time starts, stops or forgets a step or workload.
    turns: Mutex<BTreeMap<(Kind, String), Turn>>,
}

/// The right to change one step or workload.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// What a launch brought.
enum Launch {
    Started,
    Held,
}

impl ProcessRunner {
    /// Makes the runner's folders beneath `data`. `executable` is the binary with the commands `shim` and
    /// `confine`. Refuses when the machine cannot confine and the settings do not allow that.
    pub fn new(data: &Path, executable: PathBuf, settings: RunnerSettings) -> Result<Self, RunnerError> {
        let confinement = confinement_status();
        if !confinement.is_complete() && !settings.allow_unconfined {
            return Err(RunnerError::Unconfined {
                gaps: confinement.gaps.join("; "),
            });
        }
        let run_as = Uid::effective().is_root().then_some(settings.run_as);
        if run_as.is_some_and(|user| user.uid == 0) && !settings.allow_unconfined {
            return Err(RunnerError::Unconfined {
                gaps: "processes would run as root".to_owned(),
            });
        }
        let layout = Layout::make(data, settings.open_folder.as_deref(), run_as, &settings.seal_key)?;
        let turns = Mutex::default();
        let inner = Inner {
            layout,
            executable,
            settings,
            run_as,
            confinement,
            turns,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// How processes are confined here, and what is missing.
    pub fn confinement(&self) -> &Confinement {
        &self.inner.confinement
    }

    /// The folder that will be the root of a step: what its variables refer to.
    pub fn step_root(&self, id: &str) -> PathBuf {
        self.inner.layout.root(Kind::Step, id)
    }

    /// The folder that will be the root of a workload.
    pub fn workload_root(&self, uid: &str) -> PathBuf {
        self.inner.layout.root(Kind::Workload, uid)
    }

    /// The steps whose folder exists, ordered by id.
    pub fn list_steps(&self) -> Result<Vec<OnDisk>, RunnerError> {
        self.inner.layout.list(Kind::Step)
    }

    /// The workloads whose folder exists, ordered by uid.
    pub fn list_workloads(&self) -> Result<Vec<OnDisk>, RunnerError> {
        self.inner.layout.list(Kind::Workload)
    }

    /// A folder that is kept until [`Self::remove_volume`], owned by the user that processes run as.
    pub fn ensure_volume(&self, namespace: &str, name: &str) -> Result<PathBuf, RunnerError> {
        self.inner
            .layout
            .ensure_volume(namespace, name, self.inner.run_as)
    }

    /// Removes a volume with all that is in it. One that does not exist is removed already.
    pub fn remove_volume(&self, namespace: &str, name: &str) -> Result<(), RunnerError> {
        self.inner.layout.remove_volume(namespace, name)
    }

    /// A folder for the front of `PATH` in which processes find `podium`, when `may_run_podium` is set.
    pub fn podium_folder(&self) -> Result<PathBuf, RunnerError> {
        self.inner.layout.podium_folder(&self.inner.executable)
    }

    /// The commands that processes find on [`COMMAND_PATH`] and in the settings' folders, with their place.
    pub fn tools(&self) -> BTreeMap<String, PathBuf> {
        tools::all(&self.command_path())
    }

    /// The place of one command on that path.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        tools::find(&self.command_path(), name)
    }

    /// The `PATH` to give to processes.
    pub fn command_path(&self) -> String {
        let mut path = String::new();
        for folder in &self.inner.settings.tool_folders {
            path.push_str(&folder.to_string_lossy());
            path.push(':');
        }
        path.push_str(COMMAND_PATH);
        path
    }

    async fn turn(&self, kind: Kind, id: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.inner.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody waits for are dropped, so the map stays as large as what is under way.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry((kind, id.to_owned())).or_default())
        };
        turn.lock_owned().await
    }

    fn cage(&self, grants: &[Grant], may_run_podium: bool) -> Result<wire::Cage, RunnerError> {
        let mut grants = grants.to_vec();
        for folder in &self.inner.settings.tool_folders {
            grants.push(Grant {
                path: folder.clone(),
                write: false,
            });
        }
        let executables = if may_run_podium {
            vec![self.podium_folder()?.join("podium")]
        } else {
            Vec::new()
        };
        Ok(wire::Cage {
            run_as: self.inner.run_as,
            grants,
            executables,
            hidden: self.inner.layout.hidden(),
            allow_unconfined: self.inner.settings.allow_unconfined,
        })
    }

    fn start_message(&self, kind: Kind, id: &str, cage: wire::Cage, work: wire::Work) -> wire::Start {
        wire::Start {
            v: START_VERSION,
            id: id.to_owned(),
            root: self.inner.layout.root(kind, id),
            seal_key: self.inner.settings.seal_key.derive(id).0.to_vec(),
            cage,
            folders: Vec::new(),
            files: Vec::new(),
            masked: Vec::new(),
            grace_ms: 10_000,
            log_size: 8 << 20,
            log_files: 3,
            work,
        }
    }

    /// Starts a shim and returns once it can be asked.
    async fn launch(&self, kind: Kind, start: &wire::Start) -> Result<Launch, RunnerError> {
        let folder = self.inner.layout.make_folder(kind, &start.id)?;
        let refused = |reason: String| RunnerError::ShimRefused {
            id: start.id.clone(),
            reason,
        };
        let message = frame::encode(start).map_err(|error| refused(error.to_string()))?;
        let mut child = tokio::process::Command::new(&self.inner.executable)
            .arg("shim")
            .arg("--dir")
            .arg(&folder)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(RunnerError::io("execute", &self.inner.executable))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // Reaps it when it ends while this server lives.
        tokio::spawn(async move { child.wait().await });
        let talk = async move {
            if let Some(mut stdin) = stdin {
                // A shim that refuses early does not read to the end, and says why below.
                let _ = stdin.write_all(&message).await;
            }
            let mut answer = Vec::new();
            if let Some(stdout) = stdout {
                let _ = stdout.take(64 << 10).read_to_end(&mut answer).await;
            }
            answer
        };
        let answer = tokio::time::timeout(START_PATIENCE, talk)
            .await
            .map_err(|_| refused(format!("it did not answer within {} s", START_PATIENCE.as_secs())))?;
        match frame::read::<wire::Reply>(answer.as_slice()) {
            Ok(wire::Reply::Ready) => Ok(Launch::Started),
            Ok(wire::Reply::Refused(wire::Refusal { held: true, .. })) => Ok(Launch::Held),
            Ok(wire::Reply::Refused(wire::Refusal { reason, .. })) => Err(refused(reason)),
            Err(error) => Err(refused(format!("its answer cannot be read: {error}"))),
        }
    }
}

fn wire_files<'a>(files: impl IntoIterator<Item = &'a RootFile>) -> Vec<wire::File> {
    files.into_iter().map(wire::File::from).collect()
}
