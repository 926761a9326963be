//! A small platform to resolve against, and documents as a front end hands them over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use podium_document::{Path, PathSegment, Problem};
use podium_model::coordinate::{Coordinate, DEFAULT_CLASS};
use podium_model::graph::{Graph, ModuleReference};
use podium_model::plan::{Action, Plan};
use podium_model::value::{Reference, Source, Value};
use podium_planner::{
    Catalogue, CatalogueInput, Draft, EnvironmentContext, GateOptions, Live, LiveResource,
    ModuleVersionInput, ReferenceUse, RequestInput, Resolution, RuleInput, TypeInput, WorkloadInput,
    applied_digest, declared_outputs, evaluate_inputs, evaluate_outputs, resolve,
};
use serde_json::{Value as Json, json};

/// Types, modules and rules, and the environment they are used in.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    pub(crate) input: CatalogueInput,
    pub(crate) context: EnvironmentContext,
    pub(crate) live: Live,
}

impl Platform {
    /// Nothing but the type `workload`, which has name, host and ports as identity outputs.
    pub(crate) fn new() -> Self {
        let context = EnvironmentContext {
            project: "shop".into(),
            environment: "dev".into(),
            environment_type: "development".into(),
            namespace: "shop-dev".into(),
            variables: BTreeMap::from([("REGION".to_owned(), "eu".to_owned())]),
        };
        Self {
            input: CatalogueInput::default(),
            context,
            live: Live::default(),
        }
        .with_type(
            "workload",
            &json!({"service": {
                "type": "object",
                "default": {"ports": {}},
                "properties": {"ports": {
                    "type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": true
                }},
            }, "containers": {"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": true}}),
            &json!({
                "name": {"type": "string", "x-podium-identity": true},
                "host": {"type": "string", "x-podium-identity": true},
                "ports": {
                    "type": "object", "x-podium-identity": true, "additionalProperties": {"type": "integer"}
                },
                "started": {"type": "string"},
            }),
        )
        .with_module(
            "process",
            &json!({
                "type": "workload",
                "driver": "workload",
                "inputs": {"containers": "${{ params.containers }}", "ports": "${{ allotted }}"},
                "allotPorts": "${{ params.service.ports }}",
                "outputs": {"name": "${{ context.id }}", "host": "127.0.0.1", "ports": "${{ allotted }}"},
            }),
        )
    }

    /// A resource type with the properties of its params and outputs.
    pub(crate) fn with_type(mut self, name: &str, params: &Json, outputs: &Json) -> Self {
        self.input.types.push(TypeInput {
            resource_type: name.to_owned(),
            owner: "platform".to_owned(),
            params: Some(json!({"type": "object", "properties": params})),
            outputs: Some(json!({"type": "object", "properties": outputs})),
        });
        self
    }

    /// A module, and a rule named `any-MODULE` that always matches.
    pub(crate) fn with_module(self, name: &str, content: &Json) -> Self {
        self.with_version(name, 1, content)
            .with_rule(&format!("any-{name}"), &json!({"module": name}))
    }

    /// A module version without a rule; it takes the place of one that is there.
    pub(crate) fn with_version(mut self, name: &str, version: u64, content: &Json) -> Self {
        self.input
            .modules
            .retain(|module| module.reference.module != name);
        self.input.modules.push(ModuleVersionInput {
            reference: ModuleReference {
                module: name.to_owned(),
                version,
            },
            owner: "team-platform".to_owned(),
            content: Arc::new(serde_json::from_value(content.clone()).expect("the module's content")),
        });
        self
    }

    pub(crate) fn with_rule(mut self, name: &str, spec: &Json) -> Self {
        self.input.rules.push(RuleInput {
            name: name.to_owned(),
            spec: serde_json::from_value(spec.clone()).expect("the rule"),
        });
        self
    }

    /// A type without params or schema of outputs but these, made by a script of the same name that asks for nothing.
    pub(crate) fn with_plain(self, name: &str, outputs: &Json) -> Self {
        self.with_type(name, &json!({"size": {"type": "integer"}}), outputs)
            .with_module(name, &script(name))
    }

    pub(crate) fn catalogue(&self) -> Catalogue {
        let (catalogue, problems) = Catalogue::build(self.input.clone());
        assert_eq!(shown(&problems), "", "the platform compiles");
        catalogue
    }

    pub(crate) fn resolve(&self, workloads: &[WorkloadInput]) -> Resolution {
        resolve(&self.catalogue(), &self.context, workloads, &self.live)
    }

    /// The graph of documents without mistakes.
    #[track_caller]
    pub(crate) fn graph(&self, workloads: &[WorkloadInput]) -> Graph {
        let resolution = self.resolve(workloads);
        assert_eq!(shown(&resolution.problems), "");
        resolution.graph
    }

    /// What is wrong with documents, as text.
    pub(crate) fn problems(&self, workloads: &[WorkloadInput]) -> String {
        shown(&self.resolve(workloads).problems)
    }

    /// Gives each port a number, as the release's transaction does.
    pub(crate) fn allot_ports(&mut self, graph: &Graph) {
        let taken = self.live.ports.values().flat_map(BTreeMap::values).copied().max();
        let mut next = taken.unwrap_or(19_999) + 1;
        for node in graph.nodes.values().filter(|node| !node.ports.is_empty()) {
            let ports = self.live.ports.entry(node.coordinate.clone()).or_default();
            ports.retain(|name, _| node.ports.contains(name));
            for name in &node.ports {
                ports.entry(name.clone()).or_insert_with(|| {
                    next += 1;
                    next - 1
                });
            }
        }
    }
}

/// The content of a module with the driver `script` for a type.
pub(crate) fn script(resource_type: &str) -> Json {
    json!({"type": resource_type, "driver": "script"})
}

/// A document under construction.
#[derive(Clone, Debug)]
pub(crate) struct Document(WorkloadInput);

/// A workload's document. `${alias.output}` in its texts names an output of what it asks for.
pub(crate) fn workload(name: &str) -> Document {
    Document(WorkloadInput {
        name: name.to_owned(),
        params: Value::empty_map(),
        requests: Vec::new(),
        uses: Vec::new(),
    })
}

impl Document {
    /// Asks for a resource of its own.
    pub(crate) fn asks(self, alias: &str, resource_type: &str, params: &Json) -> Self {
        let id = format!("{}.{alias}", self.0.name);
        self.asks_for(alias, Coordinate::new(resource_type, DEFAULT_CLASS, id), params)
    }

    /// Asks for the resource with this coordinate.
    pub(crate) fn asks_for(mut self, alias: &str, coordinate: Coordinate, params: &Json) -> Self {
        let path = Path(vec!["resources".into(), alias.into()]);
        self.0.requests.push(RequestInput {
            alias: alias.to_owned(),
            coordinate,
            params: Value::empty_map(),
            path: path.clone(),
        });
        let mut place = path.with("params");
        let params = self.value(params, &mut place, true);
        self.0.requests.last_mut().expect("just added").params = params;
        self
    }

    /// What its only container is given.
    pub(crate) fn runs(mut self, variables: &Json) -> Self {
        let mut place = Path(vec!["containers".into(), "main".into(), "variables".into()]);
        let variables = self.value(variables, &mut place, false);
        let main = Value::Map(BTreeMap::from([("variables".to_owned(), variables)]));
        self.param(
            "containers",
            Value::Map(BTreeMap::from([("main".to_owned(), main)])),
        )
    }

    /// Serves a port.
    pub(crate) fn listens(self, port: &str) -> Self {
        let ports = json!({"ports": {port: {"port": 8080}}});
        self.param("service", Value::from_json(&ports))
    }

    pub(crate) fn param(mut self, name: &str, value: Value) -> Self {
        if let Value::Map(map) = &mut self.0.params {
            map.insert(name.to_owned(), value);
        }
        self
    }

    pub(crate) fn build(self) -> WorkloadInput {
        self.0
    }

    fn value(&mut self, json: &Json, path: &mut Path, keep_type: bool) -> Value {
        let mut inside = |segment: PathSegment, json: &Json| {
            path.0.push(segment);
            let value = self.value(json, path, keep_type);
            path.0.pop();
            value
        };
        match json {
            Json::Object(map) => Value::Map(
                map.iter()
                    .map(|(key, json)| (key.clone(), inside(key.as_str().into(), json)))
                    .collect(),
            ),
            Json::Array(items) => Value::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, json)| inside(index.into(), json))
                    .collect(),
            ),
            Json::String(text) => self.text(text, path, keep_type),
            other => Value::from_json(other),
        }
    }

    fn text(&mut self, text: &str, path: &Path, keep_type: bool) -> Value {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (inner, after) = after.split_once('}').expect("a closing brace");
            let (alias, output) = inner.split_once('.').unwrap_or((inner, ""));
            let request = self.0.requests.iter().find(|request| request.alias == alias);
            let reference = Reference {
                node: request.expect("an alias that was asked for").coordinate.clone(),
                source: Source::Declared,
                path: output
                    .split('.')
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect(),
            };
            let start = text.len() - rest.len() + before.len() + 2;
            self.0.uses.push(ReferenceUse {
                reference: reference.clone(),
                path: path.clone(),
                range: Some((start, start + inner.len())),
            });
            parts.push(Value::String(before.to_owned()));
            parts.push(Value::Reference(reference));
            rest = after;
        }
        parts.push(Value::String(rest.to_owned()));
        parts.retain(|part| *part != Value::String(String::new()));
        match parts.as_slice() {
            [only] if keep_type => only.clone(),
            _ => Value::concat(parts),
        }
    }
}

/// The coordinate of a resource of the default class.
pub(crate) fn resource(resource_type: &str, id: &str) -> Coordinate {
    Coordinate::new(resource_type, DEFAULT_CLASS, id)
}

/// Problems as text.
pub(crate) fn shown(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let document = problem.document.as_deref().unwrap_or("(environment)");
        let key = if problem.on_key { " (key)" } else { "" };
        let range = problem
            .range
            .map_or_else(String::new, |(from, to)| format!(" [{from}..{to}]"));
        writeln!(text, "{document}: {}{key}{range}", problem.path).expect("text");
        writeln!(text, "  {}", problem.message).expect("text");
        if let Some(label) = &problem.label {
            writeln!(text, "  ^ {label}").expect("text");
        }
        for help in &problem.help {
            writeln!(text, "  = {help}").expect("text");
        }
    }
    text
}

/// A graph as text: each node with its module, what it waits for, who asks, and its inputs.
pub(crate) fn drawn(graph: &Graph) -> String {
    let mut text = String::new();
    for node in graph.nodes.values() {
        let names = |nodes: Vec<String>| {
            if nodes.is_empty() {
                "-".to_owned()
            } else {
                nodes.join(", ")
            }
        };
        let needs = names(node.needs.iter().map(ToString::to_string).collect());
        let by = names(
            node.requested_by
                .iter()
                .map(|by| match &by.node {
                    Some(node) => format!("{node} as {}", by.alias),
                    None => "its document".to_owned(),
                })
                .collect(),
        );
        let display = |value: &Value| value.to_display().to_string();
        writeln!(text, "{}", node.coordinate).expect("text");
        writeln!(text, "  module   {} by {}", node.module.object_name(), node.rule).expect("text");
        writeln!(text, "  for      {by}").expect("text");
        writeln!(text, "  needs    {needs}").expect("text");
        writeln!(text, "  inputs   {}", display(&node.inputs)).expect("text");
        writeln!(text, "  outputs  {}", display(&node.outputs)).expect("text");
    }
    text
}

/// A plan as text.
pub(crate) fn planned(plan: &Plan) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        let fidelity = serde_json::to_value(change.fidelity).expect("a fidelity");
        let fidelity = fidelity.as_str().expect("a text");
        writeln!(
            text,
            "{} {} {} ({fidelity}) {}",
            change.action.sign(),
            change.resource,
            change.action,
            change.module
        )
        .expect("text");
        if let Some(previous) = &change.previous_module {
            writeln!(text, "    was {previous}").expect("text");
        }
        for field in &change.fields {
            let side = |value: &Option<Json>| {
                value
                    .as_ref()
                    .map_or_else(|| "(nothing)".to_owned(), Json::to_string)
            };
            let forces = if field.forces_replacement {
                ", forces replacement"
            } else {
                ""
            };
            let (before, after) = (side(&field.before), side(&field.after));
            writeln!(text, "    {}: {before} → {after}{forces}", field.path).expect("text");
        }
        for note in &change.notes {
            writeln!(text, "    {note}").expect("text");
        }
    }
    for need in &plan.gate.needs {
        writeln!(text, "waits: {need}").expect("text");
    }
    text
}

/// What is live, as the control plane keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) resources: BTreeMap<Coordinate, LiveResource>,
    /// The inputs that were last applied.
    pub(crate) applied: BTreeMap<Coordinate, Value>,
}

impl World {
    pub(crate) fn draft(&self, platform: &Platform, graph: &Graph) -> Draft {
        Draft::assemble(graph, &self.resources, &platform.context).expect("the graph can be compared")
    }

    pub(crate) fn plan(&self, platform: &Platform, graph: &Graph) -> Plan {
        self.plan_with(platform, graph, &GateOptions::default())
    }

    pub(crate) fn plan_with(&self, platform: &Platform, graph: &Graph, options: &GateOptions) -> Plan {
        self.draft(platform, graph)
            .finish(&platform.context, 1, graph, &self.applied, options)
    }

    /// Resolves, allots ports and carries out the plan.
    pub(crate) fn deploy(&mut self, platform: &mut Platform, workloads: &[WorkloadInput]) -> Plan {
        let graph = platform.graph(workloads);
        platform.allot_ports(&graph);
        let graph = platform.graph(workloads);
        let plan = self.plan(platform, &graph);
        self.apply(platform, &graph);
        plan
    }

    /// Carries out all nodes of a draft, in its order, with tools that answer for each output a text of their own.
    pub(crate) fn apply(&mut self, platform: &Platform, graph: &Graph) {
        let draft = self.draft(platform, graph);
        let mut done: Vec<&Coordinate> = Vec::new();
        for node in &draft.nodes {
            for need in &node.needs {
                assert!(done.contains(&need), "{} comes after {need}", node.coordinate);
            }
            done.push(&node.coordinate);
            if node.action == Action::Delete {
                self.resources.remove(&node.coordinate);
                self.applied.remove(&node.coordinate);
                continue;
            }
            self.apply_node(graph, &node.coordinate);
        }
    }

    /// Carries out one node.
    pub(crate) fn apply_node(&mut self, graph: &Graph, coordinate: &Coordinate) {
        let wanted = &graph.nodes[coordinate];
        let others = |other: &Coordinate| self.resources.get(other).map(|live| live.outputs.clone());
        let inputs = evaluate_inputs(&wanted.inputs, &others).expect("inputs can be evaluated");
        assert!(inputs.is_known(), "{coordinate}: {:?}", inputs.to_display());
        let tool = answer(wanted, &inputs);
        let mut outputs =
            declared_outputs(coordinate, &wanted.outputs, &tool, &others).expect("outputs can be declared");
        if let Value::Map(map) = &mut outputs {
            map.extend(wanted.identity.clone());
        }
        let live = LiveResource {
            coordinate: coordinate.clone(),
            module: wanted.module.clone(),
            driver: wanted.driver,
            digest: applied_digest(
                &wanted.module,
                &inputs,
                &evaluate_outputs(&wanted.outputs, &others).expect("the mapping can be evaluated"),
            ),
            complete: true,
            made: true,
            outputs,
            needs: wanted.needs.iter().cloned().collect(),
            protect: self.resources.get(coordinate).is_some_and(|live| live.protect),
        };
        self.resources.insert(coordinate.clone(), live);
        self.applied.insert(coordinate.clone(), inputs);
    }
}

/// What a tool answers: a template its inputs, a volume its handle, and every other a text for each output that is asked
/// of it.
fn answer(node: &podium_model::graph::Node, inputs: &Value) -> Value {
    use podium_model::kinds::DriverKind;
    match node.driver {
        DriverKind::Template => inputs.at(&["inputs".to_owned()]).cloned().expect("inputs"),
        DriverKind::Volume => Value::from_json(&json!({
            "source": format!("volume:shop-dev/{}", node.coordinate.object_name())
        })),
        DriverKind::Script | DriverKind::Workload => {
            let mut answer = BTreeMap::new();
            node.outputs.each_reference(&mut |reference| {
                if reference.source == Source::Tool
                    && let Some(name) = reference.path.first()
                {
                    answer.insert(
                        name.clone(),
                        Value::String(format!("{}-{name}", node.coordinate.id)),
                    );
                }
            });
            Value::Map(answer)
        }
    }
}
