//! Where a driver's work executes, and the shim that outlives the server.
//!
//! **What it guarantees.** A step or a workload runs under its own supervisor process, the [`shim`], in a session
//! of its own: a server that is killed or upgraded disturbs neither, and finds both again by their folder. The
//! processes themselves are confined by [`confine`]: another user when the server is root, Landlock where the
//! kernel has it, no new privileges, limits. A step's result is sealed before it touches the disk. Secrets go to
//! the shim over a pipe, and are masked by value in what is logged.
//!
//! **What it refuses.** No shell strings: commands are argument vectors. No path outside a root is written or
//! read on behalf of a document. No secret in an argument, and none on disk but in the private root of the work
//! that was given it.
//!
//! **Rejected.** A supervisor inside the server (dies with it); systemd or a container runtime (not there on a
//! developer's machine); the environment of the confining process as the way in for variables (a variable such as
//! `LD_PRELOAD` would then reach a process that is still privileged).
//!
//! [`ProcessRunner`] is the server's side; the binary's hidden commands `podium shim` and `podium confine` call
//! [`shim::main`] and [`confine::main`].

pub mod archive;
mod beneath;
pub mod confine;
mod error;
mod frame;
pub mod log;
mod mask;
pub mod process;
mod seal;
pub mod shim;
mod specification;
mod status;
mod validate;
mod wire;

pub use confine::{Confinement, confinement_status};
pub use error::RunnerError;
pub use process::{COMMAND_PATH, ProcessRunner, RunnerSettings, StepHandle};
pub use seal::SealKey;
pub use specification::{
    BeforeCondition, Container, FileContent, Grant, Limits, LogVisibility, Probe, ProbeAction, RestartPolicy,
    ResultFile, RootFile, RunAs, StateFolder, StepCommand, StepSpec, Value, Volume, WorkloadSpec,
};
pub use status::{
    ContainerState, ContainerStatus, Exit, OnDisk, ResultContent, StepEnd, StepOutcome, StepProgress,
    WorkloadPresence, WorkloadStatus,
};
