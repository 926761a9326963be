//! Older forms of Score documents to the present one.
//!
//! - `files` and `volumes` as lists become maps from target to the rest;
//! - a file's `content` as a list becomes its lines, joined;
//! - a volume's `read_only` becomes `readOnly`.
//!
//! What cannot be brought over (an item without target, a target used twice) stays as it is, and the check tells of
//! it. Everything keeps its place in the text.

use podium_document::{Entry, Key, Node, NodeValue, Path, Problem, Style};
use serde_json::Value;

/// Brings a document to the present form and tells of each change, as a warning whose path is one in the
/// new form.
pub fn upgrade(mut root: Node) -> (Node, Vec<Problem>) {
    let mut notes = Vec::new();
    for container in entries(&mut root, "containers") {
        let place: Path = ["containers", &container.key.name].into_iter().collect();
        for (name, needed) in [("files", true), ("volumes", false)] {
            let Some(part) = field(&mut container.value, name) else {
                continue;
            };
            let place = place.with(name);
            if to_map(part) {
                let message = format!("`{name}` as a list is an old form");
                notes.push(
                    Problem::warning(place.clone(), message)
                        .on_key()
                        .help("write a map from target to the rest"),
                );
            }
            for (item, place) in items(part, &place) {
                if needed && join_lines(item) {
                    let message = "`content` as a list is an old form";
                    notes.push(
                        Problem::warning(place.with("content"), message)
                            .on_key()
                            .help("write a block after `|`"),
                    );
                } else if !needed && rename_read_only(item) {
                    notes.push(
                        Problem::warning(place.with("readOnly"), "`read_only` is an old name")
                            .on_key()
                            .help("write `readOnly`"),
                    );
                }
            }
        }
    }
    (root, notes)
}

/// The same for a document known only as JSON; costs nothing when there is nothing to change.
pub fn upgrade_json(document: Value) -> Value {
    if needs_upgrade(&document) {
        upgrade(Node::from_json(&document)).0.to_json()
    } else {
        document
    }
}

/// Whether anything in a document has an older form.
pub fn needs_upgrade(document: &Value) -> bool {
    let containers = document.get("containers").and_then(Value::as_object);
    containers.into_iter().flatten().any(|(_, container)| {
        let is_old = |name: &str, is_old_item: fn(&Value) -> bool| match container.get(name) {
            Some(Value::Array(_)) => true,
            Some(Value::Object(items)) => items.values().any(is_old_item),
            _ => false,
        };
        is_old("files", |file| file.get("content").is_some_and(Value::is_array))
            || is_old("volumes", |volume| volume.get("read_only").is_some())
    })
}

fn field<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    match &mut node.value {
        NodeValue::Map(entries) => entries
            .iter_mut()
            .find(|entry| entry.key.name == name)
            .map(|entry| &mut entry.value),
        _ => None,
    }
}

fn entries<'n>(root: &'n mut Node, name: &str) -> &'n mut [Entry] {
    match field(root, name).map(|node| &mut node.value) {
        Some(NodeValue::Map(entries)) => entries,
        _ => &mut [],
    }
}

fn items<'n>(part: &'n mut Node, place: &Path) -> Vec<(&'n mut Node, Path)> {
    match &mut part.value {
        NodeValue::Map(entries) => entries
            .iter_mut()
            .map(|entry| {
                let place = place.with(entry.key.name.clone());
                (&mut entry.value, place)
            })
            .collect(),
        NodeValue::List(items) => items
            .iter_mut()
            .enumerate()
            .map(|(index, item)| (item, place.with(index)))
            .collect(),
        _ => Vec::new(),
    }
}

/// A list of maps that all have a target of their own becomes a map.
fn to_map(part: &mut Node) -> bool {
    let NodeValue::List(items) = &mut part.value else {
        return false;
    };
    let mut targets: Vec<&str> = items
        .iter()
        .filter_map(|item| item.get("target")?.as_text())
        .collect();
    targets.sort_unstable();
    targets.dedup();
    if targets.len() != items.len() {
        return false;
    }
    let entries = std::mem::take(items).into_iter().filter_map(by_target).collect();
    part.value = NodeValue::Map(entries);
    true
}

fn by_target(mut item: Node) -> Option<Entry> {
    let NodeValue::Map(fields) = &mut item.value else {
        return None;
    };
    let at = fields.iter().position(|entry| entry.key.name == "target")?;
    let target = fields.remove(at).value;
    let span = target.span;
    match target.value {
        NodeValue::Text(name) => Some(Entry {
            key: Key { name, span },
            value: item,
        }),
        _ => None,
    }
}

fn join_lines(file: &mut Node) -> bool {
    let Some(content) = field(file, "content") else {
        return false;
    };
    let NodeValue::List(lines) = &content.value else {
        return false;
    };
    let line = |node: &Node| match &node.value {
        NodeValue::Text(text) => Some(text.clone()),
        NodeValue::Number(_) | NodeValue::Bool(_) => Some(node.to_json().to_string()),
        NodeValue::Null | NodeValue::List(_) | NodeValue::Map(_) => None,
    };
    let Some(lines) = lines.iter().map(line).collect::<Option<Vec<String>>>() else {
        return false;
    };
    content.value = NodeValue::Text(lines.join("\n"));
    content.style = Style::Other;
    true
}

fn rename_read_only(volume: &mut Node) -> bool {
    if volume.get("readOnly").is_some()
        || !matches!(
            volume.get("read_only"),
            Some(Node {
                value: NodeValue::Bool(_),
                ..
            })
        )
    {
        return false;
    }
    let NodeValue::Map(fields) = &mut volume.value else {
        return false;
    };
    for entry in fields.iter_mut().filter(|entry| entry.key.name == "read_only") {
        "readOnly".clone_into(&mut entry.key.name);
    }
    true
}
