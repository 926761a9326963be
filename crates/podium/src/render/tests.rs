//! Pictures of answers, to be looked at by people when they change.

use jiff::Timestamp;
use podium_model::api::{
    DiffResponse, ExplainResponse, Explanation, HistoryResponse, InputView, NodeDifference, OutputsResponse,
    OutputsView, Overview, ReleaseView, ResourceView, RuleVerdict, RunView, StepView, Steps, WorkloadView,
};
use podium_model::coordinate::Coordinate;
use podium_model::kinds::{Cause, Phase, RequestedBy, RunPhase};
use podium_model::plan::{Action, Fidelity, FieldChange, Gate, Plan, PlannedChange};
use serde_json::{Value as Json, json};

use super::plan::Mood;
use super::text::Paint;
use super::{diff, explain, failure, history, outputs, plan, status, tree};

const PLAIN: Paint = Paint { on: false };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn field(path: &str, before: Option<Json>, after: Option<Json>) -> FieldChange {
    FieldChange {
        path: path.into(),
        before,
        after,
        forces_replacement: false,
    }
}

fn change(resource: Coordinate, action: Action, fidelity: Fidelity, module: &str) -> PlannedChange {
    PlannedChange {
        name: resource.object_name(),
        resource,
        action,
        fidelity,
        module: module.into(),
        previous_module: None,
        rule: String::new(),
        fields: Vec::new(),
        notes: Vec::new(),
    }
}

fn sample_plan() -> Plan {
    let mut database = change(
        Coordinate::new("postgres", "large", "orders-db"),
        Action::Update,
        Fidelity::Exact,
        "terraform/rds v4",
    );
    database.previous_module = Some("terraform/rds v3".into());
    database.fields = vec![
        field(
            "instance_class",
            Some(json!("db.t4g.medium")),
            Some(json!("db.r7g.large")),
        ),
        field("backup_days", Some(json!(7)), Some(json!(14))),
        field("note", Some(json!("old")), None),
    ];
    let mut cache = change(
        Coordinate::new("redis", "default", "orders-cache"),
        Action::Replace,
        Fidelity::Exact,
        "terraform/elasticache v2",
    );
    cache.fields = vec![FieldChange {
        forces_replacement: true,
        ..field("engine_version", Some(json!("6.2")), Some(json!("7.1")))
    }];
    cache.notes = vec!["what is in it is lost".into()];
    let mut workload = change(
        Coordinate::workload("orders"),
        Action::Update,
        Fidelity::Pending,
        "kubernetes/deployment v7",
    );
    workload.fields = vec![field(
        "containers.main.variables.CACHE_URL",
        None,
        Some(json!("redis://:(secret)@(later):6379")),
    )];
    workload.notes = vec!["orders-cache.host is known after it is replaced".into()];
    let unchanged = (0..8).map(|at| {
        change(
            Coordinate::new("dns", "default", format!("d{at}")),
            Action::Unchanged,
            Fidelity::Exact,
            "x v1",
        )
    });
    Plan {
        project: "shop".into(),
        environment: "prod".into(),
        namespace: "shop-prod".into(),
        release: 43,
        digest: "sha256:7f3a9c0011223344".into(),
        changes: [database, cache, workload].into_iter().chain(unchanged).collect(),
        warnings: vec!["container `main` of orders has no command".into()],
        gate: Gate {
            needs: vec!["replacing a stateful resource in production".into()],
            destructive: vec!["replace orders-cache (redis)".into()],
        },
    }
}

#[test]
fn a_plan() {
    insta::assert_snapshot!(plan::render(&sample_plan(), Mood::Would, Some(420), PLAIN));
}

#[test]
fn a_plan_of_nothing() {
    let mut plan = sample_plan();
    plan.changes.retain(|change| change.action == Action::Unchanged);
    plan.warnings.clear();
    plan.gate = Gate::default();
    insta::assert_snapshot!(plan::render(&plan, Mood::Will, None, PLAIN));
}

#[test]
fn a_plan_says_the_same_with_colour() {
    let painted = plan::render(&sample_plan(), Mood::Would, None, Paint { on: true });
    let mut plain = String::new();
    let mut rest = painted.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, plan::render(&sample_plan(), Mood::Would, None, PLAIN));
}

fn sample_explanation() -> ExplainResponse {
    let verdict = |rule: &str, module: &str, chosen, reason: &str| RuleVerdict {
        rule: rule.into(),
        module: module.into(),
        chosen,
        reason: reason.into(),
    };
    let asked = |requester: &str, release| RequestedBy {
        requester: requester.into(),
        alias: "db".into(),
        release,
        author: "admin".into(),
        params: None,
    };
    ExplainResponse {
        project: "shop".into(),
        environment: "prod".into(),
        release: 42,
        resources: vec![
            Explanation {
                resource: Coordinate::new("postgres", "large", "orders-db"),
                name: "postgres-orders-db-0123456789".into(),
                module: "terraform/rds v4".into(),
                owner: "group platform".into(),
                rules: vec![
                    verdict(
                        "prod-databases",
                        "rds",
                        true,
                        "environment type production, class large",
                    ),
                    verdict(
                        "any-postgres",
                        "rds-small",
                        false,
                        "less specific: no environment type",
                    ),
                    verdict(
                        "shop-dev-postgres",
                        "local",
                        false,
                        "environment dev, this is prod",
                    ),
                ],
                requested_by: vec![asked("orders", 42), asked("billing", 40)],
                inputs: vec![
                    InputView {
                        path: "size".into(),
                        value: json!(20),
                    },
                    InputView {
                        path: "vpc_id".into(),
                        value: json!("(later)"),
                    },
                ],
                needs: vec!["network (terraform/vpc v2)".into()],
                phase: Some(Phase::Ready),
                waits: "nothing".into(),
            },
            Explanation {
                resource: Coordinate::new("mongodb", "default", ""),
                name: String::new(),
                module: String::new(),
                owner: String::new(),
                rules: vec![],
                requested_by: vec![],
                inputs: vec![],
                needs: vec![],
                phase: None,
                waits: String::new(),
            },
        ],
    }
}

#[test]
fn an_explanation() {
    insta::assert_snapshot!(explain::render(&sample_explanation(), PLAIN));
}

fn resource(id: &str, phase: Phase, message: &str) -> ResourceView {
    ResourceView {
        resource_type: "opensearch".into(),
        class: "default".into(),
        id: id.into(),
        name: format!("opensearch-{id}"),
        module: "terraform/opensearch v1".into(),
        phase,
        message: message.into(),
        since: Some(at("2026-03-01T02:15:00Z")),
        outputs: json!({}),
    }
}

fn sample_overview() -> Overview {
    Overview {
        project: "shop".into(),
        environment: "prod".into(),
        namespace: "shop-prod".into(),
        release: 42,
        author: "argocd".into(),
        pinned: Some(40),
        run: Some(RunView {
            name: "run-42".into(),
            release: 42,
            phase: RunPhase::AwaitingApproval,
            needs: vec!["replacing a stateful resource".into()],
        }),
        phase: Phase::Degraded,
        resources: vec![
            resource(
                "search-index",
                Phase::Waiting,
                "waits for quota: vCPU limit, tries again in 2m (attempt 9)",
            ),
            resource("logs", Phase::Ready, ""),
        ],
        workloads: vec![
            WorkloadView {
                name: "orders".into(),
                resource: "workload-orders".into(),
                module: "kubernetes/deployment v7".into(),
                phase: Phase::Degraded,
                message: "2 of 3 replicas ready: OOMKilled, 5 restarts\u{1b}[31m\nwhat it printed last"
                    .into(),
                since: Some(at("2026-03-01T02:14:00Z")),
                urls: vec![],
            },
            WorkloadView {
                name: "shop".into(),
                resource: "workload-shop".into(),
                module: "kubernetes/deployment v7".into(),
                phase: Phase::Ready,
                message: String::new(),
                since: None,
                urls: vec!["https://shop.example".into()],
            },
        ],
    }
}

#[test]
fn a_status_at_night() {
    insta::assert_snapshot!(status::render(
        &sample_overview(),
        at("2026-03-01T02:32:00Z"),
        false,
        PLAIN
    ));
}

#[test]
fn a_large_status_shows_what_is_wrong() {
    let mut overview = sample_overview();
    overview.pinned = None;
    overview.run = None;
    overview
        .resources
        .extend((0..20).map(|at| resource(&format!("r{at}"), Phase::Ready, "")));
    insta::assert_snapshot!(status::render(
        &overview,
        at("2026-03-01T02:32:00Z"),
        false,
        PLAIN
    ));
    let all = status::render(&overview, at("2026-03-01T02:32:00Z"), true, PLAIN);
    assert!(all.contains("r19"), "{all}");
}

#[test]
fn an_empty_status_says_what_to_do() {
    let mut overview = sample_overview();
    overview.resources.clear();
    overview.workloads.clear();
    overview.pinned = None;
    overview.run = None;
    overview.release = 0;
    overview.phase = Phase::Ready;
    insta::assert_snapshot!(status::render(
        &overview,
        at("2026-03-01T02:32:00Z"),
        false,
        PLAIN
    ));
}

fn step(resource: Coordinate, state: &str, attempt: u32, message: &str) -> StepView {
    let (started, finished) = match state {
        "waiting" | "skipped" => (None, None),
        "succeeded" | "failed" => (
            Some(at("2026-03-01T10:00:00Z")),
            Some(at("2026-03-01T10:00:00.2Z")),
        ),
        _ => (Some(at("2026-03-01T10:00:00Z")), None),
    };
    StepView {
        name: resource.object_name(),
        resource,
        module: "script/sqlite-file v1".into(),
        action: Action::Create,
        state: state.into(),
        attempt,
        message: message.into(),
        started,
        finished,
        next_try: (state == "backoff").then(|| at("2026-03-01T10:00:02.5Z")),
    }
}

fn sample_steps() -> Steps {
    Steps {
        run: "run-1".into(),
        release: 1,
        phase: RunPhase::Running,
        needs: vec![],
        failures: vec![],
        steps: vec![
            step(
                Coordinate::new("sqlite", "default", "notes-db"),
                "succeeded",
                1,
                "",
            ),
            step(
                Coordinate::new("secret", "default", "cache-key"),
                "backoff",
                2,
                "exit code 7",
            ),
            step(Coordinate::new("dns", "default", "name"), "unchanged", 0, ""),
            step(
                Coordinate::workload("notes"),
                "running",
                1,
                "readiness: GET /healthz refused",
            ),
            step(Coordinate::workload("other"), "waiting", 0, "waits for cache-key"),
        ],
    }
}

#[test]
fn a_tree_of_steps() {
    let lines = tree::lines("demo/dev", &sample_steps(), at("2026-03-01T10:00:01.1Z"), PLAIN);
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn steps_as_lines_tell_only_what_changed() {
    let now = at("2026-03-01T10:00:01.1Z");
    let steps = sample_steps();
    let mut later = steps.clone();
    later.phase = RunPhase::AwaitingApproval;
    later.needs = vec!["notes would be replaced".into()];
    later.steps[1] = step(
        Coordinate::new("secret", "default", "cache-key"),
        "failed",
        3,
        "exit code 7",
    );
    let mut lines = tree::changes(None, &steps, now);
    assert!(tree::changes(Some(&steps), &steps, now).is_empty());
    lines.push("--".into());
    lines.extend(tree::changes(Some(&steps), &later, now));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_history() {
    let release = |number, phase, cause, message: &str| ReleaseView {
        number,
        author: "admin".into(),
        cause,
        message: message.into(),
        created: at("2026-03-01T10:00:00Z"),
        phase,
        summary: [(Action::Create, 2), (Action::Delete, 1), (Action::Unchanged, 9)]
            .into_iter()
            .collect(),
        rollback_to: (cause == Cause::Rollback).then_some(1),
    };
    let history = HistoryResponse {
        pinned: Some(1),
        releases: vec![
            release(3, RunPhase::Running, Cause::Rollback, "too slow"),
            release(2, RunPhase::Failed, Cause::Change, "more memory"),
            release(1, RunPhase::Succeeded, Cause::Change, ""),
        ],
    };
    insta::assert_snapshot!(history::render(&history, at("2026-03-01T12:05:00Z"), PLAIN));
}

#[test]
fn a_difference() {
    let difference = DiffResponse {
        from: 1,
        to: 3,
        nodes: vec![
            NodeDifference {
                resource: Coordinate::new("postgres", "large", "orders-db"),
                action: Action::Update,
                module_before: Some("script/a v1".into()),
                module_after: Some("script/a v2".into()),
                fields: vec![field("size", Some(json!(10)), Some(json!(20)))],
            },
            NodeDifference {
                resource: Coordinate::workload("billing"),
                action: Action::Delete,
                module_before: None,
                module_after: None,
                fields: vec![],
            },
        ],
    };
    insta::assert_snapshot!(diff::render("shop/prod", &difference, PLAIN));
}

#[test]
fn outputs_of_resources() {
    let response = OutputsResponse {
        resources: vec![OutputsView {
            resource: Coordinate::new("postgres", "default", "db"),
            name: "postgres-db".into(),
            outputs: json!({"host": "127.0.0.1", "port": 5432, "password": "(secret)"}),
        }],
    };
    insta::assert_snapshot!(outputs::render(&response, PLAIN));
}

#[test]
fn an_error_with_its_causes() {
    let inner = std::io::Error::other("connection refused");
    let error = anyhow::Error::new(inner).context("the server at https://127.0.0.1:7443 cannot be reached\nis the server running? start it with: podium serve");
    insta::assert_snapshot!(failure::render(&error));
}
