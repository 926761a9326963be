//! Spec and status of each kind.

mod common;
mod environment;
mod module;
mod release;
mod resource;
mod resource_type;
mod rule_runner;
mod workload;

pub use common::SimpleStatus;
pub use environment::{EnvironmentSpec, EnvironmentStatus, EnvironmentTypeSpec, Mode, ProjectSpec};
pub use module::{
    DEFAULT_RUNNER, DependantsWait, DriverKind, ModuleContent, ModuleRequest, ModuleSpec, ModuleStatus,
    ModuleVersionSpec, Recovery, Retry, ScriptSpec, ScriptStep, Source,
};
pub use release::{Cause, PlanSpec, ReleaseSpec, ReleaseStatus, RunPhase, RunSpec, RunStatus};
pub use resource::{Applied, Phase, RequestedBy, ResourceSpec, ResourceStatus};
pub use resource_type::ResourceTypeSpec;
pub use rule_runner::{ModuleRuleSpec, RunnerKind, RunnerSpec, RunnerStatus};
pub use workload::{UploadedFile, WorkloadSpec};
