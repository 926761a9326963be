//! Checks of a specification before anything is made for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::beneath::components;
use crate::error::RunnerError;
use crate::specification::{Container, Probe, ProbeAction, RootFile, StepSpec, Value, WorkloadSpec};

/// A step's id or a workload's uid: it names a folder.
pub(crate) fn id(what: &str, id: &str) -> Result<(), RunnerError> {
    let fits = !id.is_empty()
        && id.len() <= 128
        && !id.starts_with('.')
        && id
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_'));
    if fits {
        return Ok(());
    }
    Err(RunnerError::invalid(
        what,
        format!(
            "`{id}` cannot name a folder; use at most 128 letters, digits, `-`, `_` and `.`, none of these first"
        ),
    ))
}

fn name(place: &str, name: &str) -> Result<(), RunnerError> {
    id(place, name)
}

fn words(place: &str, argv: &[String]) -> Result<(), RunnerError> {
    if argv.first().is_none_or(String::is_empty) {
        return Err(RunnerError::invalid(
            place,
            "has no command; give it an argument vector",
        ));
    }
    if argv.iter().any(|word| word.contains('\0')) {
        return Err(RunnerError::invalid(place, "has an argument with a NUL byte"));
    }
    Ok(())
}

fn variables(place: &str, env: &[(String, Value)]) -> Result<(), RunnerError> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(RunnerError::invalid(
                place,
                format!("`{name}` cannot name a variable"),
            ));
        }
        if value.expose().contains('\0') {
            return Err(RunnerError::invalid(
                place,
                format!("variable {name} has a NUL byte"),
            ));
        }
    }
    Ok(())
}

fn path(place: &str, path: &str) -> Result<(), RunnerError> {
    components(path)
        .map(|_| ())
        .map_err(|error| RunnerError::invalid(place, error.to_string()))
}

fn files(place: &str, files: &[RootFile]) -> Result<(), RunnerError> {
    files.iter().try_for_each(|file| path(place, &file.path))
}

pub(crate) fn step(spec: &StepSpec) -> Result<(), RunnerError> {
    id("step", &spec.id)?;
    let place = format!("step {}", spec.id);
    if spec.commands.is_empty() {
        return Err(RunnerError::invalid(place, "has no command"));
    }
    for command in &spec.commands {
        let place = format!("step {}, command {}", spec.id, command.name);
        name(&place, &command.name)?;
        words(&place, &command.argv)?;
        variables(&place, &command.env)?;
        if let Some(folder) = &command.folder {
            path(&place, folder)?;
        }
    }
    files(&place, &spec.files)?;
    spec.folders.iter().try_for_each(|folder| path(&place, folder))?;
    spec.results
        .iter()
        .try_for_each(|file| path(&place, &file.path))?;
    spec.state.iter().try_for_each(|state| path(&place, &state.path))
}

pub(crate) fn workload(spec: &WorkloadSpec) -> Result<(), RunnerError> {
    id("workload", &spec.uid)?;
    let place = format!("workload {}", spec.uid);
    if spec.containers.is_empty() {
        return Err(RunnerError::invalid(place, "has no container"));
    }
    let mut names = BTreeSet::new();
    for container in &spec.containers {
        if !names.insert(container.name.as_str()) {
            return Err(RunnerError::invalid(
                place,
                format!("has two containers named {}", container.name),
            ));
        }
    }
    for container in &spec.containers {
        self::container(spec, container, &names)?;
    }
    spec.folders.iter().try_for_each(|folder| path(&place, folder))?;
    order(spec)
}

fn container(spec: &WorkloadSpec, container: &Container, names: &BTreeSet<&str>) -> Result<(), RunnerError> {
    let place = format!("workload {}, container {}", spec.uid, container.name);
    name(&place, &container.name)?;
    words(&place, &container.argv)?;
    variables(&place, &container.env)?;
    if let Some(folder) = &container.folder {
        path(&place, folder)?;
    }
    files(&place, &container.files)?;
    for volume in &container.volumes {
        path(&place, &volume.target)?;
        if !volume.source.is_absolute() {
            return Err(RunnerError::invalid(
                place,
                format!("volume {} has no absolute source", volume.target),
            ));
        }
    }
    for probe in container.liveness.iter().chain(&container.readiness) {
        self::probe(&place, probe)?;
    }
    for other in container.after.keys() {
        if !names.contains(other.as_str()) {
            return Err(RunnerError::invalid(
                place,
                format!("waits for container {other}, which does not exist"),
            ));
        }
    }
    Ok(())
}

fn probe(place: &str, probe: &Probe) -> Result<(), RunnerError> {
    match &probe.action {
        ProbeAction::Exec { argv } => words(place, argv),
        ProbeAction::HttpGet {
            scheme,
            host,
            path,
            headers,
            ..
        } => {
            if !scheme.eq_ignore_ascii_case("http") {
                return Err(RunnerError::invalid(
                    place,
                    format!("a probe by {scheme} is not possible on processes; use HTTP or an exec probe"),
                ));
            }
            let bad = |text: &str| text.chars().any(char::is_control);
            if !path.starts_with('/') || path.contains(' ') || bad(path) || host.is_empty() || bad(host) {
                return Err(RunnerError::invalid(
                    place,
                    format!(
                        "the probe's path `{}` must begin with / and have no space",
                        path.escape_debug()
                    ),
                ));
            }
            if headers
                .iter()
                .any(|(name, value)| name.is_empty() || name.contains(':') || bad(name) || bad(value))
            {
                return Err(RunnerError::invalid(
                    place,
                    "the probe has a header that HTTP does not allow",
                ));
            }
            Ok(())
        }
    }
}

/// Containers that wait for each other would never start.
fn order(spec: &WorkloadSpec) -> Result<(), RunnerError> {
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = spec
        .containers
        .iter()
        .map(|container| {
            (
                container.name.as_str(),
                container.after.keys().map(String::as_str).collect(),
            )
        })
        .collect();
    loop {
        let free: Vec<&str> = waiting
            .iter()
            .filter(|(_, after)| after.is_empty())
            .map(|(name, _)| *name)
            .collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            waiting.remove(name);
            for after in waiting.values_mut() {
                after.remove(name);
            }
        }
    }
    if waiting.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = waiting.into_keys().collect();
    Err(RunnerError::invalid(
        format!("workload {}", spec.uid),
        format!(
            "the containers {} wait for each other; remove one `before`",
            names.join(", ")
        ),
    ))
}
