//! One node of its requests: its module, its inputs and outputs, and what its module asks for.

use std::collections::{BTreeMap, BTreeSet};

use podium_document::Problem;
use podium_expressions::{EvaluationError, Template, TemplateTree};
use podium_model::coordinate::{Coordinate, DEFAULT_CLASS};
use podium_model::graph::Node;
use podium_model::value::{Reference, Source, Value};
use podium_schema::Schema;

use super::Shared;
use super::params;
use super::work::{Order, Origin, Request, Slot, Work, origin_of};
use crate::catalogue::{CompiledModule, CompiledRequest};
use crate::choose::{Choice, choose};
use crate::scope::{Dependencies, NodeScope, allotted, port_names};
use crate::values;

/// Longest chain of modules that ask for resources of modules.
pub(super) const MAX_DEPTH: usize = 32;
/// Longest class or id that a module may make.
const MAX_NAME: usize = 512;
/// Most that the params of a module's request may hold, so that modules cannot double them without end.
const MAX_PARAMS_BYTES: usize = 16 * 1024 * 1024;

/// A node, and what its module asks for.
pub(super) type Made = (Node, Vec<(Coordinate, String, Request)>);

/// Makes one node of its requests.
pub(super) fn make(shared: &Shared<'_>, slot: Slot, work: &Work) -> Result<Made, Vec<Problem>> {
    let coordinate = work.name(slot);
    let requests = &work.state(slot).requests;
    let Some(origin) = origin_of(requests) else {
        return Err(Vec::new());
    };
    let Shared {
        catalogue,
        context,
        live,
        ..
    } = shared;
    // When a module asks, its owner must hear of it: the author of the document can do nothing about it.
    let blame = |problems: Vec<Problem>| -> Vec<Problem> {
        let Some(asker) = work.asker(requests, origin) else {
            return problems;
        };
        let module = catalogue.module(&asker.module.module);
        problems
            .into_iter()
            .map(|problem| {
                let problem = problem.help(format!(
                    "the module {} asks for {coordinate}, to serve {}",
                    module.map_or_else(|| asker.module.object_name(), CompiledModule::display),
                    asker.coordinate.id
                ));
                module.map_or(problem.clone(), |module| owned(problem, module))
            })
            .collect()
    };
    if origin.depth > MAX_DEPTH {
        return Err(blame(vec![origin.problem(format!(
            "modules ask for each other without end: {coordinate} would be {MAX_DEPTH} levels below the document"
        ))]));
    }
    let Some(entry) = catalogue.resource_type(&coordinate.resource_type) else {
        let at = origin.problem_within(["type"], String::new());
        let problem = catalogue.unknown_type(at.path, &coordinate.resource_type);
        return Err(blame(vec![problem.in_document(origin.place.workload.clone())]));
    };
    let mut params = params::join(coordinate, requests, work, live)?;
    if let Some(schema) = &entry.params {
        values::apply_defaults(&mut params, schema.root());
        let problems = params::check(coordinate, &params, schema, requests, origin);
        if !problems.is_empty() {
            return Err(blame(problems));
        }
    }
    let Some(Choice { rule, module }) = choose(catalogue, context.environment, coordinate) else {
        return Err(blame(vec![nobody_serves(shared, coordinate, origin)]));
    };
    if let Some(problem) = missing_tools(shared, module, coordinate, origin) {
        return Err(vec![owned(problem, module)]);
    }
    let fails = |part: &str, inner: &[String], error: &dyn std::fmt::Display| {
        vec![failure(
            origin,
            module,
            coordinate,
            &format!("{}: {error}", place(part, inner)),
        )]
    };
    let mut scope = NodeScope {
        coordinate,
        params: &params,
        context,
        dependencies: None,
        allotted: None,
        own_outputs: false,
    };
    let mut dependencies = Dependencies::new();
    for (alias, request) in &module.dependencies {
        let target = target(coordinate, &scope, request)
            .map_err(|(part, error)| fails(&format!("dependencies.{alias}.{part}"), &[], &error))?;
        dependencies.insert(alias, target);
    }
    scope.dependencies = Some(&dependencies);
    let evaluate = |part: &str, tree: &Option<TemplateTree>, scope: &NodeScope<'_>| match tree {
        None => Ok(None),
        Some(tree) => tree
            .evaluate(scope)
            .map(Some)
            .map_err(|(inner, error)| fails(part, &inner, &error)),
    };
    let ports = port_names(evaluate("allotPorts", &module.ports, &scope)?)
        .map_err(|message| fails("allotPorts", &[], &message))?;
    let allotted = allotted(coordinate, &ports, live);
    scope.allotted = Some(&allotted);
    let script = evaluate("script", &module.script, &scope)?;
    let own = evaluate("inputs", &module.inputs, &scope)?;
    let mut asked = Vec::with_capacity(module.dependencies.len() + module.coprovisioned.len());
    for (alias, request) in &module.dependencies {
        let Some(target) = dependencies.get(alias.as_str()) else {
            continue;
        };
        let params = request_params(request, &scope)
            .map_err(|(inner, error)| fails(&format!("dependencies.{alias}.params"), &inner, &error))?;
        let request = Request {
            params,
            origin: origin.below(),
            order: Order::RequesterWaits,
        };
        asked.push((target.clone(), alias.clone(), request));
    }
    for (index, request) in module.coprovisioned.iter().enumerate() {
        let plain = NodeScope {
            dependencies: None,
            ..scope
        };
        let target = target(coordinate, &plain, request)
            .map_err(|(part, error)| fails(&format!("coprovisioned.{index}.{part}"), &[], &error))?;
        let params = request_params(request, &scope)
            .map_err(|(inner, error)| fails(&format!("coprovisioned.{index}.params"), &inner, &error))?;
        let order = if request.depends_on_this {
            Order::NodeWaits
        } else {
            Order::None
        };
        let request = Request {
            params,
            origin: origin.below(),
            order,
        };
        asked.push((target, format!("coprovisioned[{index}]"), request));
    }
    scope.own_outputs = true;
    let mapped = evaluate("outputs", &module.outputs, &scope)?;
    let outputs = declared(coordinate, entry.outputs.as_ref(), mapped);
    let mut inputs = BTreeMap::from([("inputs".to_owned(), own.unwrap_or(params))]);
    if let Some(Value::Map(script)) = script {
        inputs.extend(script);
    }
    let node = Node {
        coordinate: coordinate.clone(),
        module: module.reference.clone(),
        driver: module.content.driver,
        runner: module.content.runner.clone(),
        rule: rule.to_owned(),
        requested_by: Vec::new(),
        inputs: Value::Map(inputs),
        outputs,
        identity: BTreeMap::new(),
        ports,
        needs: BTreeSet::new(),
        dependants_wait: module.content.dependants_wait,
        replace_on: module.content.replace_on.clone(),
    };
    Ok((node, asked))
}

fn place(part: &str, inner: &[String]) -> String {
    let mut place = part.to_owned();
    for key in inner {
        place.push('.');
        place.push_str(key);
    }
    place
}

/// A problem of a module, at the request that it serves, with whom to ask.
pub(super) fn failure(
    origin: &Origin,
    module: &CompiledModule,
    coordinate: &Coordinate,
    what: &str,
) -> Problem {
    let problem = origin.problem(format!(
        "module {} cannot serve {}: {what}",
        module.display(),
        coordinate.id
    ));
    owned(problem, module)
}

fn owned(problem: Problem, module: &CompiledModule) -> Problem {
    if module.owner.is_empty() {
        problem
    } else {
        problem.help(format!("the module belongs to {}", module.owner))
    }
}

fn nobody_serves(shared: &Shared<'_>, coordinate: &Coordinate, origin: &Origin) -> Problem {
    let environment = shared.context.environment;
    let (project, name) = (&environment.project, &environment.environment);
    let classes = shared.catalogue.rules.get(&coordinate.resource_type);
    let rules: usize = classes.into_iter().flat_map(BTreeMap::values).map(Vec::len).sum();
    let label = match rules {
        0 => "no rule names a module for it".to_owned(),
        1 => format!(
            "1 rule is for this type, but not for class `{}` in {project}/{name}",
            coordinate.class
        ),
        many => {
            format!(
                "{many} rules are for this type, none for class `{}` in {project}/{name}",
                coordinate.class
            )
        }
    };
    origin
        .problem_within(
            ["type"],
            format!(
                "no module serves type `{}` of class `{}` here",
                coordinate.resource_type, coordinate.class
            ),
        )
        .label(label)
        .help(format!(
            "see why: podium explain --type {} -p {project} -e {name}",
            coordinate.resource_type
        ))
}

fn missing_tools(
    shared: &Shared<'_>,
    module: &CompiledModule,
    coordinate: &Coordinate,
    origin: &Origin,
) -> Option<Problem> {
    let runner = &module.content.runner;
    // A runner that has not reported yet is not known to lack anything.
    let tools = shared.catalogue.tools.get(runner)?;
    let missing: Vec<String> = module
        .content
        .tools
        .iter()
        .filter(|tool| !tools.contains(*tool))
        .map(|tool| format!("`{tool}`"))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let problem = origin.problem_within(
        ["type"],
        format!(
            "module {} needs {} for {}, and the runner `{runner}` does not have it",
            module.display(),
            missing.join(", "),
            coordinate.id,
        ),
    );
    Some(problem.help(format!("install it where the runner `{runner}` works")))
}

/// The type's outputs: the module's mapping, and for what it does not map the tool's answer of the same name.
fn declared(coordinate: &Coordinate, schema: Option<&Schema>, mapped: Option<Value>) -> Value {
    let tool = |path: Vec<String>| {
        Value::Reference(Reference {
            node: coordinate.clone(),
            source: Source::Tool,
            path,
        })
    };
    let names = schema
        .into_iter()
        .flat_map(|schema| schema.root().properties())
        .map(|(name, _)| name);
    match mapped {
        Some(Value::Map(mut map)) => {
            for name in names {
                if !map.contains_key(name) {
                    map.insert(name.to_owned(), tool(vec![name.to_owned()]));
                }
            }
            Value::Map(map)
        }
        Some(other) => other,
        None => {
            let map: BTreeMap<String, Value> = names
                .map(|name| (name.to_owned(), tool(vec![name.to_owned()])))
                .collect();
            if map.is_empty() {
                tool(Vec::new())
            } else {
                Value::Map(map)
            }
        }
    }
}

/// The node that a module's request asks for.
fn target(
    coordinate: &Coordinate,
    scope: &NodeScope<'_>,
    request: &CompiledRequest,
) -> Result<Coordinate, (&'static str, EvaluationError)> {
    let text = |part: &'static str, template: &Option<Template>, unset: &str| {
        let Some(template) = template else {
            return Ok(unset.to_owned());
        };
        let text = match template.evaluate(scope).map_err(|error| (part, error))? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => {
                return Err((
                    part,
                    EvaluationError::Failed("it must be a text that is known before anything is made".into()),
                ));
            }
        };
        // The class ends at the first `#` wherever type, class and id are written in one.
        let wrong = if text.is_empty() {
            "it is empty".to_owned()
        } else if text.len() > MAX_NAME {
            format!("it has {} bytes, more than {MAX_NAME}", text.len())
        } else if text.chars().any(char::is_control) || (part == "class" && text.contains('#')) {
            "it holds a character that no name has".to_owned()
        } else {
            return Ok(text);
        };
        Err((part, EvaluationError::Failed(wrong)))
    };
    Ok(Coordinate::new(
        &request.resource_type,
        text("class", &request.class, DEFAULT_CLASS)?,
        text("id", &request.id, &coordinate.id)?,
    ))
}

fn request_params(
    request: &CompiledRequest,
    scope: &NodeScope<'_>,
) -> Result<Value, (Vec<String>, EvaluationError)> {
    let params = request.params.evaluate(scope)?;
    if values::size(&params) > MAX_PARAMS_BYTES {
        let message = format!("they hold more than {MAX_PARAMS_BYTES} bytes");
        return Err((Vec::new(), EvaluationError::Failed(message)));
    }
    Ok(params)
}
