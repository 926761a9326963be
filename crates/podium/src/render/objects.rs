//! Objects as a table, by the columns that their kind defines.

use jiff::Timestamp;
use podium_model::kinds::KindDefinition;
use serde_json::Value as Json;

use super::columns::Columns;
use super::text::{Paint, bare_value, between};

/// A table of objects of one kind.
pub(crate) struct ObjectTable<'k> {
    kind: &'k KindDefinition,
    namespaces: bool,
    wide: bool,
}

impl<'k> ObjectTable<'k> {
    /// `namespaces` shows the namespace of each object, `wide` all columns.
    pub(crate) fn new(kind: &'k KindDefinition, namespaces: bool, wide: bool) -> Self {
        Self {
            kind,
            namespaces: namespaces && kind.namespaced,
            wide,
        }
    }

    fn heading(&self) -> Vec<&str> {
        let mut heading = Vec::new();
        if self.namespaces {
            heading.push("Namespace");
        }
        heading.push("Name");
        heading.extend(
            self.kind
                .columns
                .iter()
                .filter(|column| self.wide || !column.wide)
                .map(|column| column.name),
        );
        heading.push("Age");
        heading
    }

    fn cells(&self, object: &Json, now: Timestamp) -> Vec<String> {
        let at = |pointer: &str| object.pointer(pointer).map(bare_value).unwrap_or_default();
        let mut cells = Vec::new();
        if self.namespaces {
            cells.push(at("/metadata/namespace"));
        }
        cells.push(at("/metadata/name"));
        for column in self
            .kind
            .columns
            .iter()
            .filter(|column| self.wide || !column.wide)
        {
            let cell = evaluate(object, column.path).map(bare_value).unwrap_or_default();
            cells.push(if cell.is_empty() { "-".to_owned() } else { cell });
        }
        cells.push(age(object, now));
        cells
    }

    /// The whole table.
    pub(crate) fn render(&self, objects: &[Json], now: Timestamp, paint: Paint) -> String {
        let mut columns = Columns::default();
        for object in objects {
            columns.row(self.cells(object, now));
        }
        columns.with_heading(&self.heading(), paint)
    }
}

fn age(object: &Json, now: Timestamp) -> String {
    object
        .pointer("/metadata/creationTimestamp")
        .and_then(Json::as_str)
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map_or_else(|| "-".to_owned(), |created| between(created, now))
}

/// The value at a path such as `.spec.size` or `.status.conditions[?(@.type=="Ready")].status`.
fn evaluate<'o>(object: &'o Json, path: &str) -> Option<&'o Json> {
    let mut value = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(filter) = rest.strip_prefix("[?(@.") {
            let (condition, after) = filter.split_once(")]")?;
            let (field, wanted) = condition.split_once("==")?;
            let wanted = wanted.trim_matches('"');
            value = value
                .as_array()?
                .iter()
                .find(|item| item.get(field).and_then(Json::as_str) == Some(wanted))?;
            rest = after;
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            value = value.get(&name[..end])?;
            rest = &name[end..];
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use podium_model::kinds::definitions;
    use serde_json::json;

    use super::{ObjectTable, evaluate};
    use crate::render::text::Paint;

    #[test]
    fn paths_of_columns() {
        let object = json!({"status": {"conditions": [
            {"type": "Stalled", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        let path = ".status.conditions[?(@.type==\"Ready\")].status";
        assert_eq!(evaluate(&object, path), Some(&json!("True")));
        assert_eq!(evaluate(&object, ".status.missing"), None);
        for kind in definitions() {
            for column in kind.columns {
                assert!(column.path.starts_with('.'), "{} of {}", column.name, kind.kind);
            }
        }
    }

    #[test]
    fn a_table() {
        let kinds = definitions();
        let kind = kinds.iter().find(|kind| kind.plural == "environments").unwrap();
        let objects = [
            json!({"metadata": {"name": "demo-dev", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"project": "demo", "name": "dev", "type": "development"},
                "status": {"release": 3, "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}}),
            json!({"metadata": {"name": "demo-production"}, "spec": {"project": "demo"}}),
        ];
        let now = "2026-01-01T02:05:00Z".parse().unwrap();
        insta::assert_snapshot!(ObjectTable::new(kind, true, false).render(&objects, now, Paint::default()));
    }
}
