//! Resolve: requests to a graph.
//!
//! A node's params are the join of what all its requesters ask for, and a node's own requests depend on its params. So
//! nodes are expanded from a worklist until nothing changes: when a request changes a node's params, the node is
//! expanded again, and its requests replace those it made before. The result does not depend on the order.

use std::collections::{BTreeMap, BTreeSet};

use podium_document::{Path, PathSegment, Problem};
use podium_expressions::{EvaluationError, TemplateTree};
use podium_model::coordinate::{Coordinate, DEFAULT_CLASS, WORKLOAD_TYPE};
use podium_model::graph::{Graph, Node, Requester};
use podium_model::value::{Reference, Source, Value};
use podium_schema::Segment;

use crate::catalogue::{Catalogue, CompiledModule, CompiledRequest, unknown_output};
use crate::choose::{Choice, choose};
use crate::context::EnvironmentContext;
use crate::identity::Identities;
use crate::request::{Live, WorkloadInput};
use crate::scope::{NodeScope, port_names, with_ports};
use crate::values;

/// Most nodes of one environment.
pub const MAX_NODES: usize = 20_000;
/// Longest chain of modules that ask for resources of modules.
const MAX_DEPTH: usize = 32;

/// A graph, and what is wrong with the documents.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// The graph; without the nodes that could not be resolved.
    pub graph: Graph,
    /// All mistakes, each with its document. None when the graph may be used.
    pub problems: Vec<Problem>,
}

/// Where a node comes from: the workload's document and the place in it, for messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Origin {
    depth: usize,
    workload: String,
    path: Path,
}

/// Who asks: a document for its workload, or a node under an alias. Sorted, so that the result has one order.
type RequesterKey = (Option<Coordinate>, String);

#[derive(Debug)]
struct Request {
    params: Value,
    origin: Origin,
    /// Whether the requester waits for the node (or the node for the requester).
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    RequesterWaits,
    NodeWaits,
    None,
}

#[derive(Default)]
struct Work {
    requests: BTreeMap<Coordinate, BTreeMap<RequesterKey, Request>>,
    /// The nodes that each node has asked for, to take its requests back.
    asked: BTreeMap<Coordinate, BTreeSet<(Coordinate, String)>>,
    nodes: BTreeMap<Coordinate, Node>,
    problems: BTreeMap<Coordinate, Vec<Problem>>,
}

/// Resolves the workloads of one environment.
pub fn resolve(
    catalogue: &Catalogue,
    context: &EnvironmentContext,
    workloads: &[WorkloadInput],
    live: &Live,
) -> Resolution {
    let mut work = Work::default();
    let mut queue: BTreeSet<(usize, Coordinate)> = BTreeSet::new();
    for workload in workloads {
        let node = Coordinate::workload(&workload.name);
        let origin = Origin {
            depth: 0,
            workload: workload.name.clone(),
            path: Path::default(),
        };
        let request = Request {
            params: workload.params.clone(),
            origin,
            order: Order::None,
        };
        work.requests
            .entry(node.clone())
            .or_default()
            .insert((None, String::new()), request);
        queue.insert((0, node.clone()));
        for asked in &workload.requests {
            let origin = Origin {
                depth: 1,
                workload: workload.name.clone(),
                path: asked.path.clone(),
            };
            let request = Request {
                params: asked.params.clone(),
                origin,
                order: Order::RequesterWaits,
            };
            work.requests
                .entry(asked.coordinate.clone())
                .or_default()
                .insert((Some(node.clone()), asked.alias.clone()), request);
            queue.insert((1, asked.coordinate.clone()));
        }
    }
    let mut too_many = false;
    while let Some((_, coordinate)) = queue.pop_first() {
        if work.requests.len() > MAX_NODES {
            too_many = true;
            break;
        }
        expand(catalogue, context, live, &coordinate, &mut work, &mut queue);
    }
    let mut problems: Vec<Problem> = std::mem::take(&mut work.problems)
        .into_values()
        .flatten()
        .collect();
    if too_many {
        problems.push(Problem::error(
            Path::default(),
            format!("the environment would have more than {MAX_NODES} resources"),
        ));
    }
    let origins: BTreeMap<Coordinate, Origin> = work
        .requests
        .iter()
        .filter_map(|(node, requests)| {
            requests
                .values()
                .map(|request| &request.origin)
                .min()
                .map(|origin| (node.clone(), origin.clone()))
        })
        .collect();
    check_uses(catalogue, workloads, &mut problems);
    let mut graph = Graph {
        nodes: std::mem::take(&mut work.nodes),
    };
    order(&work.requests, &mut graph);
    fill_identities(catalogue, live, &origins, &mut graph, &mut problems);
    if problems.is_empty() {
        find_cycle(&graph, &origins, &mut problems);
    }
    problems.sort_by(|left, right| {
        (&left.document, &left.path, left.range, &left.message).cmp(&(
            &right.document,
            &right.path,
            right.range,
            &right.message,
        ))
    });
    problems.dedup();
    Resolution { graph, problems }
}

/// Makes one node from its requests, and its requests to others.
fn expand(
    catalogue: &Catalogue,
    context: &EnvironmentContext,
    live: &Live,
    coordinate: &Coordinate,
    work: &mut Work,
    queue: &mut BTreeSet<(usize, Coordinate)>,
) {
    work.problems.remove(coordinate);
    let former = work.asked.remove(coordinate).unwrap_or_default();
    let mut asked: BTreeSet<(Coordinate, String)> = BTreeSet::new();
    let outcome = make(catalogue, context, live, coordinate, work);
    match outcome {
        Err(problems) => {
            work.problems.insert(coordinate.clone(), problems);
            work.nodes.remove(coordinate);
        }
        Ok((node, requests)) => {
            work.nodes.insert(coordinate.clone(), node);
            for (target, alias, request) in requests {
                let depth = request.origin.depth;
                let key = (Some(coordinate.clone()), alias.clone());
                asked.insert((target.clone(), alias));
                let entry = work.requests.entry(target.clone()).or_default();
                let changed = entry
                    .get(&key)
                    .is_none_or(|before| before.params != request.params);
                entry.insert(key, request);
                if changed || !work.nodes.contains_key(&target) {
                    queue.insert((depth, target));
                }
            }
        }
    }
    for (target, alias) in former.difference(&asked) {
        if let Some(requests) = work.requests.get_mut(target) {
            requests.remove(&(Some(coordinate.clone()), alias.clone()));
            if requests.is_empty() {
                work.requests.remove(target);
                work.nodes.remove(target);
                work.problems.remove(target);
                // What nobody asks for any more takes its own requests back as well.
                for (next, alias) in work.asked.remove(target).unwrap_or_default() {
                    if let Some(requests) = work.requests.get_mut(&next) {
                        requests.remove(&(Some(target.clone()), alias));
                        if requests.is_empty() {
                            work.requests.remove(&next);
                            work.nodes.remove(&next);
                        } else {
                            queue.insert((0, next));
                        }
                    }
                }
            } else {
                queue.insert((0, target.clone()));
            }
        }
    }
    work.asked.insert(coordinate.clone(), asked);
}

type Made = (Node, Vec<(Coordinate, String, Request)>);

fn make(
    catalogue: &Catalogue,
    context: &EnvironmentContext,
    live: &Live,
    coordinate: &Coordinate,
    work: &Work,
) -> Result<Made, Vec<Problem>> {
    let Some(requests) = work.requests.get(coordinate) else {
        return Err(Vec::new());
    };
    let Some(origin) = requests.values().map(|request| &request.origin).min().cloned() else {
        return Err(Vec::new());
    };
    let at = |path: &Path, message: String| {
        Problem::error(path.clone(), message).in_document(origin.workload.clone())
    };
    if origin.depth > MAX_DEPTH {
        return Err(vec![at(
            &origin.path,
            format!("modules ask for each other without end: {coordinate} is {MAX_DEPTH} levels deep"),
        )]);
    }
    let Some(entry) = catalogue.resource_type(&coordinate.resource_type) else {
        let path = within(&origin.path, &["type"]);
        return Err(vec![
            catalogue
                .unknown_type(path, &coordinate.resource_type)
                .in_document(origin.workload.clone()),
        ]);
    };
    let mut params = join_params(coordinate, requests, live)?;
    if let Some(schema) = &entry.params {
        values::apply_defaults(&mut params, schema.root());
        check_params(coordinate, &params, schema, requests, &origin)?;
    }
    let Some(Choice { rule, module }) = choose(catalogue, context, coordinate) else {
        let modules = catalogue
            .rules
            .iter()
            .filter(|((name, _), _)| *name == coordinate.resource_type)
            .map(|(_, rules)| rules.len())
            .sum::<usize>();
        let place = format!("{}/{}", context.project, context.environment);
        let label = match modules {
            0 => "no rule names a module for it".to_owned(),
            1 => format!("1 rule is for this type, but not for {place}"),
            many => format!("{many} rules are for this type, none for {place}"),
        };
        let problem = at(
            &within(&origin.path, &["type"]),
            format!(
                "no module serves type `{}` of class `{}` here",
                coordinate.resource_type, coordinate.class
            ),
        )
        .label(label)
        .help(format!(
            "see why: podium explain --type {} -p {} -e {}",
            coordinate.resource_type, context.project, context.environment
        ));
        return Err(vec![problem]);
    };
    check_tools(catalogue, module, coordinate, &origin)?;
    let scope = NodeScope {
        coordinate,
        params: &params,
        context: context.value(coordinate),
        module,
        own_outputs: false,
    };
    let failed = |part: &str, inner: &[String], error: &EvaluationError| {
        let place = if inner.is_empty() {
            part.to_owned()
        } else {
            format!("{part}.{}", inner.join("."))
        };
        let mut problem = at(
            &origin.path,
            format!(
                "module {} cannot serve {}: {place}: {error}",
                module.display(),
                coordinate.id
            ),
        );
        if !module.owner.is_empty() {
            problem = problem.help(format!("the module belongs to {}", module.owner));
        }
        vec![problem]
    };
    let evaluate = |part: &str, tree: &Option<TemplateTree>, scope: &NodeScope<'_>| match tree {
        None => Ok(None),
        Some(tree) => tree
            .evaluate(scope)
            .map(Some)
            .map_err(|(inner, error)| failed(part, &inner, &error)),
    };
    let ports = port_names(evaluate("allotPorts", &module.ports, &scope)?).map_err(|message| {
        vec![at(
            &origin.path,
            format!("module {}: allotPorts: {message}", module.display()),
        )]
    })?;
    let scope = NodeScope {
        context: with_ports(scope.context, coordinate, &ports, live),
        ..scope
    };
    let mut inputs = evaluate("inputs", &module.inputs, &scope)?.unwrap_or_else(|| params.clone());
    if let Some(script) = evaluate("script", &module.script, &scope)? {
        let mut both = BTreeMap::from([("inputs".to_owned(), inputs)]);
        if let Value::Map(script) = script {
            both.extend(script);
        }
        inputs = Value::Map(both);
    } else {
        inputs = Value::Map(BTreeMap::from([("inputs".to_owned(), inputs)]));
    }
    let scope = NodeScope {
        own_outputs: true,
        ..scope
    };
    let mapped = evaluate("outputs", &module.outputs, &scope)?;
    let outputs = declared(coordinate, entry.outputs.as_ref(), mapped);
    let scope = NodeScope {
        own_outputs: false,
        ..scope
    };
    let mut asked = Vec::new();
    for (alias, request) in &module.dependencies {
        let order = Order::RequesterWaits;
        asked.push(
            own_request(coordinate, &scope, request, alias, order, &origin).map_err(
                |(part, inner, error)| failed(&format!("dependencies.{alias}.{part}"), &inner, &error),
            )?,
        );
    }
    for (index, request) in module.coprovisioned.iter().enumerate() {
        let order = if request.depends_on_this {
            Order::NodeWaits
        } else {
            Order::None
        };
        let alias = format!("coprovisioned[{index}]");
        asked.push(
            own_request(coordinate, &scope, request, &alias, order, &origin).map_err(
                |(part, inner, error)| failed(&format!("coprovisioned.{index}.{part}"), &inner, &error),
            )?,
        );
    }
    let node = Node {
        coordinate: coordinate.clone(),
        module: module.reference.clone(),
        driver: module.content.driver,
        runner: module.content.runner.clone(),
        rule: rule.to_owned(),
        requested_by: requests
            .iter()
            .map(|((node, alias), request)| Requester {
                node: node.clone(),
                alias: alias.clone(),
                params: request.params.clone(),
            })
            .collect(),
        inputs,
        outputs,
        identity: BTreeMap::new(),
        ports,
        needs: BTreeSet::new(),
        dependants_wait: module.content.dependants_wait,
        replace_on: module.content.replace_on.clone(),
    };
    Ok((node, asked))
}

/// The params of all requesters, joined; conflicts name both sides.
fn join_params(
    coordinate: &Coordinate,
    requests: &BTreeMap<RequesterKey, Request>,
    live: &Live,
) -> Result<Value, Vec<Problem>> {
    let mut joined = Value::empty_map();
    let mut before: Vec<(&RequesterKey, &Request)> = Vec::new();
    for (key, request) in requests {
        let mut path = Vec::new();
        match values::join(&joined, &request.params, &mut path) {
            Ok(value) => joined = value,
            Err(path) => {
                let other = before
                    .iter()
                    .find(|(_, other)| {
                        other
                            .params
                            .at(&path)
                            .is_some_and(|value| Some(value) != request.params.at(&path))
                    })
                    .or(before.first());
                let value_of = |request: &Request| {
                    request.params.at(&path).map_or_else(
                        || "something else".to_owned(),
                        |value| value.to_display().to_string(),
                    )
                };
                let who = |key: &RequesterKey| {
                    let name = key.0.as_ref().map_or("the document", |node| node.id.as_str());
                    let author = key
                        .0
                        .as_ref()
                        .and_then(|node| live.authors.get(&(coordinate.clone(), node.to_string())));
                    match author {
                        Some((release, author)) => format!("{name} (release {release}, by {author})"),
                        None => name.to_owned(),
                    }
                };
                let mut place = request.origin.path.clone();
                place.0.push("params".into());
                place
                    .0
                    .extend(path.iter().map(|key| PathSegment::from(key.as_str())));
                let mut problem = Problem::error(
                    place,
                    format!(
                        "the requests for {coordinate} disagree about `{}`",
                        path.join(".")
                    ),
                )
                .in_document(request.origin.workload.clone());
                if let Some((other_key, other)) = other {
                    problem = problem
                        .label(format!("{} asks for {}", who(key), value_of(request)))
                        .help(format!("{} asks for {}", who(other_key), value_of(other)))
                        .help("deploy both workloads together to change both");
                }
                return Err(vec![problem]);
            }
        }
        before.push((key, request));
    }
    Ok(joined)
}

fn check_params(
    coordinate: &Coordinate,
    params: &Value,
    schema: &podium_schema::Schema,
    requests: &BTreeMap<RequesterKey, Request>,
    origin: &Origin,
) -> Result<(), Vec<Problem>> {
    let mistakes = values::check(params, schema);
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(mistakes
        .into_iter()
        .map(|mistake| {
            let keys: Vec<String> = mistake
                .path
                .iter()
                .map(|segment| match segment {
                    Segment::Field(name) => name.clone(),
                    Segment::Index(index) => index.to_string(),
                })
                .collect();
            // The requester that named the value is the one to be told.
            let origin = requests
                .values()
                .find(|request| !keys.is_empty() && request.params.at(&keys).is_some())
                .map_or(origin, |request| &request.origin);
            let mut path = origin.path.clone();
            if coordinate.resource_type != WORKLOAD_TYPE {
                path.0.push("params".into());
            }
            path.0.extend(mistake.path.iter().map(|segment| match segment {
                Segment::Field(name) => PathSegment::from(name.as_str()),
                Segment::Index(index) => PathSegment::from(*index),
            }));
            let mut problem = Problem::error(
                path,
                format!("params of {}: {}", coordinate.resource_type, mistake.message),
            )
            .in_document(origin.workload.clone());
            if mistake.on_key {
                problem = problem.on_key();
                let known: Vec<&str> = schema.root().properties().map(|(name, _)| name).collect();
                if keys.len() == 1 && !known.is_empty() {
                    problem = problem.label(format!(
                        "{} takes: {}",
                        coordinate.resource_type,
                        known.join(", ")
                    ));
                }
            }
            if let Some(suggestion) = mistake.suggestion {
                problem = problem.help(format!("did you mean `{suggestion}`?"));
            }
            problem
        })
        .collect())
}

fn check_tools(
    catalogue: &Catalogue,
    module: &CompiledModule,
    coordinate: &Coordinate,
    origin: &Origin,
) -> Result<(), Vec<Problem>> {
    // A runner that has not reported yet is not known to lack anything.
    let Some(tools) = catalogue.tools.get(&module.content.runner) else {
        return Ok(());
    };
    let missing: Vec<&str> = module
        .content
        .tools
        .iter()
        .filter(|tool| !tools.contains(*tool))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut problem = Problem::error(
        within(&origin.path, &["type"]),
        format!(
            "module {} needs {} for {}, and the runner `{}` does not have it",
            module.display(),
            missing
                .iter()
                .map(|tool| format!("`{tool}`"))
                .collect::<Vec<_>>()
                .join(", "),
            coordinate.id,
            module.content.runner
        ),
    )
    .in_document(origin.workload.clone())
    .help(format!(
        "install it where the runner `{}` works",
        module.content.runner
    ));
    if !module.owner.is_empty() {
        problem = problem.help(format!("the module belongs to {}", module.owner));
    }
    Err(vec![problem])
}

fn within(path: &Path, keys: &[&str]) -> Path {
    let mut path = path.clone();
    if !path.0.is_empty() {
        path.0.extend(keys.iter().map(|key| PathSegment::from(*key)));
    }
    path
}

/// The type's outputs: the module's mapping, and for what it does not map the tool's answer of the same name.
fn declared(coordinate: &Coordinate, schema: Option<&podium_schema::Schema>, mapped: Option<Value>) -> Value {
    let tool = |path: Vec<String>| {
        Value::Reference(Reference {
            node: coordinate.clone(),
            source: Source::Tool,
            path,
        })
    };
    match mapped {
        Some(Value::Map(mut map)) => {
            for (name, _) in schema.into_iter().flat_map(|schema| schema.root().properties()) {
                map.entry(name.to_owned())
                    .or_insert_with(|| tool(vec![name.to_owned()]));
            }
            Value::Map(map)
        }
        Some(other) => other,
        None => {
            let names: Vec<String> = schema
                .into_iter()
                .flat_map(|schema| schema.root().properties())
                .map(|(name, _)| name.to_owned())
                .collect();
            if names.is_empty() {
                tool(Vec::new())
            } else {
                Value::Map(
                    names
                        .into_iter()
                        .map(|name| (name.clone(), tool(vec![name])))
                        .collect(),
                )
            }
        }
    }
}

type OwnRequestError = (&'static str, Vec<String>, EvaluationError);

fn own_request(
    coordinate: &Coordinate,
    scope: &NodeScope<'_>,
    request: &CompiledRequest,
    alias: &str,
    order: Order,
    origin: &Origin,
) -> Result<(Coordinate, String, Request), OwnRequestError> {
    let text =
        |part: &'static str, template: &Option<podium_expressions::Template>, own: &str, unset: &str| {
            let Some(template) = template else {
                return Ok(unset.to_owned());
            };
            match template
                .evaluate(scope)
                .map_err(|error| (part, Vec::new(), error))?
            {
                Value::String(text) => Ok(text.replace('@', own)),
                Value::Number(number) => Ok(number.to_string()),
                _ => Err((
                    part,
                    Vec::new(),
                    EvaluationError::Failed("it must be a text that is known now".into()),
                )),
            }
        };
    let class = text("class", &request.class, &coordinate.class, DEFAULT_CLASS)?;
    let id = text("id", &request.id, &coordinate.id, &coordinate.id)?;
    let params = request
        .params
        .evaluate(scope)
        .map_err(|(inner, error)| ("params", inner, error))?;
    let target = Coordinate::new(&request.resource_type, class, id);
    let origin = Origin {
        depth: origin.depth + 1,
        ..origin.clone()
    };
    Ok((
        target,
        alias.to_owned(),
        Request {
            params,
            origin,
            order,
        },
    ))
}

/// Checks the outputs that documents name against the types.
fn check_uses(catalogue: &Catalogue, workloads: &[WorkloadInput], problems: &mut Vec<Problem>) {
    for workload in workloads {
        for used in &workload.uses {
            let Some(entry) = catalogue.resource_type(&used.reference.node.resource_type) else {
                continue;
            };
            let Some(schema) = &entry.outputs else { continue };
            if schema.property(&used.reference.path).is_some() {
                continue;
            }
            let name = used.reference.path.first().map_or("", String::as_str);
            let known: Vec<&str> = schema.root().properties().map(|(name, _)| name).collect();
            let mut problem = Problem::error(
                used.path.clone(),
                format!("the placeholder names no output of {}", entry.name),
            )
            .in_document(workload.name.clone());
            problem.range = used.range;
            problems.push(unknown_output(problem, &entry.name, name, &known));
        }
    }
}

/// Orders the nodes by their requests.
fn order(requests: &BTreeMap<Coordinate, BTreeMap<RequesterKey, Request>>, graph: &mut Graph) {
    for (target, requests) in requests {
        for ((requester, _), request) in requests {
            let Some(requester) = requester else { continue };
            match request.order {
                Order::RequesterWaits if graph.nodes.contains_key(target) => {
                    if let Some(node) = graph.nodes.get_mut(requester) {
                        node.needs.insert(target.clone());
                    }
                }
                Order::NodeWaits if graph.nodes.contains_key(requester) => {
                    if let Some(node) = graph.nodes.get_mut(target) {
                        node.needs.insert(requester.clone());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Puts identity outputs in their places, and orders nodes by the references that are left.
fn fill_identities(
    catalogue: &Catalogue,
    live: &Live,
    origins: &BTreeMap<Coordinate, Origin>,
    graph: &mut Graph,
    problems: &mut Vec<Problem>,
) {
    let mut filled: Vec<(
        Coordinate,
        Value,
        Value,
        BTreeMap<String, Value>,
        BTreeSet<Coordinate>,
    )> = Vec::new();
    {
        let identities = Identities::new(graph, catalogue, live);
        for (coordinate, node) in &graph.nodes {
            let mut report = |message: String| {
                if let Some(origin) = origins.get(coordinate) {
                    problems.push(
                        Problem::error(origin.path.clone(), message).in_document(origin.workload.clone()),
                    );
                }
            };
            let mut missing = BTreeSet::new();
            for value in [&node.inputs, &node.outputs] {
                value.each_reference(&mut |reference| {
                    if reference.node != *coordinate && !graph.nodes.contains_key(&reference.node) {
                        missing.insert(reference.node.clone());
                    }
                });
            }
            for other in missing {
                // A node that failed has its own problem; only one that nobody asks for is told here.
                if !origins.contains_key(&other) {
                    report(if other.is_workload() {
                        format!(
                            "{} names the workload `{}`, which is not in this environment",
                            coordinate.id, other.id
                        )
                    } else {
                        format!("{} names {other}, which nobody asks for", coordinate.id)
                    });
                }
            }
            let (inputs, outputs) = match (identities.fill(&node.inputs), identities.fill(&node.outputs)) {
                (Ok(inputs), Ok(outputs)) => (inputs, outputs),
                (Err(error), _) | (_, Err(error)) => {
                    report(format!("{}: {error}", coordinate.id));
                    continue;
                }
            };
            let mut identity = BTreeMap::new();
            if let Some(schema) = catalogue
                .resource_type(&coordinate.resource_type)
                .and_then(|entry| entry.outputs.as_ref())
            {
                if let Value::Map(map) = &outputs {
                    for name in map.keys().filter(|name| schema.is_identity(&[name.as_str()])) {
                        match identities.identity(coordinate, name) {
                            Ok(Some(value)) => {
                                identity.insert(name.clone(), value);
                            }
                            Ok(None) => {}
                            Err(error) => report(format!("{}: {error}", coordinate.id)),
                        }
                    }
                }
            }
            let mut needs = node.needs.clone();
            for value in [&inputs, &outputs] {
                value.each_reference(&mut |reference| {
                    if reference.source == Source::Declared
                        && reference.node != *coordinate
                        && !identities.is_identity(reference)
                        && graph.nodes.contains_key(&reference.node)
                    {
                        needs.insert(reference.node.clone());
                    }
                });
            }
            filled.push((coordinate.clone(), inputs, outputs, identity, needs));
        }
    }
    for (coordinate, inputs, outputs, identity, needs) in filled {
        if let Some(node) = graph.nodes.get_mut(&coordinate) {
            node.inputs = inputs;
            node.outputs = outputs;
            node.identity = identity;
            node.needs = needs;
        }
    }
}

/// Shows one cycle of ordering references, if there is any.
fn find_cycle(graph: &Graph, origins: &BTreeMap<Coordinate, Origin>, problems: &mut Vec<Problem>) {
    let mut waiting: BTreeMap<&Coordinate, usize> = graph
        .nodes
        .values()
        .map(|node| (&node.coordinate, node.needs.len()))
        .collect();
    let mut dependants: BTreeMap<&Coordinate, Vec<&Coordinate>> = BTreeMap::new();
    for node in graph.nodes.values() {
        for need in &node.needs {
            dependants.entry(need).or_default().push(&node.coordinate);
        }
    }
    let mut ready: Vec<&Coordinate> = waiting
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(node, _)| *node)
        .collect();
    while let Some(node) = ready.pop() {
        waiting.remove(node);
        for dependant in dependants.get(node).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(dependant) {
                *count -= 1;
                if *count == 0 {
                    ready.push(dependant);
                }
            }
        }
    }
    let Some((start, _)) = waiting.first_key_value() else {
        return;
    };
    // Every node left waits for another one left; following them must come back to one already seen.
    let mut chain: Vec<&Coordinate> = vec![start];
    loop {
        let Some(last) = chain.last() else { return };
        let Some(next) = graph
            .nodes
            .get(*last)
            .and_then(|node| node.needs.iter().find(|need| waiting.contains_key(need)))
        else {
            return;
        };
        if let Some(from) = chain.iter().position(|seen| *seen == next) {
            let mut names: Vec<String> = chain[from..]
                .iter()
                .map(|node| format!("{} ({})", node.id, node.type_and_class()))
                .collect();
            names.push(format!("{} ({})", next.id, next.type_and_class()));
            let origin = chain[from..].iter().filter_map(|node| origins.get(*node)).min();
            if let Some(origin) = origin {
                problems.push(
                    Problem::error(
                        origin.path.clone(),
                        format!("these need each other: {}", names.join(" → ")),
                    )
                    .in_document(origin.workload.clone())
                    .help("break the cycle: one of them has to do without an output of the other"),
                );
            }
            return;
        }
        chain.push(next);
    }
}
