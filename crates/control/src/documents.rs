//! Score documents to the planner's requests, in the server: one front end for `deploy`, kubectl and Argo CD.

use std::collections::BTreeMap;

use podium_document::{Path, PathSegment, Problem};
use podium_frontends::score::{self, FileText, Override, Part, Template};
use podium_model::kinds::WorkloadSpec;
use podium_model::value::{Reference, Source, Value};
use podium_planner::{ReferenceUse, RequestInput, WorkloadInput};
use podium_store::{BlobDigest, BlobError, SharedStore, get_upload};
use serde_json::Value as Json;

use crate::error::ControlError;

/// The document of a workload with its overrides applied.
///
/// # Errors
/// What is wrong with the overrides.
pub(crate) fn document(spec: &WorkloadSpec) -> Result<Json, String> {
    let mut document = spec.score.clone();
    let mut overrides = Vec::with_capacity(spec.overrides.len());
    for (index, json) in spec.overrides.iter().enumerate() {
        match serde_json::from_value::<Override>(json.clone()) {
            Ok(one) => overrides.push(one),
            Err(error) => {
                return Err(format!("override {index}: {error}"));
            }
        }
    }
    match score::apply_overrides(&mut document, &overrides) {
        Ok(()) => Ok(document),
        Err(error) => Err(error.to_string()),
    }
}

/// Checks a workload's document and turns it into requests.
///
/// # Errors
/// Every mistake, with the name of the workload.
pub(crate) async fn requests(
    store: &SharedStore,
    name: &str,
    spec: &WorkloadSpec,
) -> Result<Result<WorkloadInput, Vec<Problem>>, ControlError> {
    let named = |problems: Vec<Problem>| -> Vec<Problem> {
        problems
            .into_iter()
            .map(|problem| problem.in_document(name))
            .collect()
    };
    let document = match document(spec) {
        Ok(document) => document,
        Err(message) => return Ok(Err(named(vec![Problem::error(Path::default(), message)]))),
    };
    let workload = match score::parse(&document) {
        Ok(workload) => workload,
        Err(problems) => return Ok(Err(named(problems))),
    };
    if workload.name != name {
        let problem = Problem::error(
            Path(vec!["metadata".into(), "name".into()]),
            format!("the document is named `{}`, the workload `{name}`", workload.name),
        );
        return Ok(Err(named(vec![problem])));
    }
    let mut files = BTreeMap::new();
    for (source, file) in &spec.files {
        let Ok(digest) = BlobDigest::parse(&file.digest) else {
            let problem = Problem::error(
                Path::default(),
                format!("the digest of the file `{source}` is not one"),
            );
            return Ok(Err(named(vec![problem])));
        };
        // Only what a client uploaded: the digests of the server's own blobs are no secret, their contents are.
        let content = match get_upload(&**store, &digest).await {
            Ok(content) => content,
            Err(BlobError::Missing(_)) => {
                let message = format!("the file `{source}` names {digest}, and there is no such upload");
                let problem = Problem::error(Path::default(), message)
                    .help("deploy with podium: it uploads the files that a document names");
                return Ok(Err(named(vec![problem])));
            }
            Err(error) => return Err(error.into()),
        };
        let text = match String::from_utf8(content.to_vec()) {
            Ok(text) => FileText::Text(text),
            Err(error) => FileText::Bytes(error.into_bytes()),
        };
        files.insert(source.clone(), text);
    }
    let request = match score::requests(&workload, &|source| files.get(source).cloned()) {
        Ok(request) => request,
        Err(problems) => return Ok(Err(named(problems))),
    };
    let coordinates: BTreeMap<&str, _> = request
        .resources
        .iter()
        .map(|resource| (resource.alias.as_str(), &resource.coordinate))
        .collect();
    let mut convert = Converter {
        coordinates: &coordinates,
        uses: Vec::new(),
        path: Path::default(),
    };
    let params = convert.map(&request.params);
    let mut requests = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let place = Path(vec![
            "resources".into(),
            PathSegment::from(resource.alias.as_str()),
        ]);
        convert.path = place.clone();
        convert.path.0.push("params".into());
        let params = resource
            .params
            .as_ref()
            .map_or_else(Value::empty_map, |params| convert.map(params));
        requests.push(RequestInput {
            alias: resource.alias.clone(),
            coordinate: resource.coordinate.clone(),
            params,
            path: place,
        });
    }
    let uses = convert.uses;
    Ok(Ok(WorkloadInput {
        name: name.to_owned(),
        params,
        requests,
        uses,
    }))
}

/// Turns templates into values, and remembers where outputs are named.
struct Converter<'a> {
    coordinates: &'a BTreeMap<&'a str, &'a podium_model::coordinate::Coordinate>,
    uses: Vec<ReferenceUse>,
    path: Path,
}

impl Converter<'_> {
    fn map(&mut self, map: &BTreeMap<String, Template>) -> Value {
        Value::Map(
            map.iter()
                .map(|(key, template)| {
                    self.path.0.push(PathSegment::from(key.as_str()));
                    let value = self.value(template);
                    self.path.0.pop();
                    (key.clone(), value)
                })
                .collect(),
        )
    }

    fn value(&mut self, template: &Template) -> Value {
        match template {
            Template::Null => Value::Null,
            Template::Bool(flag) => Value::Bool(*flag),
            Template::Number(number) => Value::Number(number.clone()),
            Template::Map(map) => self.map(map),
            Template::List(items) => Value::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        self.path.0.push(PathSegment::from(index));
                        let value = self.value(item);
                        self.path.0.pop();
                        value
                    })
                    .collect(),
            ),
            Template::Text(parts) => {
                let single = parts.len() == 1;
                let values = parts.iter().filter_map(|part| self.part(part)).collect();
                // In a text everything is text: a lone reference is one too, so that `${resources.db.port}` is "5432".
                if single && self.is_param() {
                    only(values)
                } else {
                    Value::concat(values)
                }
            }
        }
    }

    /// Params keep the type of a lone placeholder; what a container is given is always text.
    fn is_param(&self) -> bool {
        self.path.0.first() == Some(&PathSegment::from("resources"))
    }

    fn part(&mut self, part: &Part) -> Option<Value> {
        match part {
            Part::Literal(text) => Some(Value::String(text.clone())),
            // The front end has filled these in.
            Part::Metadata { .. } => None,
            Part::Resource(reference) => {
                let coordinate = self.coordinates.get(reference.name.as_str())?;
                let output = Reference {
                    node: (*coordinate).clone(),
                    source: Source::Declared,
                    path: reference.path.clone(),
                };
                self.uses.push(ReferenceUse {
                    reference: output.clone(),
                    path: self.path.clone(),
                    range: Some(reference.path_range),
                });
                Some(Value::Reference(output))
            }
        }
    }
}

fn only(mut values: Vec<Value>) -> Value {
    if values.len() == 1 {
        values.remove(0)
    } else {
        Value::concat(values)
    }
}
