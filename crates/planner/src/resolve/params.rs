//! Params of a node: joined from all requests, and checked against the type.

use podium_document::{PathSegment, Problem};
use podium_model::coordinate::{Coordinate, WORKLOAD_TYPE};
use podium_model::value::Value;
use podium_schema::{Schema, Segment};

use super::work::{Origin, Request, RequesterKey, Requests, Work};
use crate::request::Live;
use crate::values;

/// The params of all requesters, joined; a conflict names both sides.
pub(super) fn join(
    coordinate: &Coordinate,
    requests: &Requests,
    work: &Work,
    live: &Live,
) -> Result<Value, Vec<Problem>> {
    let mut all = requests.iter();
    let Some((_, first)) = all.next() else {
        return Ok(Value::empty_map());
    };
    let mut joined = first.params.clone();
    for (key, request) in all {
        let mut path = Vec::new();
        if !values::join(&mut joined, &request.params, &mut path) {
            return Err(vec![conflict(
                coordinate,
                work,
                live,
                (key, request),
                requests,
                &path,
            )]);
        }
    }
    Ok(joined)
}

fn conflict(
    coordinate: &Coordinate,
    work: &Work,
    live: &Live,
    (key, request): (&RequesterKey, &Request),
    requests: &Requests,
    path: &[String],
) -> Problem {
    let own = request.params.at(path);
    let other = requests
        .iter()
        .take_while(|(other, _)| *other != key)
        .find(|(_, other)| other.params.at(path).is_some_and(|value| Some(value) != own));
    // A document can be corrected where it asks; a module's request has no place in it.
    let ((key, request), other) = match other {
        Some(other) if request.origin.by_module && !other.1.origin.by_module => (other, Some((key, request))),
        other => ((key, request), other),
    };
    let asks = |key: &RequesterKey, request: &Request| {
        let node = key.node.map(|slot| work.name(slot));
        let name = node.map_or("the document", |node| node.id.as_str());
        let author = node.and_then(|node| live.authors.get(&(coordinate.clone(), node.to_string())));
        let value = request.params.at(path).map_or_else(
            || "something else".to_owned(),
            |value| value.to_display().to_string(),
        );
        match author {
            Some((release, author)) => format!("{name} (release {release}, by {author}) asks for {value}"),
            None => format!("{name} asks for {value}"),
        }
    };
    let segments = std::iter::once("params").chain(path.iter().map(String::as_str));
    let problem = request.origin.problem_within(
        segments,
        format!(
            "the requests for {coordinate} disagree about `{}`",
            path.join(".")
        ),
    );
    let Some((other_key, other)) = other else {
        return problem.label(asks(key, request));
    };
    let problem = problem.label(asks(key, request)).help(asks(other_key, other));
    if request.origin.by_module || other.origin.by_module {
        problem.help("give one of them an id of its own, or make them ask for the same")
    } else {
        problem.help("deploy both workloads together to change both")
    }
}

/// Checks params against the type's schema; each mistake is shown where the value was named.
pub(super) fn check(
    coordinate: &Coordinate,
    params: &Value,
    schema: &Schema,
    requests: &Requests,
    origin: &Origin,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for mistake in values::check(params, schema) {
        let keys: Vec<String> = mistake
            .path
            .iter()
            .map(|segment| match segment {
                Segment::Field(name) => name.clone(),
                Segment::Index(index) => index.to_string(),
            })
            .collect();
        let origin = requests
            .values()
            .find(|request| !keys.is_empty() && request.params.at(&keys).is_some())
            .map_or(origin, |request| &request.origin);
        let wrapper = (coordinate.resource_type != WORKLOAD_TYPE).then(|| PathSegment::from("params"));
        let inner = mistake.path.iter().map(|segment| match segment {
            Segment::Field(name) => PathSegment::from(name.as_str()),
            Segment::Index(index) => PathSegment::from(*index),
        });
        let mut problem = origin.problem_within(
            wrapper.into_iter().chain(inner),
            format!("params of {}: {}", coordinate.resource_type, mistake.message),
        );
        if mistake.on_key {
            problem.on_key = !origin.by_module;
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
        problems.push(problem);
    }
    problems
}
