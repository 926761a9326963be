//! What a driver asks the runner to run: steps and workloads.
//!
//! The types that hold secrets cannot be serialised; they cross the pipe to the shim in the private form of
//! `wire`. The others are plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use podium_model::secret::Secret;
use serde::{Deserialize, Serialize};

/// A text that is a secret or is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// May be shown.
    Plain(String),
    /// Is masked in logs and never written outside the work's own root.
    Secret(Secret),
}

impl Value {
    /// The text, to hand to the process that was promised it.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

/// A user to run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// The user's number.
    pub uid: u32,
    /// The group's number; there are no supplementary groups.
    pub gid: u32,
}

impl RunAs {
    /// The user `nobody`.
    pub const NOBODY: Self = Self {
        uid: 65534,
        gid: 65534,
    };
}

/// A path outside the root that the work may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The absolute path of a folder or file.
    pub path: PathBuf,
    /// Whether it may be written.
    #[serde(default)]
    pub write: bool,
}

/// A file to write beneath the root before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFile {
    /// Where, relative to the root; a leading `/` is taken as the root.
    pub path: String,
    /// What.
    pub content: FileContent,
    /// Mode bits, such as `0o600`. The owner is the user that the work runs as.
    pub mode: u32,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// Text, secret or not.
    Text(Value),
    /// Any bytes; never treated as a secret.
    Bytes(Vec<u8>),
}

impl RootFile {
    /// A text file.
    pub fn text(path: impl Into<String>, content: impl Into<Value>, mode: u32) -> Self {
        Self {
            path: path.into(),
            content: FileContent::Text(content.into()),
            mode,
        }
    }

    /// A file of any bytes.
    pub fn bytes(path: impl Into<String>, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self {
            path: path.into(),
            content: FileContent::Bytes(content.into()),
            mode,
        }
    }
}

/// Limits of one step or container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Open files.
    pub open_files: u64,
    /// Processes and threads of the user; set only when that user is another than the server's.
    pub processes: u64,
    /// The largest file that may be written, in bytes.
    pub file_size: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_files: 65_536,
            processes: 4_096,
            file_size: None,
        }
    }
}

/// One command of a step.
#[derive(Clone, Debug)]
pub struct StepCommand {
    /// Names it in the log: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The argument vector. A bare first word is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(String, Value)>,
    /// The working folder relative to the root.
    pub folder: Option<String>,
}

/// A file that a step leaves as its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultFile {
    /// Where, relative to the root.
    pub path: String,
    /// The largest size that is taken, in bytes.
    pub limit: u64,
}

/// A folder beneath the root that a step leaves to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFolder {
    /// Where, relative to the root.
    pub path: String,
    /// The largest sum of contents that is taken, in bytes.
    pub limit: u64,
    /// The largest number of files.
    pub files: usize,
}

/// When a step's lines may be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogVisibility {
    /// At once.
    #[default]
    Live,
    /// Only from the sealed result, because the step may print a secret that nobody knows yet. The caller masks
    /// them by the values that the result reveals.
    Withheld,
}

/// One step: commands that run one after another in one root, until one fails.
#[derive(Clone, Debug)]
pub struct StepSpec {
    /// The step's deterministic name: lower-case letters, digits, `-` and `.`, at most 128.
    pub id: String,
    /// The commands, in order.
    pub commands: Vec<StepCommand>,
    /// Folders to make beneath the root.
    pub folders: Vec<String>,
    /// Files to write beneath the root.
    pub files: Vec<RootFile>,
    /// Secrets to mask beyond those in `env` and `files`.
    pub masked: Vec<Secret>,
    /// How long all commands together may take.
    pub time_limit: Duration,
    /// How long a process has between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Milliseconds of the epoch at which nothing of the step runs any more, whatever `time_limit` says.
    pub lease_deadline_ms: Option<i64>,
    /// Bytes of stdout and stderr that are kept; more is read and dropped.
    pub output_limit: u64,
    /// Limits of each command.
    pub limits: Limits,
    /// What to bring back.
    pub results: Vec<ResultFile>,
    /// A folder to bring back.
    pub state: Option<StateFolder>,
    /// Paths outside the root that the commands may use.
    pub grants: Vec<Grant>,
    /// Whether the commands may run `podium`.
    pub may_run_podium: bool,
    /// When the lines may be seen.
    pub log: LogVisibility,
}

impl StepSpec {
    /// A step with the default limits: 10 minutes, 10 s of grace, 4 MiB of output.
    pub fn new(id: impl Into<String>, commands: Vec<StepCommand>) -> Self {
        Self {
            id: id.into(),
            commands,
            folders: Vec::new(),
            files: Vec::new(),
            masked: Vec::new(),
            time_limit: Duration::from_mins(10),
            grace: Duration::from_secs(10),
            lease_deadline_ms: None,
            output_limit: 4 << 20,
            limits: Limits::default(),
            results: Vec::new(),
            state: None,
            grants: Vec::new(),
            may_run_podium: false,
            log: LogVisibility::Live,
        }
    }
}

/// A kept folder that a workload sees at a path beneath its root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where, relative to the root; a leading `/` is taken as the root.
    pub target: String,
    /// The folder on this machine, as `ProcessRunner::ensure_volume` gave it.
    pub source: PathBuf,
    /// Whether it may only be read.
    #[serde(default)]
    pub read_only: bool,
}

/// What another container must have reached before this one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeforeCondition {
    /// Its process runs.
    Started,
    /// It is ready.
    Healthy,
    /// It ended with exit code 0; it is not started again.
    Complete,
}

/// When a container that ended starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Always.
    #[default]
    Always,
    /// When it failed.
    OnFailure,
    /// Never.
    Never,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeAction {
    /// Asks by HTTP; 200 to 399 is success.
    HttpGet {
        /// `HTTP`, in any case; anything else is refused when the workload is started.
        scheme: String,
        /// The host, mostly `127.0.0.1`.
        host: String,
        /// The port.
        port: u16,
        /// Path and query.
        path: String,
        /// Headers beyond `Host`.
        headers: Vec<(String, String)>,
    },
    /// Runs a command as the container would; exit code 0 is success.
    Exec {
        /// The argument vector.
        argv: Vec<String>,
    },
}

/// A probe and its timing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What it does.
    pub action: ProbeAction,
    /// Time between two attempts once it succeeded; before that it is tried sooner.
    pub period_ms: u64,
    /// How long one attempt may take.
    pub timeout_ms: u64,
    /// How many failures in a row count as failed.
    pub failures: u32,
}

impl Probe {
    /// A probe with the timing of Kubernetes, but a timeout of 5 seconds.
    pub fn new(action: ProbeAction) -> Self {
        Self {
            action,
            period_ms: 10_000,
            timeout_ms: 5_000,
            failures: 3,
        }
    }
}

/// One container of a workload, run as a process group.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its name in the workload: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The argument vector. A bare first word is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(String, Value)>,
    /// The working folder relative to the root.
    pub folder: Option<String>,
    /// Files to write beneath the workload's root.
    pub files: Vec<RootFile>,
    /// Volumes to link beneath the workload's root.
    pub volumes: Vec<Volume>,
    /// Restarts the container when it fails.
    pub liveness: Option<Probe>,
    /// Says whether the container is ready.
    pub readiness: Option<Probe>,
    /// What other containers must have reached before this one starts.
    pub after: BTreeMap<String, BeforeCondition>,
    /// When it starts again.
    pub restart: RestartPolicy,
    /// Limits.
    pub limits: Limits,
}

impl Container {
    /// A container that runs this and has nothing else.
    pub fn new(name: impl Into<String>, argv: Vec<String>) -> Self {
        Self {
            name: name.into(),
            argv,
            env: Vec::new(),
            folder: None,
            files: Vec::new(),
            volumes: Vec::new(),
            liveness: None,
            readiness: None,
            after: BTreeMap::new(),
            restart: RestartPolicy::Always,
            limits: Limits::default(),
        }
    }
}

/// A workload: containers that share one root and one lifetime.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// The uid of the Resource: names folder and lock.
    pub uid: String,
    /// Tells one desired content from another; the caller's keyed digest over everything below.
    pub digest: String,
    /// The containers.
    pub containers: Vec<Container>,
    /// Folders to make beneath the root.
    pub folders: Vec<String>,
    /// Secrets to mask beyond those in `env` and `files`.
    pub masked: Vec<Secret>,
    /// Paths outside the root that the containers may use.
    pub grants: Vec<Grant>,
    /// Whether the containers may run `podium`.
    pub may_run_podium: bool,
    /// How long a container has between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The first pause before a restart, doubled each time.
    pub backoff_first: Duration,
    /// The longest pause before a restart.
    pub backoff_most: Duration,
    /// A container that ran this long starts with the first pause again.
    pub backoff_reset: Duration,
    /// Size at which a log file is rotated, in bytes.
    pub log_size: u64,
    /// Rotated log files to keep.
    pub log_files: u32,
}

impl WorkloadSpec {
    /// A workload with the default timing: 10 s of grace, pauses of 1 s to 60 s, reset after 10 minutes.
    pub fn new(uid: impl Into<String>, digest: impl Into<String>, containers: Vec<Container>) -> Self {
        Self {
            uid: uid.into(),
            digest: digest.into(),
            containers,
            folders: Vec::new(),
            masked: Vec::new(),
            grants: Vec::new(),
            may_run_podium: false,
            grace: Duration::from_secs(10),
            backoff_first: Duration::from_secs(1),
            backoff_most: Duration::from_mins(1),
            backoff_reset: Duration::from_mins(10),
            log_size: 8 << 20,
            log_files: 3,
        }
    }
}
