//! The kinds that Podium itself defines: their specs, and what the API server needs to serve them.

mod definition;
mod registry;
mod spec;

pub use definition::{Column, KindDefinition, Subresource, Writes};
pub use registry::{
    ENVIRONMENT_TYPES, ENVIRONMENTS, GROUP, MODULE_RULES, MODULE_VERSIONS, MODULES, PLANS, PROJECTS,
    RELEASES, RESOURCE_TYPES, RESOURCES, RUNNERS, RUNS, VERSION, WORKLOADS, api_version, definitions,
};
pub use spec::{
    Applied, Cause, DEFAULT_RUNNER, DependantsWait, DriverKind, EnvironmentSpec, EnvironmentStatus,
    EnvironmentTypeSpec, Mode, ModuleContent, ModuleRequest, ModuleRuleSpec, ModuleSpec, ModuleStatus,
    ModuleVersionSpec, Phase, PlanSpec, ProjectSpec, Recovery, ReleaseSpec, ReleaseStatus, RequestedBy,
    ResourceSpec, ResourceStatus, ResourceTypeSpec, Retry, RunPhase, RunSpec, RunStatus, RunnerKind,
    RunnerSpec, RunnerStatus, ScriptSpec, ScriptStep, SimpleStatus, Source, UploadedFile, WorkloadSpec,
};
