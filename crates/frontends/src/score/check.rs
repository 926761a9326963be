//! Every mistake of a workload, told so that it can be mended.
//!
//! The structure is checked by tables: each map lists its fields, each field its check. What a field is for stands in
//! one place, and the words for a wrong type, a missing or an unknown field are the same everywhere.

mod container;
mod meaning;

pub(super) use meaning::{Names, placeholder_problems};

use podium_document::{Problem, suggest};
use serde_json::{Map, Value};

use super::pattern;
use super::place::{Findings, Place, shown};

/// Everything that is wrong with a workload, as errors and warnings; nothing when it is right.
///
/// It is checked in the form that [`super::upgrade()`] makes; lists of files or volumes are checked too, as they stand.
pub fn check(document: &Value) -> Vec<Problem> {
    let mut findings = Findings::default();
    structure(document, &mut findings);
    meaning::check(document, &mut findings);
    findings.into_problems(name_of(document))
}

/// What the published JSON schema of v1b1 finds wrong, and nothing else.
pub fn check_structure(document: &Value) -> Vec<Problem> {
    let mut findings = Findings::default();
    structure(document, &mut findings);
    findings.into_problems(name_of(document))
}

pub(super) fn name_of(document: &Value) -> Option<&str> {
    document.get("metadata")?.get("name")?.as_str()
}

type Check = fn(&Value, &Place<'_>, &mut Findings);

/// A field of a map.
struct Field {
    name: &'static str,
    required: bool,
    check: Check,
}

const fn required(name: &'static str, check: Check) -> Field {
    Field {
        name,
        required: true,
        check,
    }
}

const fn optional(name: &'static str, check: Check) -> Field {
    Field {
        name,
        required: false,
        check,
    }
}

const ROOT: &[Field] = &[
    required("apiVersion", api_version),
    required("metadata", metadata),
    required("containers", containers),
    optional("service", service),
    optional("resources", resources),
];

const SERVICE: &[Field] = &[optional("ports", ports)];

const PORT: &[Field] = &[
    required("port", port_number),
    optional("protocol", protocol),
    optional("targetPort", port_number),
];

const RESOURCE: &[Field] = &[
    required("type", type_name),
    optional("class", type_name),
    optional("id", resource_id),
    optional("metadata", resource_metadata),
    optional("params", any_map),
];

fn structure(document: &Value, findings: &mut Findings) {
    fields(document, &Place::ROOT, ROOT, findings);
}

fn api_version(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some(version) = text(value, place, findings) else {
        return;
    };
    if version != "score.dev/v1b1" {
        let problem = Problem::error(
            place.path(),
            format!("`{}` is no version that is understood", shown(version)),
        );
        findings.push(problem.help("write `apiVersion: score.dev/v1b1`"));
    }
}

fn metadata(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some(map) = map(value, place, findings) else {
        return;
    };
    match map.get("name") {
        Some(name) => label(name, &place.key("name"), findings),
        None => findings.push(missing(place, "name")),
    }
    if let Some(value) = map.get("annotations") {
        annotations(value, &place.key("annotations"), findings);
    }
}

fn resource_metadata(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some(map) = map(value, place, findings) else {
        return;
    };
    if let Some(value) = map.get("annotations") {
        annotations(value, &place.key("annotations"), findings);
    }
}

fn annotations(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    for (key, value) in entries(value, place, findings) {
        let place = place.key(key);
        if !pattern::is_annotation_key(key) {
            findings.push(
                Problem::error(place.path(), format!("`{}` is no valid name of an annotation", shown(key)))
                    .on_key()
                    .label("letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit")
                    .help(
                        "at least two characters; before it may stand a host name and `/`, each part of the host name \
                         with two characters at least",
                    ),
            );
        }
        text(value, &place, findings);
    }
}

fn containers(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let entries = entries(value, place, findings);
    if value.as_object().is_some_and(Map::is_empty) {
        let problem = Problem::error(place.path(), "a workload needs at least one container");
        findings.push(problem.help("write `containers:`, a name, and its `image:`"));
    }
    for (name, value) in entries {
        let place = place.key(name);
        label_key(name, &place, findings);
        container::check(value, &place, findings);
    }
}

fn service(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    fields(value, place, SERVICE, findings);
}

fn ports(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    for (name, value) in entries(value, place, findings) {
        let place = place.key(name);
        label_key(name, &place, findings);
        fields(value, &place, PORT, findings);
    }
}

fn resources(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    for (name, value) in entries(value, place, findings) {
        let place = place.key(name);
        label_key(name, &place, findings);
        fields(value, &place, RESOURCE, findings);
    }
}

fn protocol(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    one_of(value, place, &["TCP", "UDP"], findings);
}

fn type_name(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let rule = "2 to 63 letters, digits and `-`, beginning and ending with a letter or digit";
    matching(value, place, pattern::is_type_name, rule, findings);
}

fn resource_id(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let rule = "2 to 63 lower-case letters, digits and `-`, in parts separated by `.`";
    matching(value, place, pattern::is_resource_id, rule, findings);
}

const LABEL_RULE: &str =
    "2 to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit";

fn label(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some(name) = text(value, place, findings) else {
        return;
    };
    if !pattern::is_label(name) {
        findings.push(no_label(name, Problem::error(place.path(), no_name(name))));
    }
}

/// Checks the name that a key gives.
fn label_key(name: &str, place: &Place<'_>, findings: &mut Findings) {
    if !pattern::is_label(name) {
        findings.push(no_label(
            name,
            Problem::error(place.path(), no_name(name)).on_key(),
        ));
    }
}

fn no_name(name: &str) -> String {
    format!("`{}` is no valid name", shown(name))
}

fn no_label(name: &str, problem: Problem) -> Problem {
    let problem = problem.label(LABEL_RULE);
    let near: String = name
        .chars()
        .take(63)
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let near = near.trim_matches('-');
    if pattern::is_label(near) {
        problem.help(format!("did you mean `{near}`?"))
    } else {
        problem
    }
}

// What the checks of all maps share.

/// Checks a map of known fields: unknown ones, missing ones, and each by its own check.
fn fields(value: &Value, place: &Place<'_>, fields: &[Field], findings: &mut Findings) {
    let Some(map) = map(value, place, findings) else {
        return;
    };
    for (name, value) in map {
        let place = place.key(name);
        match fields.iter().find(|field| field.name == name) {
            Some(field) => (field.check)(value, &place, findings),
            None => findings.push(unknown(name, &place, fields)),
        }
    }
    for field in fields {
        if field.required && !map.contains_key(field.name) {
            findings.push(missing(place, field.name));
        }
    }
}

fn missing(place: &Place<'_>, field: &str) -> Problem {
    Problem::error(place.path(), format!("{} needs `{field}`", place.name()))
}

/// Names from elsewhere that people write out of habit, and what Score calls them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("env", "variables"),
    ("environment", "variables"),
    ("entrypoint", "command"),
    (
        "mountPath",
        "the key of the volume is the path where it is mounted",
    ),
    ("volumeMounts", "volumes"),
    ("depends_on", "before, in the other container"),
    ("dependsOn", "before, in the other container"),
    ("healthcheck", "livenessProbe or readinessProbe"),
    ("annotations", "metadata.annotations"),
    ("labels", "metadata.annotations"),
    ("ports", "service.ports, beside `containers`"),
    ("name", "metadata.name; of everything else the key is the name"),
    ("kind", "leave it out: a Score file is always a workload"),
    ("target", "leave it out: the key is the target"),
    ("properties", "params"),
];

fn unknown(name: &str, place: &Place<'_>, fields: &[Field]) -> Problem {
    let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let problem = Problem::error(place.path(), format!("the field `{}` is unknown", shown(name)))
        .on_key()
        .label(format!("known here: {}", known.join(", ")));
    if let Some(meant) = suggest(name, known.iter()) {
        return problem.help(format!("did you mean `{meant}`?"));
    }
    let names = ELSEWHERE.iter().map(|(elsewhere, _)| elsewhere);
    let nearest = names
        .clone()
        .find(|elsewhere| **elsewhere == name)
        .copied()
        .or_else(|| suggest(name, names));
    match ELSEWHERE
        .iter()
        .find(|(elsewhere, _)| Some(*elsewhere) == nearest)
    {
        Some((_, here)) => problem.help(format!("in Score: {here}")),
        None => problem,
    }
}

fn wrong_type(value: &Value, place: &Place<'_>, wanted: &str) -> Problem {
    let is = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    Problem::error(place.path(), format!("{} must be {wanted}", place.name())).label(format!("this is {is}"))
}

fn map<'v>(value: &'v Value, place: &Place<'_>, findings: &mut Findings) -> Option<&'v Map<String, Value>> {
    let map = value.as_object();
    if map.is_none() {
        findings.push(wrong_type(value, place, "a map"));
    }
    map
}

/// The entries of a map with free keys; none when it is no map.
fn entries<'v>(
    value: &'v Value,
    place: &Place<'_>,
    findings: &mut Findings,
) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
    map(value, place, findings).into_iter().flatten()
}

fn any_map(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    map(value, place, findings);
}

fn text<'v>(value: &'v Value, place: &Place<'_>, findings: &mut Findings) -> Option<&'v str> {
    let text = value.as_str();
    if text.is_none() {
        let problem = wrong_type(value, place, "text");
        findings.push(match value {
            Value::Bool(_) | Value::Number(_) => problem.help(format!("write it in quotes: \"{value}\"")),
            Value::Null => problem.help("give it a value, write \"\" for empty text, or leave the key out"),
            _ => problem,
        });
    }
    text
}

fn any_text(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    text(value, place, findings);
}

fn some_text(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    if text(value, place, findings) == Some("") {
        findings.push(Problem::error(
            place.path(),
            format!("{} must not be empty", place.name()),
        ));
    }
}

fn matching(value: &Value, place: &Place<'_>, rule: fn(&str) -> bool, words: &str, findings: &mut Findings) {
    let Some(text) = text(value, place, findings) else {
        return;
    };
    if !rule(text) {
        let message = format!("`{}` is no valid value of {}", shown(text), place.name());
        findings.push(Problem::error(place.path(), message).label(words));
    }
}

fn one_of(value: &Value, place: &Place<'_>, words: &[&str], findings: &mut Findings) {
    let Some(text) = text(value, place, findings) else {
        return;
    };
    if words.contains(&text) {
        return;
    }
    let message = format!("`{}` is no valid value of {}", shown(text), place.name());
    let problem = Problem::error(place.path(), message).label(format!("one of: {}", words.join(", ")));
    findings.push(match suggest(text, words.iter()) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem,
    });
}

fn boolean(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    if !value.is_boolean() {
        let problem = wrong_type(value, place, "true or false");
        findings.push(if value.is_string() {
            problem.help("write it without quotes")
        } else {
            problem
        });
    }
}

fn port_number(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    const WANTED: &str = "a whole number from 1 to 65535";
    if port_of(value).is_some() {
        return;
    }
    if !value.is_number() {
        let problem = wrong_type(value, place, WANTED);
        findings.push(if value.is_string() {
            problem.help("write it without quotes")
        } else {
            problem
        });
        return;
    }
    findings.push(Problem::error(
        place.path(),
        format!("{} must be {WANTED}", place.name()),
    ));
}

/// A port, which JSON may also write as `80.0`.
pub(super) fn port_of(value: &Value) -> Option<u16> {
    let number = match (value.as_u64(), value.as_f64()) {
        (Some(number), _) => u16::try_from(number).ok()?,
        (None, Some(number)) => (1..=u16::MAX).find(|port| f64::from(*port).to_bits() == number.to_bits())?,
        (None, None) => return None,
    };
    (number > 0).then_some(number)
}

fn text_list(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some(items) = value.as_array() else {
        let problem = wrong_type(value, place, "a list of texts");
        findings.push(match value.as_str() {
            Some(text) if text.len() < 60 && !text.contains(['\n', '"']) => problem.help(format!(
                "write it as a list: [\"{}\"]",
                text.split(' ').collect::<Vec<_>>().join("\", \"")
            )),
            _ => problem,
        });
        return;
    };
    for (index, item) in items.iter().enumerate() {
        text(item, &place.index(index), findings);
    }
}
