//! How long resolve and assemble take for 1,000 and 10,000 resources, as a table.
//!
//! Each workload asks for four resources of different types, and names their outputs in its variables. The module of each
//! has two dependencies, one of its own and one that all share, and ten rules compete for each type. Counted are all
//! resources of the graph, workloads among them. `fresh` is an empty environment; `live` is one where all but one resource
//! in fifty are as they were applied. The goal is for resolve, assemble and finish together.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark ends at the first thing that is not as it says"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use podium_document::Path;
use podium_model::coordinate::Coordinate;
use podium_model::graph::{Graph, ModuleReference};
use podium_model::value::{Reference, Source, Value};
use podium_planner::{
    Catalogue, CatalogueInput, Draft, EnvironmentContext, GateOptions, Live, LiveResource,
    ModuleVersionInput, ReferenceUse, RequestInput, RuleInput, TypeInput, WorkloadInput, applied_digest,
    declared_outputs, evaluate_inputs, evaluate_outputs, resolve,
};
use serde_json::{Value as Json, json};

const TYPES: [&str; 4] = ["postgres", "redis", "bucket", "queue"];
const GOAL: Duration = Duration::from_millis(250);
const GOAL_RATIO: f64 = 12.0;
const ROUNDS: usize = 9;

fn main() {
    let catalogue = catalogue();
    let context = EnvironmentContext {
        project: "shop".into(),
        environment: "dev".into(),
        environment_type: "development".into(),
        namespace: "shop-dev".into(),
        variables: (0..20)
            .map(|n| (format!("VARIABLE_{n}"), format!("value {n}")))
            .collect(),
    };
    println!("| environment | resources | resolve | assemble | finish | together |");
    println!("|---|---|---|---|---|---|");
    for name in ["fresh", "live"] {
        let mut together = Vec::new();
        for count in [1_000, 10_000] {
            let case = Case::new(&catalogue, &context, count, name == "live");
            let mut rounds: Vec<[Duration; 3]> =
                (0..ROUNDS).map(|_| case.run(&catalogue, &context)).collect();
            rounds.sort_by_key(|parts| parts.iter().sum::<Duration>());
            let [resolving, assembling, finishing] = rounds[ROUNDS / 2];
            let sum = resolving + assembling + finishing;
            together.push(sum);
            println!(
                "| {name} | {} | {} | {} | {} | {} |",
                case.resources,
                milliseconds(resolving),
                milliseconds(assembling),
                milliseconds(finishing),
                milliseconds(sum),
            );
        }
        let ratio = together[1].as_secs_f64() / together[0].as_secs_f64();
        println!(
            "| {name} | 10,000 to 1,000 | | | | {ratio:.1} times ({}) |",
            verdict(together[1] <= GOAL && ratio <= GOAL_RATIO)
        );
    }
    println!(
        "\nProcessor time, median of {ROUNDS} rounds. Goal: 10,000 within {} and at most {GOAL_RATIO} times as long as \
         1,000.",
        milliseconds(GOAL)
    );
}

fn verdict(reached: bool) -> &'static str {
    if reached { "goal reached" } else { "goal missed" }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

struct Case {
    documents: Vec<WorkloadInput>,
    live: Live,
    resources: usize,
    applied: BTreeMap<Coordinate, LiveResource>,
    inputs: BTreeMap<Coordinate, Value>,
}

impl Case {
    fn new(catalogue: &Catalogue, context: &EnvironmentContext, count: usize, applied: bool) -> Self {
        let workloads = count / 9;
        let mut documents: Vec<WorkloadInput> = (0..workloads).map(|number| document(number, 5)).collect();
        let mut live = Live::default();
        let graph = resolve(catalogue, context, &documents, &live).graph;
        for (number, node) in graph
            .nodes
            .values()
            .filter(|node| !node.ports.is_empty())
            .enumerate()
        {
            let port = u16::try_from(20_000 + number).expect("fewer than that");
            live.ports.insert(
                node.coordinate.clone(),
                BTreeMap::from([("web".to_owned(), port)]),
            );
        }
        let resolution = resolve(catalogue, context, &documents, &live);
        assert!(resolution.problems.is_empty(), "{:?}", resolution.problems);
        let mut case = Self {
            documents: Vec::new(),
            live,
            resources: resolution.graph.nodes.len(),
            applied: BTreeMap::new(),
            inputs: BTreeMap::new(),
        };
        if applied {
            case.apply(&resolution.graph, context);
            for number in (0..workloads).step_by(50) {
                documents[number] = document(number, 6);
            }
        }
        case.documents = documents;
        case
    }

    /// Makes everything live as its tools would have made it.
    fn apply(&mut self, graph: &Graph, context: &EnvironmentContext) {
        let draft = Draft::assemble(graph, &BTreeMap::new(), context).expect("the graph can be compared");
        for planned in draft.nodes {
            let node = &graph.nodes[&planned.coordinate];
            let others = |other: &Coordinate| self.applied.get(other).map(|live| live.outputs.clone());
            let inputs = evaluate_inputs(&node.inputs, &others).expect("inputs can be evaluated");
            let mut tool = BTreeMap::new();
            node.outputs.each_reference(&mut |reference| {
                if let (Source::Tool, Some(name)) = (reference.source, reference.path.first()) {
                    tool.insert(
                        name.clone(),
                        Value::String(format!("{}-{name}", node.coordinate.id)),
                    );
                }
            });
            let outputs = declared_outputs(&node.coordinate, &node.outputs, &Value::Map(tool), &others)
                .expect("outputs can be declared");
            let live = LiveResource {
                coordinate: node.coordinate.clone(),
                module: node.module.clone(),
                driver: node.driver,
                digest: applied_digest(
                    &node.module,
                    &inputs,
                    &evaluate_outputs(&node.outputs, &others).expect("the mapping can be evaluated"),
                ),
                complete: true,
                made: true,
                outputs,
                needs: node.needs.iter().cloned().collect(),
                protect: false,
            };
            self.applied.insert(node.coordinate.clone(), live);
            self.inputs.insert(node.coordinate.clone(), inputs);
        }
    }

    fn run(&self, catalogue: &Catalogue, context: &EnvironmentContext) -> [Duration; 3] {
        let (resolution, resolving) = timed(|| resolve(catalogue, context, &self.documents, &self.live));
        assert!(resolution.problems.is_empty(), "{:?}", resolution.problems);
        let (mut draft, assembling) = timed(|| {
            Draft::assemble(&resolution.graph, &self.applied, context).expect("the graph can be compared")
        });
        let (plan, finishing) = timed(|| {
            draft.finish(
                context,
                2,
                &resolution.graph,
                &self.inputs,
                &GateOptions::default(),
            )
        });
        assert_eq!(plan.changes.len(), self.resources);
        black_box(plan);
        [resolving, assembling, finishing]
    }
}

/// Processor time, which other programs on the machine do not stretch; one thread does all the work.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = processor_time();
    let outcome = work();
    (outcome, processor_time().saturating_sub(began))
}

fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanoseconds = text.split_whitespace().next().expect("the first number");
    Duration::from_nanos(nanoseconds.parse().expect("a number"))
}

fn catalogue() -> Catalogue {
    let mut input = CatalogueInput::default();
    let mut add = |name: &str, params: Json, outputs: Json, module: Json| {
        input.types.push(TypeInput {
            resource_type: name.to_owned(),
            owner: "platform".to_owned(),
            params: Some(params),
            outputs: Some(outputs),
        });
        input.modules.push(ModuleVersionInput {
            reference: ModuleReference {
                module: name.to_owned(),
                version: 1,
            },
            owner: "platform".to_owned(),
            content: Arc::new(serde_json::from_value(module).expect("a module")),
        });
        let rules = (0..9).map(|number| match number % 3 {
            0 => json!({"module": name, "project": "other", "environment": format!("env-{number}")}),
            1 => json!({"module": name, "environmentType": format!("type-{number}")}),
            _ => json!({"module": name, "resourceId": format!("id-{number}")}),
        });
        for (number, rule) in rules.chain([json!({"module": name})]).enumerate() {
            input.rules.push(RuleInput {
                name: format!("{name}-{number}"),
                spec: serde_json::from_value(rule).expect("a rule"),
            });
        }
    };
    add(
        "workload",
        json!({
            "type": "object",
            "required": ["metadata", "containers"],
            "properties": {
                "metadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "containers": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "service": {"type": "object", "default": {"ports": {}}, "properties": {
                    "ports": {"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": true}
                }},
            },
        }),
        json!({"type": "object", "properties": {
            "name": {"type": "string", "x-podium-identity": true},
            "host": {"type": "string", "x-podium-identity": true},
            "ports": {
                "type": "object", "x-podium-identity": true, "additionalProperties": {"type": "integer"}
            },
        }}),
        json!({
            "type": "workload", "driver": "workload", "dependantsWait": "healthy",
            "inputs": {
                "metadata": "${{ params.metadata }}", "containers": "${{ params.containers }}",
                "service": "${{ params.service }}", "ports": "${{ allotted }}",
            },
            "allotPorts": "${{ params.service.ports }}",
            "outputs": {"name": "${{ context.id }}", "host": "127.0.0.1", "ports": "${{ allotted }}"},
        }),
    );
    for name in TYPES {
        add(
            name,
            json!({"type": "object", "properties": {
                "size": {"type": "integer", "default": 5, "minimum": 1, "maximum": 100},
                "label": {"type": "string", "pattern": "^[a-z0-9. -]*$"},
                "options": {"type": "object", "default": {"retain": true}, "properties": {
                    "retain": {"type": "boolean"}, "zone": {"type": "string", "default": "a"},
                }},
            }}),
            json!({"type": "object", "properties": {
                "name": {"type": "string", "x-podium-identity": true},
                "host": {"type": "string", "x-podium-identity": true},
                "port": {"type": "integer"},
                "password": {"type": "string", "writeOnly": true},
            }}),
            json!({
                "type": name, "driver": "script", "replaceOn": ["name"],
                "dependencies": {
                    "instance": {"type": "instance", "id": format!("{name}-instance"), "params": {"kind": name}},
                    "secret": {"type": "secret", "id": "@.password", "params": {"length": 20}},
                },
                "inputs": {
                    "name": "${{ context.name }}",
                    "host": "${{ resources.instance.outputs.host }}",
                    "url": "${{ resources.instance.outputs.url }}/${{ context.id }}?zone=${{ params.options.zone }}",
                    "size": "${{ params.size * 2 + 1 }}",
                    "options": "${{ params.options }}",
                    "region": "${{ context.variables.VARIABLE_3 }}",
                },
                "script": {
                    "apply": [{"name": "make", "run": "true", "env": {
                        "ADMIN": "${{ resources.instance.outputs.password }}",
                        "PASSWORD": "${{ resources.secret.outputs.value }}",
                    }}],
                },
                "outputs": {
                    "name": "${{ context.name }}",
                    "host": "${{ resources.instance.outputs.host }}",
                    "password": "${{ resources.secret.outputs.value }}",
                },
            }),
        );
    }
    add(
        "instance",
        json!({"type": "object", "properties": {"kind": {"type": "string"}}}),
        json!({"type": "object", "properties": {
            "host": {"type": "string", "x-podium-identity": true}, "url": {"type": "string"},
            "password": {"type": "string", "writeOnly": true},
        }}),
        json!({
            "type": "instance", "driver": "script", "inputs": {"kind": "${{ params.kind }}"},
            "outputs": {"host": "${{ params.kind }}.example.org"},
        }),
    );
    add(
        "secret",
        json!({"type": "object", "properties": {"length": {"type": "integer", "default": 16}}}),
        json!({"type": "object", "properties": {"value": {"type": "string", "writeOnly": true}}}),
        json!({"type": "secret", "driver": "script", "inputs": {"length": "${{ params.length }}"}}),
    );
    let (catalogue, problems) = Catalogue::build(input);
    assert!(problems.is_empty(), "{problems:?}");
    catalogue
}

/// A workload that asks for one resource of each type, and names outputs of all.
fn document(number: usize, size: u32) -> WorkloadInput {
    let name = format!("workload-{number:04}");
    let reference = |alias: &str, output: &str| Reference {
        node: Coordinate::new(alias, "default", format!("{name}.{alias}")),
        source: Source::Declared,
        path: vec![output.to_owned()],
    };
    let mut variables = BTreeMap::from([("LOG_LEVEL".to_owned(), Value::from("info"))]);
    let mut uses = Vec::new();
    let mut requests = Vec::new();
    let mut before: Option<&str> = None;
    for alias in TYPES {
        let variable = format!("{}_URL", alias.to_uppercase());
        let mut parts = vec![Value::String(format!("{alias}://user:"))];
        for output in ["password", "host", "port"] {
            parts.push(Value::Reference(reference(alias, output)));
            parts.push(Value::from("/"));
            uses.push(ReferenceUse {
                reference: reference(alias, output),
                path: ["containers", "main", "variables", &variable]
                    .into_iter()
                    .collect(),
                range: Some((2, 20)),
            });
        }
        variables.insert(variable, Value::concat(parts));
        let mut params = BTreeMap::from([("size".to_owned(), Value::Number(size.into()))]);
        if let Some(before) = before {
            let label = vec![
                Value::from("beside "),
                Value::Reference(reference(before, "name")),
            ];
            params.insert("label".to_owned(), Value::concat(label));
        }
        before = Some(alias);
        requests.push(RequestInput {
            alias: alias.to_owned(),
            coordinate: Coordinate::new(alias, "default", format!("{name}.{alias}")),
            params: Value::Map(params),
            path: Path(vec!["resources".into(), alias.into()]),
        });
    }
    let plain = json!({
        "metadata": {"name": name, "annotations": {"team": "orders"}},
        "service": {"ports": {"web": {"port": 8080, "targetPort": 8080}}},
        "containers": {"main": {
            "image": "registry.example.org/shop/orders:1.2.3", "command": ["/bin/orders"], "args": ["--serve"],
            "resources": {"limits": {"memory": "256Mi", "cpu": "500m"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        }},
    });
    let mut params = Value::from_json(&plain);
    if let Value::Map(params) = &mut params
        && let Some(Value::Map(containers)) = params.get_mut("containers")
        && let Some(Value::Map(main)) = containers.get_mut("main")
    {
        main.insert("variables".to_owned(), Value::Map(variables));
    }
    WorkloadInput {
        name,
        params,
        requests,
        uses,
    }
}
