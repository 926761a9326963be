//! All of one object, for people.

use std::fmt::Write as _;

use anyhow::Result;
use jiff::Timestamp;
use podium_model::condition::{Condition, ConditionStatus};
use serde_json::{Map, Value as Json};

use super::columns::Columns;
use super::structured;
use super::text::{Paint, between, harmless, harmless_lines};

/// The object: who it is, its conditions as sentences, then spec and status.
pub(crate) fn render(object: &Json, now: Timestamp, paint: Paint) -> Result<String> {
    let text_at = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).map(harmless);
    let mut text = String::new();
    let mut head = Columns::default();
    head.row([
        paint.strong("Name"),
        text_at("/metadata/name").unwrap_or_default(),
    ]);
    if let Some(namespace) = text_at("/metadata/namespace") {
        head.row([paint.strong("Namespace"), namespace]);
    }
    head.row([paint.strong("Kind"), text_at("/kind").unwrap_or_default()]);
    if let Some(created) = text_at("/metadata/creationTimestamp") {
        let ago = created
            .parse::<Timestamp>()
            .map(|at| format!(" ({} ago)", between(at, now)))
            .unwrap_or_default();
        head.row([paint.strong("Created"), format!("{created}{ago}")]);
    }
    if let Some(deleted) = text_at("/metadata/deletionTimestamp") {
        let since = deleted
            .parse::<Timestamp>()
            .map(|at| format!(" for {}", between(at, now)))
            .unwrap_or_default();
        head.row([paint.strong("Deleted"), format!("being deleted{since}")]);
    }
    for (heading, pointer) in [
        ("Labels", "/metadata/labels"),
        ("Annotations", "/metadata/annotations"),
    ] {
        let Some(Json::Object(pairs)) = object.pointer(pointer) else {
            continue;
        };
        let shown = pairs
            .iter()
            .filter(|(key, _)| key.as_str() != crate::documents::merge::LAST_APPLIED);
        for (at, (key, value)) in shown.enumerate() {
            let heading = if at == 0 {
                paint.strong(heading)
            } else {
                String::new()
            };
            head.row([
                heading,
                format!(
                    "{}={}",
                    harmless(key),
                    harmless(value.as_str().unwrap_or_default())
                ),
            ]);
        }
    }
    for line in head.lines() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    conditions(&mut text, object, now, paint);
    part(&mut text, "Spec", object.get("spec"), paint)?;
    let status = object.get("status").and_then(Json::as_object).map(|status| {
        let rest: Map<String, Json> = status
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "conditions" | "observedGeneration"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Json::Object(rest)
    });
    part(&mut text, "Status", status.as_ref(), paint)?;
    Ok(text)
}

fn conditions(text: &mut String, object: &Json, now: Timestamp, paint: Paint) {
    let Some(conditions) = object
        .pointer("/status/conditions")
        .and_then(|json| serde_json::from_value::<Vec<Condition>>(json.clone()).ok())
        .filter(|conditions| !conditions.is_empty())
    else {
        return;
    };
    let mut columns = Columns::default();
    for condition in &conditions {
        let status = match condition.status {
            ConditionStatus::True => "yes",
            ConditionStatus::False => "no",
            ConditionStatus::Unknown => "unknown",
        };
        columns.row([
            format!("{}: {status}", harmless(&condition.condition_type)),
            harmless(&condition.reason),
            format!("for {}", between(condition.last_transition_time, now)),
            harmless(&condition.message),
        ]);
    }
    let _ = writeln!(text, "{}", paint.strong("Conditions"));
    for line in columns.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

fn part(text: &mut String, heading: &str, value: Option<&Json>, paint: Paint) -> Result<()> {
    let Some(value) = value.filter(|value| value.as_object().is_none_or(|fields| !fields.is_empty())) else {
        return Ok(());
    };
    let _ = writeln!(text, "{}", paint.strong(heading));
    for line in harmless_lines(&structured::yaml(value)?).lines() {
        let _ = writeln!(text, "  {line}");
    }
    Ok(())
}
