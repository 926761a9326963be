//! The table of Podium's kinds.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::definition::{Column, KindDefinition, Subresource, Writes};
use super::spec::{
    EnvironmentSpec, EnvironmentStatus, EnvironmentTypeSpec, ModuleRuleSpec, ModuleSpec, ModuleStatus,
    ModuleVersionSpec, PlanSpec, ProjectSpec, ReleaseSpec, ReleaseStatus, ResourceSpec, ResourceStatus,
    ResourceTypeSpec, RunSpec, RunStatus, RunnerSpec, RunnerStatus, SimpleStatus, WorkloadSpec,
};
use crate::api;

/// API group of Podium's kinds.
pub const GROUP: &str = "podium.dev";
/// Their API version.
pub const VERSION: &str = "v1alpha1";

/// Plural name of Project.
pub const PROJECTS: &str = "projects";
/// Plural name of EnvironmentType.
pub const ENVIRONMENT_TYPES: &str = "environmenttypes";
/// Plural name of Environment.
pub const ENVIRONMENTS: &str = "environments";
/// Plural name of ResourceType.
pub const RESOURCE_TYPES: &str = "resourcetypes";
/// Plural name of Module.
pub const MODULES: &str = "modules";
/// Plural name of ModuleVersion.
pub const MODULE_VERSIONS: &str = "moduleversions";
/// Plural name of ModuleRule.
pub const MODULE_RULES: &str = "modulerules";
/// Plural name of Runner.
pub const RUNNERS: &str = "runners";
/// Plural name of Workload.
pub const WORKLOADS: &str = "workloads";
/// Plural name of Resource.
pub const RESOURCES: &str = "resources";
/// Plural name of Release.
pub const RELEASES: &str = "releases";
/// Plural name of Plan.
pub const PLANS: &str = "plans";
/// Plural name of Run.
pub const RUNS: &str = "runs";

/// `podium.dev/v1alpha1`.
pub fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// JSON schema of a type, all references inlined.
fn schema<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// JSON schema of an object with a spec and a status.
fn object<Spec: JsonSchema, Status: JsonSchema>() -> Json {
    serde_json::json!({
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": schema::<Spec>(), "status": schema::<Status>()}
    })
}

const READY: Column = Column {
    name: "Ready",
    kind: "string",
    path: ".status.conditions[?(@.type==\"Ready\")].status",
    wide: false,
};
const REASON: Column = Column {
    name: "Reason",
    kind: "string",
    path: ".status.conditions[?(@.type==\"Ready\")].reason",
    wide: false,
};

const fn column(name: &'static str, path: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        path,
        wide: false,
    }
}

const fn number(name: &'static str, path: &'static str) -> Column {
    Column {
        name,
        kind: "integer",
        path,
        wide: false,
    }
}

fn get<Response: JsonSchema>(
    name: &'static str,
    description: &'static str,
    query: &[(&'static str, &'static str)],
) -> Subresource {
    Subresource {
        name,
        method: "GET",
        description,
        query: query.to_vec(),
        request: None,
        response: Some(schema::<Response>()),
    }
}

fn post<Request: JsonSchema, Response: JsonSchema>(
    name: &'static str,
    description: &'static str,
) -> Subresource {
    Subresource {
        name,
        method: "POST",
        description,
        query: Vec::new(),
        request: Some(schema::<Request>()),
        response: Some(schema::<Response>()),
    }
}

fn logs() -> Subresource {
    Subresource {
        name: "logs",
        method: "GET",
        description: "Log lines, masked, as text.",
        query: vec![
            ("follow", "true to go on as lines come"),
            ("tail", "how many of the last lines to begin with"),
            ("container", "one container of a workload"),
        ],
        request: None,
        response: None,
    }
}

#[derive(Clone, Copy)]
struct Names {
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short: &'static [&'static str],
}

const fn names(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short: &'static [&'static str],
) -> Names {
    Names {
        kind,
        plural,
        singular,
        short,
    }
}

fn define<Spec: JsonSchema, Status: JsonSchema>(
    names: Names,
    namespaced: bool,
    writes: Writes,
    columns: &'static [Column],
    subresources: Vec<Subresource>,
) -> KindDefinition {
    KindDefinition {
        group: GROUP,
        version: VERSION,
        kind: names.kind,
        plural: names.plural,
        singular: names.singular,
        short_names: names.short,
        namespaced,
        writes,
        schema: object::<Spec, Status>(),
        columns,
        status: true,
        subresources,
    }
}

fn environment_verbs() -> Vec<Subresource> {
    vec![
        post::<api::DeployRequest, api::PlanResponse>(
            "plan",
            "Shows what documents would change; writes nothing.",
        ),
        post::<api::DeployRequest, api::DeployResponse>(
            "deploy",
            "Merges documents into the desired state in one transaction, which makes one release.",
        ),
        post::<api::RollbackRequest, api::DeployResponse>(
            "rollback",
            "Writes a release with the content of an earlier one and pins it, or lifts the pin.",
        ),
        post::<api::DestroyRequest, api::DeployResponse>(
            "destroy",
            "Empties the environment through a plan, and keeps it.",
        ),
        get::<api::Overview>("overview", "Resources and workloads with where they stand.", &[]),
        get::<api::HistoryResponse>(
            "history",
            "Releases, newest first.",
            &[("limit", "most releases to return")],
        ),
        get::<api::ExplainResponse>(
            "explain",
            "Which rule chose which module for each resource, why the others lost, and what it waits for.",
            &[
                ("resource", "an id, or TYPE.CLASS#ID; all when unset"),
                ("type", "a resource type, also one that nothing asks for yet"),
            ],
        ),
        get::<api::GraphResponse>(
            "graph",
            "The graph of a release.",
            &[("release", "its number; the newest when unset")],
        ),
        get::<api::OutputsResponse>(
            "outputs",
            "Outputs of resources.",
            &[
                ("resource", "an id, or TYPE.CLASS#ID; all when unset"),
                ("reveal", "true to show secrets; recorded"),
            ],
        ),
        get::<api::DiffResponse>(
            "diff",
            "What differs between two releases.",
            &[
                ("from", "a release; the one before `to` when unset"),
                ("to", "a release; the newest when unset"),
            ],
        ),
    ]
}

/// Every kind that Podium defines.
pub fn definitions() -> Vec<KindDefinition> {
    use Writes::{Clients, Derived};
    vec![
        define::<ProjectSpec, SimpleStatus>(
            names("Project", PROJECTS, "project", &["proj"]),
            false,
            Clients,
            const { &[column("Owner", ".spec.owner"), READY] },
            vec![],
        ),
        define::<EnvironmentTypeSpec, SimpleStatus>(
            names(
                "EnvironmentType",
                ENVIRONMENT_TYPES,
                "environmenttype",
                &["envtype"],
            ),
            false,
            Clients,
            const { &[column("Mode", ".spec.defaultMode")] },
            vec![],
        ),
        define::<EnvironmentSpec, EnvironmentStatus>(
            names("Environment", ENVIRONMENTS, "environment", &["env"]),
            false,
            Clients,
            const {
                &[
                    column("Project", ".spec.project"),
                    column("Environment", ".spec.name"),
                    column("Type", ".spec.type"),
                    number("Release", ".status.release"),
                    READY,
                    REASON,
                ]
            },
            environment_verbs(),
        ),
        define::<ResourceTypeSpec, SimpleStatus>(
            names("ResourceType", RESOURCE_TYPES, "resourcetype", &["rtype"]),
            false,
            Clients,
            const { &[column("Type", ".spec.type"), column("Owner", ".spec.owner")] },
            vec![],
        ),
        define::<ModuleSpec, ModuleStatus>(
            names("Module", MODULES, "module", &["mod"]),
            false,
            Clients,
            const {
                &[
                    column("Type", ".spec.type"),
                    column("Driver", ".spec.driver"),
                    number("Version", ".status.version"),
                    column("Owner", ".spec.owner"),
                    READY,
                ]
            },
            vec![],
        ),
        define::<ModuleVersionSpec, SimpleStatus>(
            names("ModuleVersion", MODULE_VERSIONS, "moduleversion", &["modver"]),
            false,
            Derived,
            const {
                &[
                    column("Module", ".spec.module"),
                    number("Version", ".spec.version"),
                    column("Type", ".spec.type"),
                    column("Driver", ".spec.driver"),
                ]
            },
            vec![],
        ),
        define::<ModuleRuleSpec, SimpleStatus>(
            names("ModuleRule", MODULE_RULES, "modulerule", &["rule"]),
            false,
            Clients,
            const {
                &[
                    column("Module", ".spec.module"),
                    column("Class", ".spec.class"),
                    column("EnvironmentType", ".spec.environmentType"),
                    column("Project", ".spec.project"),
                    column("Environment", ".spec.environment"),
                    column("Resource", ".spec.resourceId"),
                ]
            },
            vec![],
        ),
        define::<RunnerSpec, RunnerStatus>(
            names("Runner", RUNNERS, "runner", &[]),
            false,
            Clients,
            const { &[column("Type", ".spec.type"), READY] },
            vec![],
        ),
        define::<WorkloadSpec, SimpleStatus>(
            names("Workload", WORKLOADS, "workload", &["wl"]),
            true,
            Clients,
            const { &[READY, REASON] },
            vec![logs()],
        ),
        define::<ResourceSpec, ResourceStatus>(
            names("Resource", RESOURCES, "resource", &["res"]),
            true,
            Derived,
            const {
                &[
                    column("Type", ".spec.type"),
                    column("Class", ".spec.class"),
                    column("Id", ".spec.id"),
                    column("Module", ".spec.module"),
                    column("Phase", ".status.phase"),
                ]
            },
            vec![
                logs(),
                post::<api::Protection, api::Protection>(
                    "protect",
                    "Refuses replace and delete of the resource from now on, or allows them again.",
                ),
            ],
        ),
        define::<ReleaseSpec, ReleaseStatus>(
            names("Release", RELEASES, "release", &["rel"]),
            true,
            Derived,
            const {
                &[
                    number("Number", ".spec.number"),
                    column("Author", ".spec.author"),
                    column("Cause", ".spec.cause"),
                    column("Phase", ".status.phase"),
                ]
            },
            vec![],
        ),
        define::<PlanSpec, SimpleStatus>(
            names("Plan", PLANS, "plan", &[]),
            true,
            Derived,
            const {
                &[
                    number("Release", ".spec.release"),
                    column("Digest", ".spec.digest"),
                ]
            },
            vec![get::<api::PlanResponse>("content", "The whole plan.", &[])],
        ),
        define::<RunSpec, RunStatus>(
            names("Run", RUNS, "run", &[]),
            true,
            Derived,
            const {
                &[
                    number("Release", ".spec.release"),
                    column("Author", ".spec.author"),
                    column("Phase", ".status.phase"),
                    REASON,
                ]
            },
            vec![
                get::<api::Steps>(
                    "steps",
                    "The run's steps.",
                    &[("follow", "true for a stream of changes")],
                ),
                post::<api::ApproveRequest, api::Steps>(
                    "approve",
                    "Approves or rejects what waits for a person.",
                ),
            ],
        ),
    ]
}
