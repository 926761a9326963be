//! Reading a schema, and telling all that keeps it from being structural.

use std::sync::Arc;

use indexmap::IndexMap;
use regex::RegexBuilder;
use serde_json::{Map, Value};

use crate::node::{ListType, Node, Rules, Schema, Type};
use crate::path::{Segment, Walk, render_path};
use crate::suggest::nearest;

/// Bounds on a schema, checked while it is read.
pub mod limits {
    /// Deepest nesting.
    pub const DEPTH: usize = 48;
    /// Most places (fields, items, alternatives) in one schema.
    pub const NODES: usize = 20_000;
    /// Longest pattern, in bytes.
    pub const PATTERN_BYTES: usize = 4096;
    /// Largest compiled pattern, in bytes.
    pub const PATTERN_PROGRAM_BYTES: usize = 1 << 20;
    /// Most errors and violations that are told at once.
    pub const ERRORS: usize = 100;
}

/// Why a schema is not structural.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", render_path(path))]
pub struct StructuralError {
    /// Where in the schema.
    pub path: Vec<Segment>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Keywords of a place, in the order of the documentation.
const KEYWORDS: &[&str] = &[
    "type",
    "nullable",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "uniqueItems",
    "propertyNames",
    "default",
    "title",
    "description",
    "examples",
    "example",
    "externalDocs",
    "deprecated",
    "readOnly",
    "writeOnly",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
];

/// Keywords that describe shape or documentation and have no place inside `allOf` and the like.
const SHAPE_ONLY: &[&str] = &[
    "additionalProperties",
    "nullable",
    "default",
    "description",
    "title",
    "writeOnly",
];

impl Schema {
    /// Reads a structural schema.
    ///
    /// # Errors
    /// Everything that keeps it from being structural, in the order of the document.
    pub fn parse(source: &Value) -> Result<Self, Vec<StructuralError>> {
        let mut parser = Parser {
            walk: Walk::default(),
            errors: Vec::new(),
            nodes: 0,
        };
        let root = parser.node(source, 0);
        if parser.errors.is_empty() {
            Ok(Self { root: Arc::new(root) })
        } else {
            Err(parser.errors)
        }
    }
}

pub(crate) struct Parser {
    walk: Walk,
    errors: Vec<StructuralError>,
    nodes: usize,
}

impl Parser {
    fn error(&mut self, message: impl Into<String>) {
        if self.errors.len() < limits::ERRORS {
            self.errors.push(StructuralError {
                path: self.walk.path(),
                message: message.into(),
            });
        }
    }

    pub(crate) fn error_at(&mut self, keyword: &str, message: impl Into<String>) {
        if self.errors.len() < limits::ERRORS {
            self.errors.push(StructuralError {
                path: self.walk.child(keyword),
                message: message.into(),
            });
        }
    }

    fn enter(&mut self, depth: usize) -> bool {
        self.nodes += 1;
        if depth > limits::DEPTH {
            self.error(format!("is nested deeper than {} levels", limits::DEPTH));
            return false;
        }
        if self.nodes > limits::NODES {
            if self.nodes == limits::NODES + 1 {
                self.error(format!(
                    "the schema has more than {} places: split it",
                    limits::NODES
                ));
            }
            return false;
        }
        true
    }

    fn within<R>(&mut self, name: &str, visit: impl FnOnce(&mut Self) -> R) -> R {
        self.walk.push_field(name);
        let result = visit(self);
        self.walk.pop();
        result
    }

    fn within_index<R>(&mut self, index: usize, visit: impl FnOnce(&mut Self) -> R) -> R {
        self.walk.push_index(index);
        let result = visit(self);
        self.walk.pop();
        result
    }

    fn object<'a>(&mut self, source: &'a Value) -> Option<&'a Map<String, Value>> {
        let map = source.as_object();
        if map.is_none() {
            self.error("must be a schema: an object with a type");
        }
        map
    }

    fn known_keywords(&mut self, map: &Map<String, Value>) {
        for keyword in map.keys() {
            if KEYWORDS.contains(&keyword.as_str()) || keyword.starts_with("x-") {
                continue;
            }
            let message = match keyword.as_str() {
                "$ref" | "$defs" | "definitions" => {
                    "references are not structural: write the schema out where it is used".to_owned()
                }
                "$schema" | "$id" | "id" | "$comment" => "is not needed here: remove it".to_owned(),
                other => match nearest(other, KEYWORDS.iter().copied()) {
                    Some(meant) => format!("is not a keyword of schemas: did you mean `{meant}`?"),
                    None => "is not a keyword of structural schemas: remove it".to_owned(),
                },
            };
            self.error_at(keyword, message);
        }
    }

    fn node(&mut self, source: &Value, depth: usize) -> Node {
        let mut node = Node::default();
        if !self.enter(depth) {
            return node;
        }
        let Some(map) = self.object(source) else {
            return node;
        };
        self.known_keywords(map);
        node.nullable = self.flag(map, "nullable");
        node.int_or_string = self.flag(map, "x-kubernetes-int-or-string");
        node.preserve_unknown = self.flag(map, "x-kubernetes-preserve-unknown-fields");
        node.write_only = self.flag(map, "writeOnly");
        node.identity = self.flag(map, "x-podium-identity");
        node.title = self.text(map, "title");
        node.description = self.text(map, "description");
        node.default = map.get("default").cloned();
        node.examples = map
            .get("examples")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        node.of_type = self.of_type(map);
        if node.of_type.is_none()
            && !map.contains_key("type")
            && !node.int_or_string
            && !node.preserve_unknown
        {
            self.error(
                "must have a type: one of object, array, string, integer, number, boolean \
                 (or x-kubernetes-preserve-unknown-fields: true for anything)",
            );
        }
        if node.int_or_string && node.of_type.is_some() {
            self.error_at("type", "must not be set beside x-kubernetes-int-or-string");
        }
        if node.identity && node.write_only {
            self.error_at(
                "x-podium-identity",
                "an identity is never a secret: remove it or writeOnly",
            );
        }
        self.properties(map, &mut node, depth);
        self.list(map, &mut node, depth);
        node.rules = self.rules(map, depth, Place::Outside(node.int_or_string));
        self.junctors_name_known_fields(&node);
        if let Some(default) = &node.default
            && self.errors.is_empty()
            && !(default.is_null() && node.nullable)
        {
            let mut violations = crate::validate::check(&node, default);
            if let Some(first) = violations.pop() {
                self.error_at(
                    "default",
                    format!("does not satisfy the schema: {}", first.message),
                );
            }
        }
        node
    }

    fn of_type(&mut self, map: &Map<String, Value>) -> Option<Type> {
        let value = map.get("type")?;
        let found = value
            .as_str()
            .and_then(|name| Type::ALL.into_iter().find(|kind| kind.name() == name));
        if found.is_none() {
            self.error_at(
                "type",
                if value.is_array() {
                    "must be one type: use nullable: true for null, x-kubernetes-int-or-string for both of those"
                } else {
                    "must be one of object, array, string, integer, number, boolean"
                },
            );
        }
        found
    }

    fn properties(&mut self, map: &Map<String, Value>, node: &mut Node, depth: usize) {
        let object =
            matches!(node.of_type, Some(Type::Object)) || (node.of_type.is_none() && node.preserve_unknown);
        if let Some(properties) = map.get("properties") {
            if !object {
                self.error_at("properties", "only an object has properties: set type: object");
            }
            match properties.as_object() {
                Some(fields) => self.within("properties", |parser| {
                    for (name, field) in fields {
                        let parsed = parser.within(name, |parser| parser.node(field, depth + 1));
                        node.properties.insert(name.clone(), parsed);
                    }
                }),
                None => self.error_at("properties", "must be an object of schemas"),
            }
        }
        match map.get("additionalProperties") {
            None | Some(Value::Bool(false)) => {}
            Some(_) if !object => {
                self.error_at("additionalProperties", "only an object has properties: set type: object");
            }
            Some(_) if !node.properties.is_empty() => self.error_at(
                "additionalProperties",
                "cannot stand beside properties: use x-kubernetes-preserve-unknown-fields: true to keep other fields",
            ),
            Some(Value::Bool(true)) => {
                node.additional = Some(Box::new(Node { preserve_unknown: true, ..Node::default() }));
            }
            Some(values) => {
                let parsed = self.within("additionalProperties", |parser| parser.node(values, depth + 1));
                node.additional = Some(Box::new(parsed));
            }
        }
    }

    fn list(&mut self, map: &Map<String, Value>, node: &mut Node, depth: usize) {
        let array = node.of_type == Some(Type::Array);
        match map.get("items") {
            Some(_) if !array => self.error_at("items", "only a list has items: set type: array"),
            Some(items) => {
                let parsed = self.within("items", |parser| parser.node(items, depth + 1));
                node.items = Some(Box::new(parsed));
            }
            None if array => self.error("a list must say what its items are: add items"),
            None => {}
        }
        node.list_map_keys = self.texts(map, "x-kubernetes-list-map-keys");
        node.list_type = match map
            .get("x-kubernetes-list-type")
            .map(|value| value.as_str().unwrap_or_default())
        {
            None | Some("atomic") => ListType::Atomic,
            Some("set") => ListType::Set,
            Some("map") => ListType::Map,
            Some(_) => {
                self.error_at("x-kubernetes-list-type", "must be one of atomic, set, map");
                ListType::Atomic
            }
        };
        if node.list_type == ListType::Map {
            if node.list_map_keys.is_empty() {
                self.error_at(
                    "x-kubernetes-list-map-keys",
                    "a list of type map needs the keys of its items",
                );
            }
            for key in &node.list_map_keys.clone() {
                if node.items.as_ref().is_none_or(|items| items.field(key).is_none()) {
                    self.error_at(
                        "x-kubernetes-list-map-keys",
                        format!("the items have no field `{key}`"),
                    );
                }
            }
        }
        if array
            && node.list_type != ListType::Atomic
            && node.items.as_ref().is_some_and(|items| items.nullable)
        {
            self.error_at("items", "the items of a set or map cannot be nullable");
        }
    }

    fn rules(&mut self, map: &Map<String, Value>, depth: usize, place: Place) -> Rules {
        let mut rules = Rules {
            required: self.texts(map, "required"),
            enumeration: None,
            constant: map.get("const").cloned(),
            format: self.text(map, "format"),
            min_length: self.count(map, "minLength"),
            max_length: self.count(map, "maxLength"),
            min_items: self.count(map, "minItems"),
            max_items: self.count(map, "maxItems"),
            min_properties: self.count(map, "minProperties"),
            max_properties: self.count(map, "maxProperties"),
            minimum: self.number(map, "minimum"),
            maximum: self.number(map, "maximum"),
            multiple_of: self.number(map, "multipleOf"),
            unique_items: self.flag(map, "uniqueItems"),
            ..Rules::default()
        };
        if rules.multiple_of.is_some_and(|divisor| divisor <= 0.0) {
            self.error_at("multipleOf", "must be greater than 0");
            rules.multiple_of = None;
        }
        (rules.minimum, rules.exclusive_minimum) =
            self.exclusive(map, "exclusiveMinimum", rules.minimum, f64::max);
        (rules.maximum, rules.exclusive_maximum) =
            self.exclusive(map, "exclusiveMaximum", rules.maximum, f64::min);
        match map.get("enum") {
            None => {}
            Some(Value::Array(values)) if !values.is_empty() => rules.enumeration = Some(values.clone()),
            Some(_) => self.error_at("enum", "must be a list of at least one value"),
        }
        if let Some(pattern) = self.text(map, "pattern") {
            rules.pattern = self.pattern(&pattern);
        }
        if let Some(names) = map.get("propertyNames") {
            rules.property_names = Some(Box::new(self.within("propertyNames", |parser| {
                parser.inner(names, depth + 1, Place::Names)
            })));
        }
        let typed = matches!(place, Place::Outside(true) | Place::IntOrString);
        let place = if typed { Place::IntOrString } else { Place::Junctor };
        rules.all_of = self.alternatives(map, "allOf", depth, place);
        rules.any_of = self.alternatives(map, "anyOf", depth, place);
        rules.one_of = self.alternatives(map, "oneOf", depth, place);
        if let Some(not) = map.get("not") {
            rules.not =
                Some(Box::new(self.within("not", |parser| {
                    parser.inner(not, depth + 1, Place::Junctor)
                })));
        }
        rules
    }

    fn alternatives(
        &mut self,
        map: &Map<String, Value>,
        keyword: &str,
        depth: usize,
        place: Place,
    ) -> Vec<Rules> {
        match map.get(keyword) {
            None => Vec::new(),
            Some(Value::Array(alternatives)) if !alternatives.is_empty() => self.within(keyword, |parser| {
                alternatives
                    .iter()
                    .enumerate()
                    .map(|(index, schema)| {
                        parser.within_index(index, |parser| parser.inner(schema, depth + 1, place))
                    })
                    .collect()
            }),
            Some(_) => {
                self.error_at(keyword, "must be a list of at least one schema");
                Vec::new()
            }
        }
    }

    /// A schema inside a junctor: rules only.
    fn inner(&mut self, source: &Value, depth: usize, place: Place) -> Rules {
        if !self.enter(depth) {
            return Rules::default();
        }
        let Some(map) = self.object(source) else {
            return Rules::default();
        };
        self.known_keywords(map);
        for keyword in SHAPE_ONLY {
            if map.contains_key(*keyword) {
                self.error_at(
                    keyword,
                    "must not be set inside allOf, anyOf, oneOf or not: set it outside",
                );
            }
        }
        let mut rules = self.rules(map, depth, place);
        if map.contains_key("type") {
            if matches!(place, Place::IntOrString | Place::Names) {
                rules.of_type = self.of_type(map);
            } else {
                self.error_at(
                    "type",
                    "must not be set inside allOf, anyOf, oneOf or not: set it outside",
                );
            }
        }
        if let Some(fields) = map.get("properties").and_then(Value::as_object) {
            rules.properties = self.within("properties", |parser| {
                fields
                    .iter()
                    .map(|(name, field)| {
                        (
                            name.clone(),
                            parser.within(name, |parser| parser.inner(field, depth + 1, place)),
                        )
                    })
                    .collect::<IndexMap<_, _>>()
            });
        }
        if let Some(items) = map.get("items") {
            rules.items = Some(Box::new(
                self.within("items", |parser| parser.inner(items, depth + 1, place)),
            ));
        }
        rules
    }

    /// A field named inside a junctor must exist outside of it, or its type is unknown.
    fn junctors_name_known_fields(&mut self, node: &Node) {
        let mut unknown = Vec::new();
        let rules = &node.rules;
        for inner in rules
            .all_of
            .iter()
            .chain(&rules.any_of)
            .chain(&rules.one_of)
            .chain(rules.not.as_deref())
        {
            unknown_in(inner, node, &mut unknown);
        }
        for name in unknown {
            self.error(format!(
                "the field `{name}` inside allOf, anyOf, oneOf or not must be declared outside too"
            ));
        }
    }

    fn pattern(&mut self, pattern: &str) -> Option<regex::Regex> {
        if pattern.len() > limits::PATTERN_BYTES {
            self.error_at(
                "pattern",
                format!("is longer than {} bytes", limits::PATTERN_BYTES),
            );
            return None;
        }
        match RegexBuilder::new(pattern)
            .size_limit(limits::PATTERN_PROGRAM_BYTES)
            .build()
        {
            Ok(regex) => Some(regex),
            Err(regex::Error::CompiledTooBig(_)) => {
                self.error_at("pattern", "is too large when compiled: use smaller repetitions");
                None
            }
            Err(_) => {
                self.error_at(
                    "pattern",
                    "is not a regular expression that is matched in linear time (look-around and back-references are not)",
                );
                None
            }
        }
    }
}

/// Where rules stand: it decides whether a type may stand there.
#[derive(Clone, Copy)]
enum Place {
    /// Beside the type; whether that is int-or-string.
    Outside(bool),
    /// Inside a junctor.
    Junctor,
    /// Inside a junctor of an int-or-string.
    IntOrString,
    /// The names of properties, which are text.
    Names,
}

fn unknown_in(rules: &Rules, node: &Node, unknown: &mut Vec<String>) {
    for (name, inner) in &rules.properties {
        match node.properties.get(name).or(node.additional.as_deref()) {
            Some(field) => unknown_in(inner, field, unknown),
            None if node.preserve_unknown => {}
            None => unknown.push(name.clone()),
        }
    }
    if let (Some(inner), Some(items)) = (&rules.items, &node.items) {
        unknown_in(inner, items, unknown);
    }
    for inner in rules.all_of.iter().chain(&rules.any_of).chain(&rules.one_of) {
        unknown_in(inner, node, unknown);
    }
    if let Some(inner) = &rules.not {
        unknown_in(inner, node, unknown);
    }
}
