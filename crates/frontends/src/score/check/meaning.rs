//! What the structure alone does not tell: order of containers, placeholders, base64, and lists that stand for maps.
//!
//! A part that has the wrong shape is passed over here: the structure's check has told of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podium_document::{Problem, suggest};
use serde_json::{Map, Value};

use super::super::place::{Findings, Place, shown};
use super::super::placeholder::{Part, Reference, scan};

pub(super) fn check(document: &Value, findings: &mut Findings) {
    let nothing = Map::new();
    let object = |name: &str| document.get(name).and_then(Value::as_object).unwrap_or(&nothing);
    let names = Names {
        metadata: object("metadata"),
        resources: object("resources").keys().map(String::as_str).collect(),
    };
    let root = Place::ROOT;
    let containers_place = root.key("containers");
    for (name, container) in object("containers") {
        let place = containers_place.key(name);
        variables(container, &place, &names, findings);
        files(container, &place, &names, findings);
        volumes(container, &place, &names, findings);
    }
    order(object("containers"), &containers_place, findings);
    let resources_place = root.key("resources");
    for (name, resource) in object("resources") {
        if let Some(params) = resource.get("params") {
            deep(params, &resources_place.key(name).key("params"), &names, findings);
        }
    }
}

/// What placeholders may name.
pub(in super::super) struct Names<'d> {
    /// The document's metadata.
    pub(in super::super) metadata: &'d Map<String, Value>,
    /// Names of the resources that the workload declares.
    pub(in super::super) resources: BTreeSet<&'d str>,
}

fn variables(container: &Value, place: &Place<'_>, names: &Names<'_>, findings: &mut Findings) {
    let place = place.key("variables");
    for (name, value) in container
        .get("variables")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(text) = value.as_str() {
            placeholders(text, &place.key(name), names, findings);
        }
    }
}

fn files(container: &Value, place: &Place<'_>, names: &Names<'_>, findings: &mut Findings) {
    let place = place.key("files");
    each(
        container.get("files"),
        &place,
        findings,
        &mut |file, place, findings| {
            let is_expanded = file.get("noExpand").and_then(Value::as_bool) != Some(true);
            if let Some(text) = file
                .get("content")
                .and_then(Value::as_str)
                .filter(|_| is_expanded)
            {
                placeholders(text, &place.key("content"), names, findings);
            }
            if let Some(text) = file.get("binaryContent").and_then(Value::as_str)
                && let Err(error) = STANDARD.decode(text)
            {
                let problem =
                    Problem::error(place.key("binaryContent").path(), "`binaryContent` is not base64");
                findings.push(problem.label(error.to_string().to_lowercase().trim_end_matches('.')).help(
                    "standard base64 with padding, as `base64 -w0 FILE` writes it; text belongs in `content`",
                ));
            }
        },
    );
}

fn volumes(container: &Value, place: &Place<'_>, names: &Names<'_>, findings: &mut Findings) {
    let place = place.key("volumes");
    each(
        container.get("volumes"),
        &place,
        findings,
        &mut |volume, place, findings| {
            if let Some(text) = volume.get("source").and_then(Value::as_str) {
                placeholders(text, &place.key("source"), names, findings);
            }
        },
    );
}

/// Visits the values of a map, or of the list that older documents have in its place. There each item needs a
/// target, and no two the same, to become the map that it stands for.
fn each(
    value: Option<&Value>,
    place: &Place<'_>,
    findings: &mut Findings,
    visit: &mut dyn FnMut(&Value, &Place<'_>, &mut Findings),
) {
    match value {
        Some(Value::Object(map)) => {
            for (target, value) in map {
                visit(value, &place.key(target), findings);
            }
        }
        Some(Value::Array(items)) => {
            let mut targets = HashSet::new();
            for (index, item) in items.iter().enumerate() {
                let place = place.index(index);
                visit(item, &place, findings);
                match item.get("target").and_then(Value::as_str) {
                    Some(target) if targets.insert(target) => {}
                    Some(target) => {
                        let message = format!("the target `{}` is used twice", shown(target));
                        findings.push(Problem::error(place.key("target").path(), message));
                    }
                    None if item.is_object() && item.get("target").is_none() => {
                        let message = format!("{} needs `target`", place.name());
                        findings.push(
                            Problem::error(place.path(), message)
                                .help("better: a map from target to the rest"),
                        );
                    }
                    None => {}
                }
            }
        }
        _ => {}
    }
}

fn deep(value: &Value, place: &Place<'_>, names: &Names<'_>, findings: &mut Findings) {
    match value {
        Value::String(text) => placeholders(text, place, names, findings),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                deep(item, &place.index(index), names, findings);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                deep(value, &place.key(key), names, findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn placeholders(text: &str, place: &Place<'_>, names: &Names<'_>, findings: &mut Findings) {
    if text.contains('$') {
        for problem in placeholder_problems(text, place, names) {
            findings.push(problem);
        }
    }
}

/// What is wrong with the placeholders of a text: their form, and the names they use.
pub(in super::super) fn placeholder_problems(
    text: &str,
    place: &Place<'_>,
    names: &Names<'_>,
) -> Vec<Problem> {
    let scan = scan(text);
    let mut problems = Vec::new();
    for mistake in scan.mistakes {
        let problem = if mistake.is_warning {
            Problem::warning(place.path(), mistake.message)
        } else {
            Problem::error(place.path(), mistake.message)
        };
        problems.push(problem.range(mistake.range).help(mistake.help));
    }
    for part in &scan.parts {
        match part {
            Part::Resource(reference) if !names.resources.contains(reference.name.as_str()) => {
                problems.push(undeclared(reference, &names.resources, place));
            }
            Part::Metadata { path, range } => {
                if let Err(key) = super::super::request::metadata_text(names.metadata, path) {
                    let message = format!("the metadata has no `{}`", shown(&key));
                    let mut problem = Problem::error(place.path(), message).range(*range);
                    let known: Vec<&String> = names.metadata.keys().collect();
                    if path.len() == 1
                        && let Some(meant) = suggest(&key, known)
                    {
                        problem = problem.help(format!("did you mean `{meant}`?"));
                    }
                    problems.push(problem);
                }
            }
            Part::Resource(_) | Part::Literal(_) => {}
        }
    }
    problems
}

fn undeclared(reference: &Reference, resources: &BTreeSet<&str>, place: &Place<'_>) -> Problem {
    let message = format!("the workload declares no resource `{}`", shown(&reference.name));
    let problem = Problem::error(place.path(), message).range(reference.name_range);
    if resources.is_empty() {
        return problem.help("declare it under `resources:`, with its `type:`");
    }
    let problem = problem.label(format!(
        "declared: {}",
        shown(&resources.iter().copied().collect::<Vec<_>>().join(", "))
    ));
    match suggest(&reference.name, resources) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem,
    }
}

/// The `before` entries: each names another container, `healthy` needs a probe, and nobody waits for himself.
fn order(containers: &Map<String, Value>, place: &Place<'_>, findings: &mut Findings) {
    let mut after: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, container) in containers {
        let place = place.key(name);
        let before_place = place.key("before");
        for (other, entry) in container
            .get("before")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let place = before_place.key(other);
            if other == name {
                let message = format!("the container `{}` cannot be ready before itself", shown(name));
                findings.push(Problem::error(place.path(), message).on_key());
                continue;
            }
            if !containers.contains_key(other) {
                let message = format!("there is no container `{}`", shown(other));
                let mut problem = Problem::error(place.path(), message).on_key();
                if let Some(meant) = suggest(other, containers.keys().filter(|known| *known != name)) {
                    problem = problem.help(format!("did you mean `{meant}`?"));
                }
                findings.push(problem);
                continue;
            }
            let has_probe = ["livenessProbe", "readinessProbe"]
                .iter()
                .any(|probe| container.get(*probe).is_some());
            if entry.get("ready").and_then(Value::as_str) == Some("healthy") && !has_probe {
                let message = format!(
                    "`{}` has no probe that could tell when it is healthy",
                    shown(name)
                );
                let problem = Problem::error(place.key("ready").path(), message);
                findings.push(problem.help("give it a readinessProbe, or wait for `started` or `complete`"));
            }
            after.entry(name).or_default().insert(other);
        }
    }
    cycles(&after, place, findings);
}

/// Finds cycles by walking in depth, without the machine's stack: names come from the document, as many as it likes.
fn cycles(after: &BTreeMap<&str, BTreeSet<&str>>, place: &Place<'_>, findings: &mut Findings) {
    const MOST: usize = 10;
    let mut done: HashSet<&str> = HashSet::new();
    let mut found = 0;
    for start in after.keys().copied() {
        let mut walk: Vec<&str> = Vec::new();
        let mut on_walk: HashSet<&str> = HashSet::new();
        let mut open: Vec<Vec<&str>> = vec![vec![start]];
        while let Some(next) = open.last_mut() {
            let Some(here) = next.pop() else {
                open.pop();
                if let Some(left) = walk.pop() {
                    on_walk.remove(left);
                    done.insert(left);
                }
                continue;
            };
            if on_walk.contains(here) {
                let from = walk.iter().position(|name| *name == here).unwrap_or(0);
                findings.push(cycle(&walk[from..], here, place));
                found += 1;
                if found == MOST {
                    return;
                }
            } else if !done.contains(here) {
                walk.push(here);
                on_walk.insert(here);
                // Taken from the end, so the first name is walked first.
                open.push(after.get(here).into_iter().flatten().rev().copied().collect());
            }
        }
    }
}

fn cycle(names: &[&str], first: &str, place: &Place<'_>) -> Problem {
    let words: Vec<String> = names.iter().copied().chain([first]).take(8).map(shown).collect();
    let message = format!("these containers wait for each other: {}", words.join(" before "));
    let last = names.last().copied().unwrap_or(first);
    let problem = Problem::error(place.key(last).key("before").key(first).path(), message).on_key();
    problem.help("leave out one of these `before` entries")
}
