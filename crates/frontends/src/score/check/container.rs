//! The structure of a container.

use podium_document::Problem;
use serde_json::Value;

use super::super::pattern;
use super::super::place::{Findings, Place, shown};
use super::{
    Field, any_text, boolean, entries, fields, label_key, map, matching, one_of, optional, port_number,
    required, some_text, text, text_list, wrong_type,
};

const CONTAINER: &[Field] = &[
    required("image", image),
    optional("command", text_list),
    optional("args", text_list),
    optional("variables", variables),
    optional("files", files),
    optional("volumes", volumes),
    optional("resources", compute),
    optional("livenessProbe", probe),
    optional("readinessProbe", probe),
    optional("before", before),
];

const COMPUTE: &[Field] = &[optional("limits", amounts), optional("requests", amounts)];
const AMOUNTS: &[Field] = &[optional("memory", memory), optional("cpu", cpu)];
const BEFORE: &[Field] = &[required("ready", ready)];
const PROBE: &[Field] = &[optional("httpGet", http_get), optional("exec", exec)];
const EXEC: &[Field] = &[required("command", text_list)];
const HTTP_GET: &[Field] = &[
    required("port", port_number),
    required("path", any_text),
    optional("host", some_text),
    optional("scheme", scheme),
    optional("httpHeaders", headers),
];
const HEADER: &[Field] = &[required("name", header_name), required("value", some_text)];

const FILE: &[Field] = &[
    optional("content", any_text),
    optional("source", some_text),
    optional("binaryContent", any_text),
    optional("mode", mode),
    optional("noExpand", boolean),
];
const LISTED_FILE: &[Field] = &[
    optional("target", some_text),
    optional("content", any_text),
    optional("source", some_text),
    optional("binaryContent", any_text),
    optional("mode", mode),
    optional("noExpand", boolean),
];
const VOLUME: &[Field] = &[
    required("source", any_text),
    optional("path", any_text),
    optional("readOnly", boolean),
];
const LISTED_VOLUME: &[Field] = &[
    optional("target", any_text),
    required("source", any_text),
    optional("path", any_text),
    optional("readOnly", boolean),
];

pub(super) fn check(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    fields(value, place, CONTAINER, findings);
}

fn image(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    if text(value, place, findings) == Some("") {
        let problem = Problem::error(place.path(), "`image` must not be empty");
        findings.push(problem.help("write `.` for an image that is given when deploying, with --image"));
    }
}

fn variables(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    if let Some(items) = value.as_array() {
        let problem = wrong_type(value, place, "a map");
        let as_map = items
            .first()
            .and_then(Value::as_str)
            .and_then(|item| item.split_once('='));
        findings.push(match as_map {
            Some((name, value)) => problem.help(format!("write `{}: \"{}\"`", shown(name), shown(value))),
            None => problem,
        });
        return;
    }
    for (name, value) in entries(value, place, findings) {
        let place = place.key(name);
        if !pattern::is_variable_name(name) {
            let message = format!("`{}` is no valid name of a variable", shown(name));
            findings.push(
                Problem::error(place.path(), message)
                    .on_key()
                    .label("at least one character, and no `=`"),
            );
        }
        text(value, &place, findings);
    }
}

fn files(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            file(item, &place.index(index), LISTED_FILE, findings);
        }
        return;
    }
    for (target, value) in entries(value, place, findings) {
        file(value, &place.key(target), FILE, findings);
    }
}

fn file(value: &Value, place: &Place<'_>, known: &[Field], findings: &mut Findings) {
    const CONTENTS: [&str; 3] = ["content", "binaryContent", "source"];
    fields(value, place, known, findings);
    let Some(map) = value.as_object() else { return };
    let given: Vec<&str> = CONTENTS
        .into_iter()
        .filter(|name| map.contains_key(*name))
        .collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            let message = format!(
                "{} needs one of `content`, `binaryContent` or `source`",
                place.name()
            );
            findings.push(Problem::error(place.path(), message));
        }
        [_, second, ..] => {
            let message = format!(
                "{} has more than one of `content`, `binaryContent` and `source`",
                place.name()
            );
            let problem = Problem::error(place.key(second).path(), message).on_key();
            findings.push(
                problem
                    .label(format!("`{}` is given too", given[0]))
                    .help("keep one of them"),
            );
        }
    }
}

fn volumes(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            fields(item, &place.index(index), LISTED_VOLUME, findings);
        }
        return;
    }
    for (target, value) in entries(value, place, findings) {
        fields(value, &place.key(target), VOLUME, findings);
    }
}

fn compute(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    fields(value, place, COMPUTE, findings);
}

fn amounts(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    fields(value, place, AMOUNTS, findings);
}

fn memory(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let rule = "a number with K, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi or Ei, as in 128Mi";
    matching(value, place, pattern::is_memory, rule, findings);
}

fn cpu(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    matching(
        value,
        place,
        pattern::is_cpu,
        "processors or thousandths, as in 0.5 or 500m",
        findings,
    );
}

fn mode(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    matching(
        value,
        place,
        pattern::is_mode,
        "three octal digits, as in \"0644\"",
        findings,
    );
}

fn before(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    for (name, value) in entries(value, place, findings) {
        let place = place.key(name);
        label_key(name, &place, findings);
        fields(value, &place, BEFORE, findings);
    }
}

fn ready(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    one_of(value, place, &["started", "healthy", "complete"], findings);
}

fn probe(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    fields(value, place, PROBE, findings);
    let is_empty = value
        .as_object()
        .is_some_and(|map| !map.contains_key("httpGet") && !map.contains_key("exec"));
    if is_empty {
        let message = format!("{} needs `httpGet` or `exec`", place.name());
        findings.push(Problem::error(place.path(), message));
    }
}

fn exec(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    fields(value, place, EXEC, findings);
}

fn http_get(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    fields(value, place, HTTP_GET, findings);
}

fn scheme(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    one_of(value, place, &["HTTP", "HTTPS"], findings);
}

fn headers(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    let Some(items) = value.as_array() else {
        findings.push(wrong_type(value, place, "a list of maps with `name` and `value`"));
        return;
    };
    for (index, item) in items.iter().enumerate() {
        let place = place.index(index);
        if map(item, &place, findings).is_some() {
            fields(item, &place, HEADER, findings);
        }
    }
}

fn header_name(value: &Value, place: &Place<'_>, findings: &mut Findings) {
    matching(
        value,
        place,
        pattern::is_header_name,
        "letters, digits, `_` and `-`",
        findings,
    );
}
