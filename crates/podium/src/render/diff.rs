//! What differs between two releases.

use std::fmt::Write as _;

use podium_model::api::{DiffResponse, NodeDifference};

use super::columns::Columns;
use super::plan::field_lines;
use super::text::{Paint, counted, harmless};

/// The nodes that differ, with their fields.
pub(crate) fn render(place: &str, diff: &DiffResponse, paint: Paint) -> String {
    let place = paint.strong(place);
    if diff.nodes.is_empty() {
        return format!("{place}, releases {} and {} want the same\n", diff.from, diff.to);
    }
    let count = counted(diff.nodes.len(), "resource");
    let verb = if diff.nodes.len() == 1 {
        "differs"
    } else {
        "differ"
    };
    let mut text = format!(
        "{place}, {count} {verb} between {} and {}\n\n",
        release(diff.from),
        release(diff.to)
    );
    let mut columns = Columns::default();
    for node in &diff.nodes {
        columns.row([
            format!(
                "{} {}",
                paint.sign(node.action.sign()),
                paint.strong(&harmless(&node.resource.id))
            ),
            harmless(&node.resource.type_and_class()),
            modules(node),
        ]);
    }
    for (line, node) in columns.lines().iter().zip(&diff.nodes) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {line}");
        for field in field_lines(&node.fields, paint) {
            let _ = writeln!(text, "      {field}");
        }
    }
    text
}

/// A release by its number; before the first there is nothing.
fn release(number: u64) -> String {
    if number == 0 {
        "nothing".to_owned()
    } else {
        format!("release {number}")
    }
}

fn modules(node: &NodeDifference) -> String {
    match (node.module_before.as_deref(), node.module_after.as_deref()) {
        (Some(before), Some(after)) => format!("{} → {}", harmless(before), harmless(after)),
        (Some(one), None) | (None, Some(one)) => harmless(one),
        (None, None) => String::new(),
    }
}
