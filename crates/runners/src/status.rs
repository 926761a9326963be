//! What the runner tells of steps and workloads, on the wire and to the server.
//!
//! These forms cross between versions of server and shim, so they only grow: a new field has a default.

use serde::{Deserialize, Serialize};

use crate::archive::Archive;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// Whether it is exit code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit code {code}"),
            Self::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(formatter, "signal {name}"),
                Err(_) => write!(formatter, "signal {signal}"),
            },
        }
    }
}

/// Why a step is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "end")]
pub enum StepEnd {
    /// Every command ended with exit code 0.
    Succeeded,
    /// A command failed.
    Failed {
        /// Which.
        command: String,
        /// How it ended.
        exit: Exit,
    },
    /// A command could not be started, or its confinement could not be had.
    NotStarted {
        /// Which.
        command: String,
        /// Why.
        reason: String,
    },
    /// The time limit passed, and the group was killed.
    TimedOut {
        /// The command that was running.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// It was told to stop.
    Stopped {
        /// The command that was running.
        command: String,
    },
    /// The shim is gone and left no result: whatever the step began may or may not be done.
    Lost,
}

/// A result file as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResultContent {
    /// Its bytes.
    Bytes(#[serde(with = "crate::wire::base64_bytes")] Vec<u8>),
    /// It does not exist.
    Absent,
    /// It was not read, for this reason.
    Refused(String),
}

/// What a step left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepOutcome {
    /// Why it is over.
    #[serde(flatten)]
    pub end: StepEnd,
    /// Milliseconds of the epoch when it started; 0 for a lost step.
    #[serde(default)]
    pub started_ms: i64,
    /// Milliseconds of the epoch when it ended; 0 for a lost step.
    #[serde(default)]
    pub ended_ms: i64,
    /// Whether more was printed than was kept.
    #[serde(default)]
    pub output_truncated: bool,
    /// The last lines, or with [`crate::LogVisibility::Withheld`] all of them, masked by what was given.
    #[serde(default)]
    pub log: Vec<String>,
    /// The result files that were asked for.
    #[serde(default)]
    pub results: Vec<(String, ResultContent)>,
    /// The state folder that was asked for.
    #[serde(default)]
    pub state: Option<Result<Archive, String>>,
}

impl StepOutcome {
    /// The outcome of a step whose shim is gone.
    pub fn lost() -> Self {
        Self {
            end: StepEnd::Lost,
            started_ms: 0,
            ended_ms: 0,
            output_truncated: false,
            log: Vec::new(),
            results: Vec::new(),
            state: None,
        }
    }

    /// The bytes of a result file, when it was read.
    pub fn result(&self, path: &str) -> Option<&[u8]> {
        self.results.iter().find_map(|(name, content)| match content {
            ResultContent::Bytes(bytes) if name == path => Some(bytes.as_slice()),
            _ => None,
        })
    }
}

/// Where a running step is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepProgress {
    /// The command that runs.
    pub command: String,
    /// Its place in the list, from 0.
    pub index: usize,
    /// Since when, in milliseconds of the epoch.
    pub since_ms: i64,
    /// Whether the result is written.
    pub done: bool,
}

/// Where a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// For another container.
    Waiting,
    /// Its process is being made.
    Starting,
    /// Its process runs.
    Running,
    /// It ended with exit code 0 and is not started again.
    Completed,
    /// It ended and is started again at `next_start_ms`.
    Backoff,
    /// It ended and is not started again.
    Failed,
    /// It was told to stop.
    Stopping,
    /// A state of a newer shim.
    #[serde(other)]
    Unknown,
}

/// One container of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub state: ContainerState,
    /// For a person: what it waits for, or why it could not start.
    #[serde(default)]
    pub reason: Option<String>,
    /// The process, while there is one.
    #[serde(default)]
    pub pid: Option<i32>,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u32,
    /// Since when it is in this state, in milliseconds of the epoch.
    #[serde(default)]
    pub since_ms: i64,
    /// How it ended last.
    #[serde(default)]
    pub last_exit: Option<Exit>,
    /// When it starts again, in milliseconds of the epoch.
    #[serde(default)]
    pub next_start_ms: Option<i64>,
    /// Whether its readiness probe, if any, succeeds.
    #[serde(default)]
    pub ready: bool,
    /// Why a probe last failed, until it succeeds.
    #[serde(default)]
    pub probe_failure: Option<String>,
    /// When that probe is tried next, in milliseconds of the epoch.
    #[serde(default)]
    pub next_probe_ms: Option<i64>,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// The digest of the specification that runs.
    pub digest: String,
    /// Whether all containers are ready or completed.
    pub ready: bool,
    /// Whether it is stopping.
    #[serde(default)]
    pub stopping: bool,
    /// Its containers.
    pub containers: Vec<ContainerStatus>,
}

/// A workload that was asked to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadPresence {
    /// It was started now.
    Started,
    /// It runs already, with the same digest.
    Kept,
    /// It runs with another digest; `ProcessRunner::replace_workload` is the caller's decision.
    Differs,
}

/// Work whose folder exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// The step's id or the workload's uid.
    pub id: String,
    /// Whether its shim or any of its processes lives.
    pub alive: bool,
    /// Whether a step's result is there.
    pub has_result: bool,
}
