//! What is checked of a transaction before any store looks at its state: pure, and the same for every store.
//!
//! The order of refusal is part of the contract (the stores are compared answer by answer): first what is wrong
//! with the transaction itself (changes in order, then journal rows), then the lease, then preconditions in order,
//! then blobs in order, then journal rows in order.

use std::collections::HashSet;

use serde_json::Value;

use crate::error::{CommitError, StoreError};
use crate::types::{Change, MAX_OBJECT_BYTES, Transaction};

/// Deepest nesting of a value. The JSON reader stops at 128, and what cannot be read back must not be written.
pub(crate) const MAX_DEPTH: usize = 120;

/// The JSON text of a transaction, made once, outside the writer.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    /// One for each change; `None` for a delete.
    pub(crate) changes: Vec<Option<String>>,
    /// One for each journal row.
    pub(crate) journal: Vec<String>,
}

impl Encoded {
    /// Bytes of all texts.
    pub(crate) fn bytes(&self) -> usize {
        let changes: usize = self.changes.iter().flatten().map(String::len).sum();
        changes + self.journal.iter().map(String::len).sum::<usize>()
    }
}

/// Checks a transaction by itself and encodes its values.
pub(crate) fn encode(transaction: &Transaction) -> Result<Encoded, CommitError> {
    let mut encoded = Encoded::default();
    let mut seen = HashSet::with_capacity(transaction.changes.len());
    for change in &transaction.changes {
        let key = change.key();
        if !seen.insert(key) {
            return Err(CommitError::ChangedTwice(key.clone()));
        }
        let Change::Put(_, value) = change else {
            encoded.changes.push(None);
            continue;
        };
        if deeper_than(value, MAX_DEPTH) {
            return Err(CommitError::TooDeep {
                what: key.to_string(),
                limit: MAX_DEPTH,
            });
        }
        let text = text(value)?;
        if text.len() > MAX_OBJECT_BYTES {
            return Err(CommitError::TooLarge {
                key: key.clone(),
                bytes: text.len(),
                limit: MAX_OBJECT_BYTES,
            });
        }
        encoded.changes.push(Some(text));
    }
    for entry in &transaction.journal {
        if deeper_than(&entry.record, MAX_DEPTH) {
            let what = format!("row {} of the journal of run {}", entry.sequence, entry.run);
            return Err(CommitError::TooDeep {
                what,
                limit: MAX_DEPTH,
            });
        }
        let text = text(&entry.record)?;
        if text.len() > MAX_OBJECT_BYTES {
            return Err(CommitError::RecordTooLarge {
                run: entry.run.to_string(),
                sequence: entry.sequence,
                bytes: text.len(),
                limit: MAX_OBJECT_BYTES,
            });
        }
        encoded.journal.push(text);
    }
    Ok(encoded)
}

fn text(value: &Value) -> Result<String, CommitError> {
    serde_json::to_string(value).map_err(|source| {
        CommitError::Store(StoreError::Database {
            context: "writing a value as JSON",
            source: source.into(),
        })
    })
}

/// Whether a value nests deeper than `limit`. It descends no further than that, so the stack is safe.
fn deeper_than(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(|item| deeper_than(item, limit - 1)),
        Value::Object(members) => limit == 0 || members.values().any(|member| deeper_than(member, limit - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MAX_DEPTH, deeper_than};

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn the_deepest_value_taken_can_be_read_back_and_one_more_is_refused() {
        let deepest = nested(MAX_DEPTH);
        assert!(!deeper_than(&deepest, MAX_DEPTH));
        let text = serde_json::to_string(&deepest).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), deepest);
        assert!(deeper_than(&nested(MAX_DEPTH + 1), MAX_DEPTH));
    }
}
