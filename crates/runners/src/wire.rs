//! The private forms in which specifications cross the pipe from server to shim and from shim to the confining
//! process. They hold secrets in clear and exist for that moment only: nothing writes them to disk.
//!
//! Like the control protocol they only grow, since a server starts shims of its own version, but a shim may start
//! confining processes long after the server was upgraded (of the shim's own version: it executes itself).

use std::collections::BTreeMap;
use std::path::PathBuf;

use podium_model::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::specification::{
    BeforeCondition, Container, FileContent, Grant, Limits, LogVisibility, Probe, RestartPolicy, ResultFile,
    RootFile, RunAs, StateFolder, StepCommand, StepSpec, Value, Volume, WorkloadSpec,
};

/// Bytes as base64 in JSON.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}

/// A secret in clear, on its way.
#[derive(Clone)]
pub(crate) struct Clear(pub(crate) Secret);

impl Serialize for Clear {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Clear {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// A text that is a secret or is not.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Text {
    #[serde(rename = "t")]
    pub(crate) text: Clear,
    #[serde(rename = "s", default)]
    pub(crate) secret: bool,
}

impl From<&Value> for Text {
    fn from(value: &Value) -> Self {
        match value {
            Value::Plain(text) => Self {
                text: Clear(Secret::new(text.clone())),
                secret: false,
            },
            Value::Secret(secret) => Self {
                text: Clear(secret.clone()),
                secret: true,
            },
        }
    }
}

pub(crate) type Environment = Vec<(String, Text)>;

fn environment(env: &[(String, Value)]) -> Environment {
    env.iter()
        .map(|(name, value)| (name.clone(), Text::from(value)))
        .collect()
}

/// A file to write.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) content: Content,
    pub(crate) mode: u32,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Content {
    Text(Text),
    Bytes(#[serde(with = "base64_bytes")] Vec<u8>),
}

impl From<&RootFile> for File {
    fn from(file: &RootFile) -> Self {
        let content = match &file.content {
            FileContent::Text(value) => Content::Text(value.into()),
            FileContent::Bytes(bytes) => Content::Bytes(bytes.clone()),
        };
        Self {
            path: file.path.clone(),
            content,
            mode: file.mode,
        }
    }
}

impl Content {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.text.0.expose().as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// How every process of a shim is confined.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Cage {
    /// The user to become, when the shim is root.
    pub(crate) run_as: Option<RunAs>,
    /// Paths outside the root that may be used.
    pub(crate) grants: Vec<Grant>,
    /// Single files that may be executed.
    pub(crate) executables: Vec<PathBuf>,
    /// Folders that no grant of a system folder may open.
    pub(crate) hidden: Vec<PathBuf>,
    /// Whether to go on where the kernel has no Landlock.
    pub(crate) allow_unconfined: bool,
}

/// What the shim is told at its start.
#[derive(Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) v: u32,
    pub(crate) id: String,
    pub(crate) root: PathBuf,
    #[serde(with = "base64_bytes")]
    pub(crate) seal_key: Vec<u8>,
    pub(crate) cage: Cage,
    pub(crate) folders: Vec<String>,
    pub(crate) files: Vec<File>,
    pub(crate) masked: Vec<Clear>,
    pub(crate) grace_ms: u64,
    pub(crate) log_size: u64,
    pub(crate) log_files: u32,
    pub(crate) work: Work,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Work {
    Step(Step),
    Workload(Workload),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) commands: Vec<Command>,
    pub(crate) time_limit_ms: u64,
    pub(crate) lease_deadline_ms: Option<i64>,
    pub(crate) output_limit: u64,
    pub(crate) results: Vec<ResultFile>,
    pub(crate) state: Option<StateFolder>,
    pub(crate) log: LogVisibility,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Environment,
    pub(crate) folder: Option<String>,
    pub(crate) limits: Limits,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Workload {
    pub(crate) digest: String,
    pub(crate) containers: Vec<Part>,
    pub(crate) backoff_first_ms: u64,
    pub(crate) backoff_most_ms: u64,
    pub(crate) backoff_reset_ms: u64,
}

/// A container.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) command: Command,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) liveness: Option<Probe>,
    pub(crate) readiness: Option<Probe>,
    pub(crate) after: BTreeMap<String, BeforeCondition>,
    pub(crate) restart: RestartPolicy,
}

/// What the confining process is told over its standard input.
#[derive(Serialize, Deserialize)]
pub(crate) struct Confine {
    pub(crate) cage: Cage,
    pub(crate) limits: Limits,
    pub(crate) root: PathBuf,
    pub(crate) folder: Option<String>,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Environment,
    pub(crate) parent: i32,
}

/// The shim's answer on its standard output once it can be asked.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) enum Reply {
    Ready,
    Refused(Refusal),
}

/// Why a shim, or a confining process, does not go on.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Refusal {
    /// Whether another shim holds the work.
    #[serde(default)]
    pub(crate) held: bool,
    pub(crate) reason: String,
}

/// What the shim writes into `boot`.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Boot {
    /// The kernel's boot id: after a restart of the machine nothing of before runs.
    #[serde(rename = "bootId")]
    pub(crate) kernel: String,
    /// The shim, which leads a session of the same number.
    pub(crate) pid: i32,
    /// The digest of a workload's specification.
    #[serde(default)]
    pub(crate) digest: Option<String>,
    /// Where the root is.
    pub(crate) root: PathBuf,
}

/// One request on the control socket.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Request {
    pub(crate) v: u32,
    pub(crate) op: String,
    /// For `logs`: how many lines of the past to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tail: Option<usize>,
}

/// One answer on the control socket. Exactly one of the optional fields is there.
#[derive(Serialize, Deserialize, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Box<serde_json::value::RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ok: bool,
}

/// The version of the control protocol.
pub(crate) const PROTOCOL: u32 = 1;

impl Step {
    pub(crate) fn from_spec(spec: &StepSpec) -> Self {
        Self {
            commands: spec
                .commands
                .iter()
                .map(|command| Command::from_step(command, &spec.limits))
                .collect(),
            time_limit_ms: millis(spec.time_limit),
            lease_deadline_ms: spec.lease_deadline_ms,
            output_limit: spec.output_limit,
            results: spec.results.clone(),
            state: spec.state.clone(),
            log: spec.log,
        }
    }
}

impl Command {
    fn from_step(command: &StepCommand, limits: &Limits) -> Self {
        Self {
            name: command.name.clone(),
            argv: command.argv.clone(),
            env: environment(&command.env),
            folder: command.folder.clone(),
            limits: limits.clone(),
        }
    }
}

impl Part {
    fn from_container(container: &Container) -> Self {
        Self {
            command: Command {
                name: container.name.clone(),
                argv: container.argv.clone(),
                env: environment(&container.env),
                folder: container.folder.clone(),
                limits: container.limits.clone(),
            },
            volumes: container.volumes.clone(),
            liveness: container.liveness.clone(),
            readiness: container.readiness.clone(),
            after: container.after.clone(),
            restart: container.restart,
        }
    }
}

impl Workload {
    pub(crate) fn from_spec(spec: &WorkloadSpec) -> Self {
        Self {
            digest: spec.digest.clone(),
            containers: spec.containers.iter().map(Part::from_container).collect(),
            backoff_first_ms: millis(spec.backoff_first),
            backoff_most_ms: millis(spec.backoff_most),
            backoff_reset_ms: millis(spec.backoff_reset),
        }
    }
}

impl Start {
    /// Every secret that the work was given.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = self.masked.iter().map(|clear| clear.0.clone()).collect();
        for file in &self.files {
            if let Content::Text(text) = &file.content
                && text.secret
            {
                secrets.push(text.text.0.clone());
            }
        }
        let environments: Vec<&Environment> = match &self.work {
            Work::Step(step) => step.commands.iter().map(|command| &command.env).collect(),
            Work::Workload(workload) => workload.containers.iter().map(|part| &part.command.env).collect(),
        };
        for (_, text) in environments.into_iter().flatten() {
            if text.secret {
                secrets.push(text.text.0.clone());
            }
        }
        secrets
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
