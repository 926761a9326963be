//! Merge keys: `<<` takes over the entries of other maps.

use std::collections::HashSet;

use crate::node::{Entry, Node, NodeValue};

/// The maps that `<<` names, nearest first; nothing when it names something else.
pub(crate) fn merge_sources(node: Node) -> Option<Vec<Vec<Entry>>> {
    match node.value {
        NodeValue::Map(entries) => Some(vec![entries]),
        NodeValue::List(items) => items
            .into_iter()
            .map(|item| match item.value {
                NodeValue::Map(entries) => Some(entries),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// Puts merged entries where their `<<` stood. A key of the map itself wins, then the map merged first.
pub(crate) fn merge(entries: Vec<Entry>, merges: Vec<(usize, Vec<Entry>)>) -> Vec<Entry> {
    if merges.is_empty() {
        return entries;
    }
    let mut taken: HashSet<String> = entries.iter().map(|entry| entry.key.name.clone()).collect();
    let mut merges = merges.into_iter().peekable();
    let mut result = Vec::new();
    let mut pour = |at: usize, result: &mut Vec<Entry>| {
        while let Some((_, merged)) = merges.next_if(|(place, _)| *place <= at) {
            result.extend(
                merged
                    .into_iter()
                    .filter(|entry| taken.insert(entry.key.name.clone())),
            );
        }
    };
    for (at, entry) in entries.into_iter().enumerate() {
        pour(at, &mut result);
        result.push(entry);
    }
    pour(usize::MAX, &mut result);
    result
}
