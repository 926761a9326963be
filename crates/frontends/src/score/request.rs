//! A workload to requests: one for itself, and one for each resource that it needs.
//!
//! Params are trees whose texts are pieces: literals, and references to outputs of the workload's resources.
//! Placeholders for metadata are filled in here. The params of a workload mirror its document, so a path in them is a
//! path in the document: a problem that somebody later finds with a reference can be told at its place.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podium_document::Problem;
use podium_model::coordinate::{Coordinate, DEFAULT_CLASS};
use serde_json::{Map, Number, Value};

use super::check::{Names, placeholder_problems};
use super::place::{Findings, Place, shown};
use super::placeholder::{Part, Reference, scan};
use super::workload::{
    ComputeAmounts, Container, ContainerFile, ContainerVolume, FileContent, HttpGet, Probe, ResourceNeed,
    ScoreWorkload, ServicePort,
};

/// A value whose texts may wait for outputs.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text in pieces, of which none is [`Part::Metadata`]. A text without references is one literal, or nothing
    /// when it is empty.
    Text(Vec<Part>),
    /// A list.
    List(Vec<Template>),
    /// A map.
    Map(BTreeMap<String, Template>),
}

impl Template {
    /// Text without references, taken as it is.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Text(if text.is_empty() {
            Vec::new()
        } else {
            vec![Part::Literal(text)]
        })
    }

    /// A value without references, taken as it is.
    pub fn from_json(value: &Value) -> Self {
        Self::from_value(value, &mut |text| Self::literal(text))
    }

    fn from_value(value: &Value, text: &mut dyn FnMut(&str) -> Self) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(string) => text(string),
            Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::from_value(item, text)).collect())
            }
            Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), Self::from_value(value, text)))
                    .collect(),
            ),
        }
    }

    /// Calls `visit` for every reference in it.
    pub fn each_reference<'t>(&'t self, visit: &mut dyn FnMut(&'t Reference)) {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => {}
            Self::Text(parts) => parts.iter().for_each(|part| {
                if let Part::Resource(reference) = part {
                    visit(reference);
                }
            }),
            Self::List(items) => items.iter().for_each(|item| item.each_reference(visit)),
            Self::Map(map) => map.values().for_each(|value| value.each_reference(visit)),
        }
    }
}

/// What a workload asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadRequest {
    /// The workload itself: type `workload`, class `default`, its name as id.
    pub coordinate: Coordinate,
    /// Its params: `metadata`, `containers` and `service`, always all three.
    pub params: BTreeMap<String, Template>,
    /// What it needs, by alias.
    pub resources: Vec<ResourceRequest>,
}

/// A resource that a workload asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceRequest {
    /// Its name in the workload, which references use.
    pub alias: String,
    /// Type, class, and the id: the one given, or `WORKLOAD.ALIAS`.
    pub coordinate: Coordinate,
    /// Whether the id was given, so that others may ask for the same.
    pub is_shared: bool,
    /// `metadata`, as written; none when there is none.
    pub metadata: Option<Map<String, Value>>,
    /// `params`; none when there are none, which joins whatever others ask for.
    pub params: Option<BTreeMap<String, Template>>,
}

/// What a file holds that a document names by `source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileText {
    /// Text, whose placeholders count.
    Text(String),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
}

/// Turns a workload to requests. `files` gives what each `source` holds.
///
/// Problems can only come from source files: all else was checked when the workload was parsed.
pub fn requests(
    workload: &ScoreWorkload,
    files: &dyn Fn(&str) -> Option<FileText>,
) -> Result<WorkloadRequest, Vec<Problem>> {
    let mut maker = Maker {
        workload,
        files,
        findings: Findings::default(),
    };
    let containers = maker.containers();
    let problems = maker.findings.into_problems(Some(&workload.name));
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    let metadata = workload
        .metadata
        .iter()
        .map(|(key, value)| (key.clone(), Template::from_json(value)))
        .collect();
    let ports = workload
        .ports
        .iter()
        .map(|(name, port)| (name.clone(), service_port(*port)))
        .collect();
    let params = [
        ("metadata", Template::Map(metadata)),
        ("containers", containers),
        ("service", map([("ports", Some(Template::Map(ports)))])),
    ];
    let resources = workload.resources.iter();
    Ok(WorkloadRequest {
        coordinate: Coordinate::workload(&workload.name),
        params: params
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        resources: resources
            .map(|(alias, need)| resource(workload, alias, need))
            .collect(),
    })
}

fn resource(workload: &ScoreWorkload, alias: &str, need: &ResourceNeed) -> ResourceRequest {
    let class = need.class.as_deref().unwrap_or(DEFAULT_CLASS);
    let id = need
        .id
        .clone()
        .unwrap_or_else(|| format!("{}.{alias}", workload.name));
    let mut expand = |text: &str| expanded(text, &workload.metadata);
    let params = need.params.as_ref().map(|params| {
        params
            .iter()
            .map(|(key, value)| (key.clone(), Template::from_value(value, &mut expand)))
            .collect()
    });
    ResourceRequest {
        alias: alias.to_owned(),
        coordinate: Coordinate::new(&need.resource_type, class, id),
        is_shared: need.id.is_some(),
        metadata: need.metadata.clone(),
        params,
    }
}

struct Maker<'w> {
    workload: &'w ScoreWorkload,
    files: &'w dyn Fn(&str) -> Option<FileText>,
    findings: Findings,
}

impl Maker<'_> {
    fn containers(&mut self) -> Template {
        let place = Place::ROOT.key("containers");
        let containers = self.workload.containers.iter();
        Template::Map(
            containers
                .map(|(name, container)| (name.clone(), self.container(container, &place.key(name))))
                .collect(),
        )
    }

    fn container(&mut self, container: &Container, place: &Place<'_>) -> Template {
        let variables = container
            .variables
            .iter()
            .map(|(name, text)| (name.clone(), self.expand(text)))
            .collect();
        let files_place = place.key("files");
        let files = container.files.iter();
        let files = files
            .map(|(target, file)| (target.clone(), self.file(file, &files_place.key(target))))
            .collect();
        let volumes = container
            .volumes
            .iter()
            .map(|(target, volume)| (target.clone(), self.volume(volume)))
            .collect();
        let before = container.before.iter();
        let before = before
            .map(|(name, ready)| {
                (
                    name.clone(),
                    map([("ready", Some(Template::literal(ready.as_str())))]),
                )
            })
            .collect();
        let compute = [
            ("limits", amounts(&container.limits)),
            ("requests", amounts(&container.requests)),
        ];
        map([
            ("image", Some(Template::literal(&container.image))),
            ("command", text_list(&container.command)),
            ("args", text_list(&container.args)),
            ("variables", some_map(variables)),
            ("files", some_map(files)),
            ("volumes", some_map(volumes)),
            ("resources", non_empty(compute)),
            ("livenessProbe", container.liveness_probe.as_ref().map(probe)),
            ("readinessProbe", container.readiness_probe.as_ref().map(probe)),
            ("before", some_map(before)),
        ])
    }

    fn expand(&self, text: &str) -> Template {
        expanded(text, &self.workload.metadata)
    }

    fn volume(&self, volume: &ContainerVolume) -> Template {
        let mut source = self.expand(&volume.source);
        if let Template::Text(parts) = &mut source {
            for part in parts {
                if let Part::Resource(reference) = part
                    && reference.path.is_empty()
                {
                    reference.path.push("source".to_owned());
                }
            }
        }
        map([
            ("source", Some(source)),
            ("path", volume.path.as_ref().map(Template::literal)),
            ("readOnly", volume.read_only.map(Template::Bool)),
        ])
    }

    fn file(&mut self, file: &ContainerFile, place: &Place<'_>) -> Template {
        let (name, content) = match &file.content {
            FileContent::Text(text) if file.expand => ("content", self.expand(text)),
            FileContent::Text(text) => ("content", Template::literal(text)),
            FileContent::Binary(bytes) => ("binaryContent", Template::literal(bytes)),
            FileContent::Source(source) => self.source(source, file.expand, &place.key("source")),
        };
        map([
            (name, Some(content)),
            ("mode", file.mode.as_ref().map(Template::literal)),
        ])
    }

    fn source(&mut self, source: &str, expand: bool, place: &Place<'_>) -> (&'static str, Template) {
        let text = match (self.files)(source) {
            Some(FileText::Text(text)) => text,
            Some(FileText::Bytes(bytes)) => {
                return ("binaryContent", Template::literal(STANDARD.encode(bytes)));
            }
            None => {
                let message = format!(
                    "the content of `{}` did not come with the document",
                    shown(source)
                );
                self.findings.push(
                    Problem::error(place.path(), message).help("deploy with the client, which sends it"),
                );
                return ("content", Template::literal(""));
            }
        };
        if !expand {
            return ("content", Template::literal(text));
        }
        let names = Names {
            metadata: &self.workload.metadata,
            resources: self
                .workload
                .resources
                .keys()
                .map(String::as_str)
                .collect::<BTreeSet<_>>(),
        };
        for mut problem in placeholder_problems(&text, place, &names) {
            // The range is one of the other file, of which the document's text knows nothing.
            if let Some((start, _)) = problem.range.take() {
                let before = text.get(..start).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                problem.message = format!("{}, in {}:{line}:{column}", problem.message, shown(source));
            }
            self.findings
                .push(problem.help("if no placeholders are meant in this file, set `noExpand: true`"));
        }
        ("content", self.expand(&text))
    }
}

/// A text with its metadata filled in.
fn expanded(text: &str, metadata: &Map<String, Value>) -> Template {
    if !text.contains('$') {
        return Template::literal(text);
    }
    let mut parts: Vec<Part> = Vec::new();
    for part in scan(text).parts {
        let part = match part {
            // The check has told of keys that do not exist.
            Part::Metadata { path, .. } => Part::Literal(metadata_text(metadata, &path).unwrap_or_default()),
            other => other,
        };
        match (parts.last_mut(), part) {
            (_, Part::Literal(text)) if text.is_empty() => {}
            (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
            (_, part) => parts.push(part),
        }
    }
    Template::Text(parts)
}

/// What a placeholder for metadata stands for: a text itself, anything else as JSON. Fails with the key that does not
/// exist.
pub(super) fn metadata_text(metadata: &Map<String, Value>, path: &[String]) -> Result<String, String> {
    let mut keys = path.iter();
    let first = keys.next().ok_or_else(String::new)?;
    let mut value = metadata.get(first).ok_or_else(|| first.clone())?;
    for key in keys {
        value = value
            .as_object()
            .and_then(|map| map.get(key))
            .ok_or_else(|| key.clone())?;
    }
    Ok(value
        .as_str()
        .map_or_else(|| sorted(value).to_string(), str::to_owned))
}

/// The same value with the keys of its maps in order, so that equal metadata is equal text.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, Value> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(
                sorted
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn service_port(port: ServicePort) -> Template {
    map([
        ("port", Some(Template::Number(port.port.into()))),
        (
            "targetPort",
            port.target_port.map(|port| Template::Number(port.into())),
        ),
        (
            "protocol",
            port.protocol.map(|protocol| Template::literal(protocol.as_str())),
        ),
    ])
}

fn probe(probe: &Probe) -> Template {
    let exec = |command: &Vec<String>| {
        let command = command.iter().map(Template::literal).collect();
        map([("command", Some(Template::List(command)))])
    };
    map([
        ("httpGet", probe.http_get.as_ref().map(http_get)),
        ("exec", probe.exec.as_ref().map(exec)),
    ])
}

fn http_get(get: &HttpGet) -> Template {
    let header = |(name, value): &(String, String)| {
        map([
            ("name", Some(Template::literal(name))),
            ("value", Some(Template::literal(value))),
        ])
    };
    let headers: Vec<Template> = get.headers.iter().map(header).collect();
    map([
        ("port", Some(Template::Number(get.port.into()))),
        ("path", Some(Template::literal(&get.path))),
        ("host", get.host.as_ref().map(Template::literal)),
        (
            "scheme",
            get.scheme.map(|scheme| Template::literal(scheme.as_str())),
        ),
        (
            "httpHeaders",
            (!headers.is_empty()).then_some(Template::List(headers)),
        ),
    ])
}

fn amounts(amounts: &ComputeAmounts) -> Option<Template> {
    non_empty([
        ("memory", amounts.memory.as_ref().map(Template::literal)),
        ("cpu", amounts.cpu.as_ref().map(Template::literal)),
    ])
}

fn text_list(texts: &[String]) -> Option<Template> {
    (!texts.is_empty()).then(|| Template::List(texts.iter().map(Template::literal).collect()))
}

fn some_map(map: BTreeMap<String, Template>) -> Option<Template> {
    (!map.is_empty()).then_some(Template::Map(map))
}

fn non_empty<const N: usize>(fields: [(&str, Option<Template>); N]) -> Option<Template> {
    fields
        .iter()
        .any(|(_, value)| value.is_some())
        .then(|| map(fields))
}

/// A map of those fields that are there.
fn map<const N: usize>(fields: [(&str, Option<Template>); N]) -> Template {
    Template::Map(
        fields
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect(),
    )
}
