//! Tables, as `kubectl get` shows them: NAME, the kind's columns, AGE.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::printing::Shown;
use crate::registry::ServedKind;

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources \
    may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for \
    creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const AGE: &str = "Custom resource definition column (in JSONPath format): .metadata.creationTimestamp";

/// What a row carries beside its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// The whole object.
    Object,
}

/// The columns.
pub(crate) fn columns(kind: &ServedKind) -> Value {
    let mut columns =
        vec![json!({"name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0})];
    for served in &kind.columns {
        columns.push(json!({
            "name": served.column.name,
            "type": served.column.kind,
            "format": "",
            "description": served.description,
            "priority": i32::from(served.column.wide),
        }));
    }
    columns.push(json!({"name": "Age", "type": "date", "format": "", "description": AGE, "priority": 0}));
    Value::Array(columns)
}

/// One row.
pub(crate) fn row(kind: &ServedKind, object: &Shown, include: IncludeObject, now: Timestamp) -> Value {
    let value = &object.value;
    let mut cells = vec![json!(crate::metadata::text(value, "name"))];
    for served in &kind.columns {
        let found = served.path.find(value).filter(|found| !found.is_null());
        cells.push(found.map_or(Value::Null, |found| cell(served.column.kind, found, now)));
    }
    cells.push(json!(age(crate::metadata::text(value, "creationTimestamp"), now)));
    match include {
        IncludeObject::None => json!({"cells": cells}),
        IncludeObject::Metadata => json!({"cells": cells, "object": partial(object)}),
        IncludeObject::Object => json!({"cells": cells, "object": object.to_value()}),
    }
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn partial(object: &Shown) -> Value {
    let metadata = serde_json::to_value(object.metadata()).unwrap_or_default();
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

fn cell(kind: &str, found: &Value, now: Timestamp) -> Value {
    match (kind, found) {
        ("date", Value::String(text)) => json!(age(text, now)),
        ("integer" | "number", Value::Number(_)) | ("boolean", Value::Bool(_)) | (_, Value::String(_)) => {
            found.clone()
        }
        // A list of words is shown as words.
        (_, Value::Array(items)) if items.iter().all(Value::is_string) => {
            json!(
                items
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(",")
            )
        }
        (_, other) => json!(other.to_string()),
    }
}

fn age(text: &str, now: Timestamp) -> String {
    match text.parse::<Timestamp>() {
        Ok(then) => duration(now.as_second() - then.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A duration as kubectl shows it: at most two units, coarser the longer it is.
fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{big}{big_unit}")
        } else {
            format!("{big}{big_unit}{small}{small_unit}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ if years < 2 => format!("{days}d"),
        _ if years < 8 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn shows_ages_as_kubectl_does() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (864_000, "10d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (315_360_000, "10y"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }
}
