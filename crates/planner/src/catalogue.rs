//! Types, modules and rules, compiled once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podium_document::{Path, PathSegment, Problem, suggest};
use podium_expressions::{Template, TemplateTree};
use podium_model::graph::ModuleReference;
use podium_model::kinds::{ModuleContent, ModuleRequest, ModuleRuleSpec};
use podium_schema::Schema;
use serde_json::Value as Json;

/// What stands in a class or id for that of the resource that asks.
const INHERIT: char = '@';

/// A resource type as the store has it.
#[derive(Clone, Debug)]
pub struct TypeInput {
    /// The name as Score writes it.
    pub resource_type: String,
    /// Who to ask.
    pub owner: String,
    /// Schema of the params.
    pub params: Option<Json>,
    /// Schema of the outputs.
    pub outputs: Option<Json>,
}

/// A module version as the store has it.
#[derive(Clone, Debug)]
pub struct ModuleVersionInput {
    /// Module and version.
    pub reference: ModuleReference,
    /// Who to ask.
    pub owner: String,
    /// Its content.
    pub content: Arc<ModuleContent>,
}

/// A rule as the store has it.
#[derive(Clone, Debug)]
pub struct RuleInput {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: ModuleRuleSpec,
}

/// Everything that a catalogue is built from.
#[derive(Clone, Debug, Default)]
pub struct CatalogueInput {
    /// Resource types.
    pub types: Vec<TypeInput>,
    /// For each module the version in use.
    pub modules: Vec<ModuleVersionInput>,
    /// Rules.
    pub rules: Vec<RuleInput>,
    /// Commands that each runner has.
    pub tools: BTreeMap<String, BTreeSet<String>>,
}

/// A resource type.
#[derive(Debug)]
pub struct TypeEntry {
    /// The name as Score writes it.
    pub name: String,
    /// Who to ask.
    pub owner: String,
    /// Schema of the params, if it has one.
    pub params: Option<Schema>,
    /// Schema of the outputs, if it has one.
    pub outputs: Option<Schema>,
}

/// A module's request for another resource.
#[derive(Debug)]
pub struct CompiledRequest {
    /// The resource type.
    pub resource_type: String,
    /// Its class, if given.
    pub class: Option<Template>,
    /// Its id, if given.
    pub id: Option<Template>,
    /// Its params.
    pub params: TemplateTree,
    /// Whether it waits for the one that asks.
    pub depends_on_this: bool,
}

/// A module version, ready to be used.
#[derive(Debug)]
pub struct CompiledModule {
    /// Module and version.
    pub reference: ModuleReference,
    /// Who to ask.
    pub owner: String,
    /// Its content as written.
    pub content: Arc<ModuleContent>,
    /// Inputs; all params when `None`.
    pub inputs: Option<TemplateTree>,
    /// Environment and volumes of scripts, which are inputs too.
    pub script: Option<TemplateTree>,
    /// Outputs.
    pub outputs: Option<TemplateTree>,
    /// Ports to allot.
    pub ports: Option<TemplateTree>,
    /// Dependencies by alias.
    pub dependencies: BTreeMap<String, CompiledRequest>,
    /// What comes along.
    pub coprovisioned: Vec<CompiledRequest>,
}

/// Types, modules and rules, compiled.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub(crate) types: BTreeMap<String, TypeEntry>,
    pub(crate) modules: BTreeMap<String, CompiledModule>,
    /// Rules by resource type and class, the most specific first.
    pub(crate) rules: BTreeMap<String, BTreeMap<String, Vec<RuleInput>>>,
    pub(crate) tools: BTreeMap<String, BTreeSet<String>>,
}

impl Catalogue {
    /// Compiles everything. What cannot be compiled is left out and named: a bad module must not stop the others.
    pub fn build(input: CatalogueInput) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut catalogue = Self {
            tools: input.tools,
            ..Self::default()
        };
        for entry in input.types {
            let mut schema = |json: Option<Json>, part: &str| {
                json.and_then(|json| match Schema::parse(&json) {
                    Ok(schema) => Some(schema),
                    Err(errors) => {
                        for error in errors {
                            problems.push(
                                Problem::error(
                                    spec_path(&[part]),
                                    format!("the schema is not structural: {error}"),
                                )
                                .in_document(entry.resource_type.clone()),
                            );
                        }
                        None
                    }
                })
            };
            let params = schema(entry.params, "params");
            let outputs = schema(entry.outputs, "outputs");
            let name = entry.resource_type;
            catalogue.types.insert(
                name.clone(),
                TypeEntry {
                    name,
                    owner: entry.owner,
                    params,
                    outputs,
                },
            );
        }
        for version in input.modules {
            let name = version.reference.module.clone();
            match CompiledModule::compile(version) {
                Ok(module) => {
                    catalogue.modules.insert(name, module);
                }
                Err(found) => {
                    problems.extend(found.into_iter().map(|problem| problem.in_document(name.clone())));
                }
            }
        }
        for rule in input.rules {
            let Some(module) = catalogue.modules.get(&rule.spec.module) else {
                problems.push(
                    Problem::error(
                        spec_path(&["module"]),
                        format!("there is no module `{}`", rule.spec.module),
                    )
                    .in_document(rule.name.clone()),
                );
                continue;
            };
            let class = rule
                .spec
                .class
                .clone()
                .unwrap_or_else(|| podium_model::coordinate::DEFAULT_CLASS.to_owned());
            catalogue
                .rules
                .entry(module.content.resource_type.clone())
                .or_default()
                .entry(class)
                .or_default()
                .push(rule);
        }
        for rules in catalogue.rules.values_mut().flat_map(BTreeMap::values_mut) {
            rules.sort_by(|left, right| {
                crate::choose::specificity(&right.spec)
                    .cmp(&crate::choose::specificity(&left.spec))
                    .then_with(|| left.name.cmp(&right.name))
            });
        }
        (catalogue, problems)
    }

    /// A type by its name.
    pub fn resource_type(&self, name: &str) -> Option<&TypeEntry> {
        self.types.get(name)
    }

    /// Names of all types.
    pub fn type_names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// The version in use of a module.
    pub fn module(&self, name: &str) -> Option<&CompiledModule> {
        self.modules.get(name)
    }

    /// Checks a module against the types, before it is used: paths of expressions, dependencies, and outputs.
    pub fn check_module(&self, module: &CompiledModule) -> Vec<Problem> {
        let mut problems = Vec::new();
        let content = &module.content;
        let Some(own) = self.types.get(&content.resource_type) else {
            problems.push(self.unknown_type(spec_path(&["type"]), &content.resource_type));
            return problems;
        };
        let requests = module
            .dependencies
            .iter()
            .map(|(alias, request)| (spec_path(&["dependencies", alias]), request))
            .chain(
                module
                    .coprovisioned
                    .iter()
                    .enumerate()
                    .map(|(index, request)| (spec_path(&["coprovisioned", &index.to_string()]), request)),
            );
        for (path, request) in requests {
            if !self.types.contains_key(&request.resource_type) {
                problems.push(self.unknown_type(join(&path, &["type"]), &request.resource_type));
            }
            request.params.each_template(&mut |inner, template| {
                let mut path = join(&path, &["params"]);
                path.0
                    .extend(inner.iter().map(|key| PathSegment::from(key.as_str())));
                self.check_paths(module, own, &path, template, false, &mut problems);
            });
            for (part, template) in [("class", &request.class), ("id", &request.id)] {
                if let Some(template) = template {
                    let path = join(&path, &[part]);
                    for used in template.paths() {
                        if !matches!(used.root.as_str(), "params" | "context") {
                            let message = format!(
                                "`{}` is known too late: class and id can use only `params` and `context`",
                                used.root
                            );
                            problems.push(Problem::error(path.clone(), message));
                        }
                    }
                    self.check_paths(module, own, &path, template, false, &mut problems);
                }
            }
        }
        for (part, tree, outputs) in [
            ("inputs", &module.inputs, false),
            ("script", &module.script, false),
            ("allotPorts", &module.ports, false),
            ("outputs", &module.outputs, true),
        ] {
            if let Some(tree) = tree {
                tree.each_template(&mut |inner, template| {
                    let mut path = spec_path(&[part]);
                    path.0
                        .extend(inner.iter().map(|key| PathSegment::from(key.as_str())));
                    self.check_paths(module, own, &path, template, outputs, &mut problems);
                });
            }
        }
        if let (Some(TemplateTree::Map(outputs)), Some(schema)) = (&module.outputs, &own.outputs) {
            for name in outputs.keys() {
                if !crate::values::declares(schema, &[name]) {
                    let known: Vec<&str> = schema.root().properties().map(|(name, _)| name).collect();
                    problems.push(unknown_output(
                        Problem::error(
                            spec_path(&["outputs", name]),
                            format!("`{name}` is no output of the type {}", own.name),
                        )
                        .on_key(),
                        &own.name,
                        name,
                        &known,
                    ));
                }
            }
        }
        problems
    }

    fn check_paths(
        &self,
        module: &CompiledModule,
        own: &TypeEntry,
        place: &Path,
        template: &Template,
        outputs: bool,
        problems: &mut Vec<Problem>,
    ) {
        for used in template.paths() {
            let problem = |message: String| Problem::error(place.clone(), message);
            match used.root.as_str() {
                "params" => {
                    let Some(schema) = &own.params else { continue };
                    let known = |name: &str| crate::values::declares(schema, &[name]);
                    if let Some(first) = used.keys.first().filter(|first| !known(first)) {
                        let names: Vec<&str> = schema.root().properties().map(|(name, _)| name).collect();
                        let mut found = problem(format!("the type {} has no param `{first}`", own.name))
                            .label(format!("{} has: {}", own.name, names.join(", ")));
                        if let Some(near) = suggest(first, names) {
                            found = found.help(format!("did you mean `{near}`?"));
                        }
                        problems.push(found);
                    }
                }
                "context" => {
                    const KNOWN: [&str; 9] = crate::context::CONTEXT_FIELDS;
                    if let Some(first) = used.keys.first().filter(|first| !KNOWN.contains(&first.as_str())) {
                        problems.push(problem(format!("`context` has no `{first}`, only {}", KNOWN.join(", "))));
                    }
                }
                "resources" => {
                    let Some(alias) = used.keys.first() else { continue };
                    let Some(request) = module.dependencies.get(alias) else {
                        problems.push(problem(format!("`{alias}` is no dependency of this module")));
                        continue;
                    };
                    if used.keys.get(1).is_some_and(|part| part != "outputs") {
                        problems.push(problem(format!("`resources.{alias}` has only `outputs`")));
                        continue;
                    }
                    let schema = self.types.get(&request.resource_type).and_then(|entry| entry.outputs.as_ref());
                    if let (Some(schema), Some(output)) = (schema, used.keys.get(2))
                        && !crate::values::declares(schema, &[output])
                    {
                        let names: Vec<&str> = schema.root().properties().map(|(name, _)| name).collect();
                        problems.push(unknown_output(
                            problem(format!("`{output}` is no output of {}", request.resource_type)),
                            &request.resource_type,
                            output,
                            &names,
                        ));
                    }
                }
                "workloads" | "allotted" => {}
                "outputs" if outputs => {}
                "outputs" => problems.push(problem(
                    "`outputs` is what the tool answered: it can be used only in the module's outputs".into(),
                )),
                other => problems.push(problem(format!(
                    "there is no `{other}` in expressions, only params, context, resources, workloads, allotted and outputs"
                ))),
            }
        }
    }

    pub(crate) fn unknown_type(&self, path: Path, name: &str) -> Problem {
        let mut problem = Problem::error(path, format!("there is no resource type `{name}`"));
        problem = match suggest(name, self.type_names()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("see what there is: podium get resourcetypes".to_owned()),
        };
        problem
    }
}

/// Adds what a type has, and the nearest name, to a problem about an output it does not have.
pub(crate) fn unknown_output(problem: Problem, type_name: &str, name: &str, known: &[&str]) -> Problem {
    let problem = problem.label(if known.is_empty() {
        format!("{type_name} has no outputs")
    } else {
        format!("{type_name} has: {}", known.join(", "))
    });
    match suggest(name, known.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

fn spec_path(parts: &[&str]) -> Path {
    join(&Path(vec![PathSegment::from("spec")]), parts)
}

fn join(path: &Path, parts: &[&str]) -> Path {
    let mut path = path.clone();
    path.0.extend(parts.iter().map(|part| PathSegment::from(*part)));
    path
}

impl CompiledModule {
    /// Parses every expression of a module version.
    ///
    /// # Errors
    /// Every expression that cannot be parsed, with its path.
    pub fn compile(version: ModuleVersionInput) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let content = version.content;
        let mut parse = |part: &[&str], json: &Json| match TemplateTree::parse(json) {
            Ok(tree) => Some(tree),
            Err(errors) => {
                for (inner, error) in errors {
                    let mut path = spec_path(part);
                    path.0
                        .extend(inner.iter().map(|key| PathSegment::from(key.as_str())));
                    problems.push(Problem::error(path, error.to_string()));
                }
                None
            }
        };
        let inputs = content.inputs.as_ref().and_then(|json| parse(&["inputs"], json));
        let outputs = content
            .outputs
            .as_ref()
            .and_then(|json| parse(&["outputs"], json));
        let ports = content
            .allot_ports
            .as_ref()
            .and_then(|json| parse(&["allotPorts"], json));
        let script = content.script.as_ref().and_then(|script| {
            // What the steps are given is an input like any other: it is compared, sealed and masked with them.
            let environment: serde_json::Map<String, Json> = [
                ("apply", &script.apply),
                ("destroy", &script.destroy),
                ("observe", &script.observe),
            ]
            .into_iter()
            .map(|(name, steps)| {
                (
                    name.to_owned(),
                    steps.iter().map(|step| serde_json::json!(step.env)).collect(),
                )
            })
            .collect();
            parse(
                &["script"],
                &serde_json::json!({"env": environment, "volumes": script.volumes}),
            )
        });
        let mut request = |part: &[&str], request: &ModuleRequest| {
            let mut text = |name: &str, text: &Option<String>, own: &str| {
                text.as_ref()
                    .and_then(|text| match Template::parse_with_shorthand(text, INHERIT, own) {
                        Ok(template) => Some(template),
                        Err(error) => {
                            problems_push(&mut problems, part, name, &error.to_string());
                            None
                        }
                    })
            };
            let class = text("class", &request.class, "context.class");
            let id = text("id", &request.id, "context.id");
            let params = serde_json::json!(request.params);
            let params = match TemplateTree::parse(&params) {
                Ok(tree) => tree,
                Err(errors) => {
                    for (inner, error) in errors {
                        problems_push(
                            &mut problems,
                            part,
                            &format!("params.{}", inner.join(".")),
                            &error.to_string(),
                        );
                    }
                    TemplateTree::Map(BTreeMap::new())
                }
            };
            CompiledRequest {
                resource_type: request.resource_type.clone(),
                class,
                id,
                params,
                depends_on_this: request.depends_on_this,
            }
        };
        let dependencies = content
            .dependencies
            .iter()
            .map(|(alias, asked)| (alias.clone(), request(&["dependencies", alias], asked)))
            .collect();
        let coprovisioned = content
            .coprovisioned
            .iter()
            .enumerate()
            .map(|(index, asked)| request(&["coprovisioned", &index.to_string()], asked))
            .collect();
        if problems.is_empty() {
            Ok(Self {
                reference: version.reference,
                owner: version.owner,
                content,
                inputs,
                script,
                outputs,
                ports,
                dependencies,
                coprovisioned,
            })
        } else {
            Err(problems)
        }
    }

    /// `script/sqlite-file v1`.
    pub fn display(&self) -> String {
        format!(
            "{}/{} v{}",
            self.content.driver.as_str(),
            self.reference.module,
            self.reference.version
        )
    }
}

fn problems_push(problems: &mut Vec<Problem>, part: &[&str], name: &str, message: &str) {
    let mut path = spec_path(part);
    path.0.extend(name.split('.').map(PathSegment::from));
    problems.push(Problem::error(path, message.to_owned()));
}
