//! The tree of a document, each value with its place.

use serde_json::{Map, Number, Value};

use crate::path::PathSegment;
use crate::source::Span;

/// One value of a document and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: NodeValue,
    /// Where it stands. A value that came by an alias has the place of the alias; what is inside it, its own.
    /// That of a block after `|` or `>` begins with its first line that is not empty.
    pub span: Span,
    /// How it is written.
    pub style: Style,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// Nothing: `null`, `~` or no text at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of up to 64 bits or a finite fraction.
    Number(Number),
    /// Text, decoded.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the document; each key occurs once.
    Map(Vec<Entry>),
}

/// How a scalar is written, which is needed to find a place inside it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In `'`.
    SingleQuoted,
    /// In `"`.
    DoubleQuoted,
    /// A block after `|`.
    Literal,
    /// A block after `>`.
    Folded,
    /// No scalar, or one whose text is not in the source at its place: an alias, or made from something else.
    Other,
}

/// A key of a map and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// A key and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its text, decoded.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// The value as JSON, in the order of the document.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(flag) => Value::Bool(*flag),
            NodeValue::Number(number) => Value::Number(number.clone()),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeValue::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.name.clone(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// A tree without places, from JSON.
    pub fn from_json(value: &Value) -> Self {
        let value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(flag) => NodeValue::Bool(*flag),
            Value::Number(number) => NodeValue::Number(number.clone()),
            Value::String(text) => NodeValue::Text(text.clone()),
            Value::Array(items) => NodeValue::List(items.iter().map(Node::from_json).collect()),
            Value::Object(map) => {
                let entry = |(name, value): (&String, &Value)| Entry {
                    key: Key {
                        name: name.clone(),
                        span: Span::default(),
                    },
                    value: Node::from_json(value),
                };
                NodeValue::Map(map.iter().map(entry).collect())
            }
        };
        Self {
            value,
            span: Span::default(),
            style: Style::Other,
        }
    }

    /// The value at a path, if it exists.
    pub fn at(&self, path: &[PathSegment]) -> Option<&Node> {
        let mut node = self;
        for segment in path {
            node = node.child(segment)?.1;
        }
        Some(node)
    }

    /// Where the key stands that names the value at a path. A list item and the root have none.
    pub fn key_span(&self, path: &[PathSegment]) -> Option<Span> {
        let (last, parents) = path.split_last()?;
        self.at(parents)?.child(last)?.0
    }

    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key.name == key)
            .map(|entry| &entry.value)
    }

    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            NodeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// One step down: the place of the key, if there is one, and the value.
    pub(crate) fn child(&self, segment: &PathSegment) -> Option<(Option<Span>, &Node)> {
        match (&self.value, segment) {
            (NodeValue::Map(entries), PathSegment::Key(key)) => {
                let entry = entries.iter().find(|entry| &entry.key.name == key)?;
                Some((Some(entry.key.span), &entry.value))
            }
            (NodeValue::List(items), PathSegment::Index(index)) => Some((None, items.get(*index)?)),
            _ => None,
        }
    }

    /// Where to point for the value as a whole: a scalar itself, and the first key of a map, since marking all of
    /// its lines would mark nothing.
    pub(crate) fn head(&self) -> Span {
        match &self.value {
            NodeValue::Map(entries) if self.span.line != self.span.end_line => {
                entries.first().map_or(self.span, |entry| entry.key.span)
            }
            NodeValue::List(items) if self.span.line != self.span.end_line => {
                items.first().map_or(self.span, Node::head)
            }
            _ => self.span,
        }
    }

    /// Levels of maps and lists.
    pub(crate) fn height(&self) -> usize {
        let deepest = match &self.value {
            NodeValue::List(items) => items.iter().map(Node::height).max(),
            NodeValue::Map(entries) => entries.iter().map(|entry| entry.value.height()).max(),
            _ => return 0,
        };
        1 + deepest.unwrap_or(0)
    }

    /// Keys and values in it, and bytes of their text.
    pub(crate) fn weight(&self) -> (usize, usize) {
        let add =
            |(nodes, bytes): (usize, usize), (more, longer): (usize, usize)| (nodes + more, bytes + longer);
        match &self.value {
            NodeValue::List(items) => items.iter().map(Node::weight).fold((1, 0), add),
            NodeValue::Map(entries) => entries
                .iter()
                .map(|entry| add(entry.value.weight(), (1, entry.key.name.len())))
                .fold((1, 0), add),
            NodeValue::Text(text) => (1, text.len()),
            _ => (1, 0),
        }
    }
}
