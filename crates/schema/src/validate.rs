//! Checking a value, in the words of kube-apiserver.

use serde_json::Value;

use crate::format::text_has_format;
use crate::node::{ListType, Node, Rules, Schema, Type};
use crate::parse::limits;
use crate::path::{Segment, Walk, render_path};

/// Longest rendering of a bad value.
const SHORT: usize = 120;

/// What is shown of a secret.
const SECRET: &str = "\"(secret)\"";

/// What kind of mistake a violation is, as Kubernetes tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// A field is missing.
    Required,
    /// The value has the wrong type.
    Type,
    /// The value is not what it must be.
    Invalid,
    /// The value is none of those that are taken.
    NotSupported,
    /// The value is there twice and must not be.
    Duplicate,
    /// Text is too long.
    TooLong,
    /// A list or map has too many items.
    TooMany,
    /// The field must not be set.
    Forbidden,
}

impl ViolationKind {
    /// The reason of a cause in a Kubernetes `Status`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Type => "FieldValueTypeInvalid",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Forbidden => "FieldValueForbidden",
        }
    }
}

/// One thing that is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub path: Vec<Segment>,
    /// What kind of mistake it is.
    pub kind: ViolationKind,
    /// What is wrong, for a person: `spec.size in body should be less than or equal to 10`. Empty when the kind says
    /// it all.
    pub message: String,
    /// The bad value, shortened; never a secret.
    pub bad: String,
}

impl Violation {
    /// The path as Kubernetes writes it.
    pub fn field(&self) -> String {
        render_path(&self.path)
    }

    /// The message of a cause in a Kubernetes `Status`: `Invalid value: 99: spec.size in body should ...`.
    pub fn cause(&self) -> String {
        let (lead, shows_value) = match self.kind {
            ViolationKind::Required => ("Required value", false),
            ViolationKind::Type | ViolationKind::Invalid => ("Invalid value", true),
            ViolationKind::NotSupported => ("Unsupported value", true),
            ViolationKind::Duplicate => ("Duplicate value", true),
            ViolationKind::TooLong => ("Too long", false),
            ViolationKind::TooMany => ("Too many", true),
            ViolationKind::Forbidden => ("Forbidden", false),
        };
        let mut text = lead.to_owned();
        if shows_value {
            text.push_str(": ");
            text.push_str(&self.bad);
        }
        if !self.message.is_empty() {
            text.push_str(": ");
            text.push_str(&self.message);
        }
        text
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.field(), self.cause())
    }
}

impl Schema {
    /// All that is wrong with a value, in the order of the schema; at most [`limits::ERRORS`].
    pub fn validate(&self, value: &Value) -> Vec<Violation> {
        check(&self.root, value)
    }
}

pub(crate) fn check(node: &Node, value: &Value) -> Vec<Violation> {
    let mut checker = Checker {
        walk: Walk::default(),
        found: Vec::new(),
        secret: false,
    };
    checker.node(node, value);
    checker.found
}

struct Checker {
    walk: Walk,
    found: Vec<Violation>,
    /// Whether what is being checked is a secret, or a part of one.
    secret: bool,
}

impl Checker {
    fn add_at(&mut self, path: Vec<Segment>, kind: ViolationKind, message: String, bad: String) {
        if self.found.len() < limits::ERRORS {
            self.found.push(Violation {
                path,
                kind,
                message,
                bad,
            });
        }
    }

    fn add(&mut self, kind: ViolationKind, message: String, value: &Value) {
        let bad = self.show(value);
        self.add_at(self.walk.path(), kind, message, bad);
    }

    /// `spec.size in body should be ...`
    fn should(&mut self, what: &str, value: &Value) {
        let message = format!("{} in body {what}", render_path(&self.walk.path()));
        self.add(ViolationKind::Invalid, message, value);
    }

    fn show(&self, value: &Value) -> String {
        if self.secret {
            SECRET.to_owned()
        } else {
            short(value)
        }
    }

    fn node(&mut self, node: &Node, value: &Value) {
        let outside = self.secret;
        self.secret |= node.write_only;
        self.node_inner(node, value);
        self.secret = outside;
    }

    fn node_inner(&mut self, node: &Node, value: &Value) {
        if self.found.len() >= limits::ERRORS || (value.is_null() && node.nullable) {
            return;
        }
        if node.int_or_string {
            if !(value.is_string() || is_integer(value)) {
                self.wrong_type("integer or string", value);
                return;
            }
        } else if let Some(expected) = node.of_type
            && !has_type(value, expected)
        {
            self.wrong_type(expected.name(), value);
            return;
        }
        self.rules(&node.rules, value);
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let Some(known) = node.properties.get(name).or(node.additional.as_deref()) {
                        self.walk.push_field(name);
                        self.node(known, field);
                        self.walk.pop();
                    }
                }
            }
            Value::Array(items) => {
                if let Some(known) = &node.items {
                    for (index, item) in items.iter().enumerate() {
                        self.walk.push_index(index);
                        self.node(known, item);
                        self.walk.pop();
                    }
                }
                self.list(node, items);
            }
            _ => {}
        }
    }

    fn wrong_type(&mut self, expected: &str, value: &Value) {
        let found = type_of(value);
        let message = format!(
            "{} in body must be of type {expected}: \"{found}\"",
            render_path(&self.walk.path())
        );
        self.add_at(
            self.walk.path(),
            ViolationKind::Type,
            message,
            format!("\"{found}\""),
        );
    }

    fn list(&mut self, node: &Node, items: &[Value]) {
        let identity = |item: &Value| match node.list_type {
            ListType::Atomic => None,
            ListType::Set => Some(item.to_string()),
            ListType::Map => {
                let default = |key: &String| {
                    node.items
                        .as_ref()
                        .and_then(|items| items.field(key))
                        .and_then(|field| field.default.clone())
                };
                let keys = node.list_map_keys.iter();
                let values: Vec<Value> = keys
                    .map(|key| {
                        item.get(key)
                            .cloned()
                            .or_else(|| default(key))
                            .unwrap_or_default()
                    })
                    .collect();
                Some(Value::Array(values).to_string())
            }
        };
        let mut seen = std::collections::BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let Some(key) = identity(item) else { return };
            if !seen.insert(key) {
                let secret = node.items.as_ref().is_some_and(|items| items.holds_secrets());
                let bad = match node.list_type {
                    _ if secret || self.secret => SECRET.to_owned(),
                    ListType::Map => {
                        let keys = node.list_map_keys.iter();
                        let parts: Vec<String> = keys
                            .filter_map(|key| Some(format!("\"{key}\":{}", short(item.get(key)?))))
                            .collect();
                        format!("{{{}}}", parts.join(","))
                    }
                    _ => short(item),
                };
                self.add_at(
                    self.walk.item(index),
                    ViolationKind::Duplicate,
                    String::new(),
                    bad,
                );
            }
        }
    }

    fn rules(&mut self, rules: &Rules, value: &Value) {
        if let Some(expected) = rules.of_type
            && !has_type(value, expected)
        {
            self.wrong_type(expected.name(), value);
            return;
        }
        self.values(rules, value);
        match value {
            Value::String(text) => self.text(rules, text, value),
            Value::Number(number) => self.number(rules, number.as_f64().unwrap_or_default(), value),
            Value::Array(items) => self.items(rules, items, value),
            Value::Object(fields) => self.fields(rules, fields, value),
            Value::Null | Value::Bool(_) => {}
        }
        self.junctors(rules, value);
    }

    fn values(&mut self, rules: &Rules, value: &Value) {
        let allowed: Option<&[Value]> = rules.enumeration.as_deref();
        let allowed = allowed.or(rules.constant.as_ref().map(std::slice::from_ref));
        if let Some(allowed) = allowed
            && !allowed.iter().any(|candidate| same(candidate, value))
        {
            let list: Vec<String> = allowed.iter().map(Value::to_string).collect();
            self.add(
                ViolationKind::NotSupported,
                format!("supported values: {}", list.join(", ")),
                value,
            );
        }
    }

    fn text(&mut self, rules: &Rules, text: &str, value: &Value) {
        let length = text.chars().count() as u64;
        if let Some(most) = rules.max_length.filter(|most| length > *most) {
            self.add(
                ViolationKind::TooLong,
                format!("may not be more than {most} bytes"),
                value,
            );
        }
        if let Some(least) = rules.min_length.filter(|least| length < *least) {
            self.should(&format!("should be at least {least} chars long"), value);
        }
        if let Some(pattern) = &rules.pattern
            && !pattern.is_match(text)
        {
            self.should(&format!("should match '{}'", pattern.as_str()), value);
        }
        if let Some(format) = &rules.format
            && text_has_format(format, text) == Some(false)
        {
            let shown = self.show(value);
            self.should(&format!("must be of type {format}: {shown}"), value);
        }
    }

    fn number(&mut self, rules: &Rules, number: f64, value: &Value) {
        if let Some(most) = rules.maximum {
            if rules.exclusive_maximum && number >= most {
                self.should(&format!("should be less than {most}"), value);
            } else if number > most {
                self.should(&format!("should be less than or equal to {most}"), value);
            }
        }
        if let Some(least) = rules.minimum {
            if rules.exclusive_minimum && number <= least {
                self.should(&format!("should be greater than {least}"), value);
            } else if number < least {
                self.should(&format!("should be greater than or equal to {least}"), value);
            }
        }
        if let Some(divisor) = rules.multiple_of {
            let quotient = number / divisor;
            if (quotient - quotient.round()).abs() > 1e-9 * quotient.abs().max(1.0) {
                self.should(&format!("should be a multiple of {divisor}"), value);
            }
        }
        let fits = |low: f64, high: f64| (low..=high).contains(&number);
        let range = match rules.format.as_deref() {
            Some("int32") => fits(f64::from(i32::MIN), f64::from(i32::MAX)),
            _ => true,
        };
        if !range {
            let shown = self.show(value);
            self.should(&format!("must be of type int32: {shown}"), value);
        }
    }

    fn items(&mut self, rules: &Rules, items: &[Value], value: &Value) {
        let length = items.len() as u64;
        if let Some(most) = rules.max_items.filter(|most| length > *most) {
            let message = format!("must have at most {most} items");
            self.add_at(
                self.walk.path(),
                ViolationKind::TooMany,
                message,
                length.to_string(),
            );
        }
        if let Some(least) = rules.min_items.filter(|least| length < *least) {
            self.should(&format!("should have at least {least} items"), value);
        }
        if rules.unique_items {
            let mut seen = std::collections::BTreeSet::new();
            if !items.iter().all(|item| seen.insert(item.to_string())) {
                self.should("shouldn't contain duplicates", value);
            }
        }
        if let Some(inner) = &rules.items {
            for (index, item) in items.iter().enumerate() {
                self.walk.push_index(index);
                self.rules(inner, item);
                self.walk.pop();
            }
        }
    }

    fn fields(&mut self, rules: &Rules, fields: &serde_json::Map<String, Value>, value: &Value) {
        for name in &rules.required {
            if !fields.contains_key(name) {
                self.add_at(
                    self.walk.child(name),
                    ViolationKind::Required,
                    String::new(),
                    "null".to_owned(),
                );
            }
        }
        let length = fields.len() as u64;
        if let Some(most) = rules.max_properties.filter(|most| length > *most) {
            let message = format!("must have at most {most} items");
            self.add_at(
                self.walk.path(),
                ViolationKind::TooMany,
                message,
                length.to_string(),
            );
        }
        if let Some(least) = rules.min_properties.filter(|least| length < *least) {
            self.should(&format!("should have at least {least} properties"), value);
        }
        if let Some(names) = &rules.property_names {
            for name in fields.keys() {
                self.walk.push_field(name);
                self.rules(names, &Value::String(name.clone()));
                self.walk.pop();
            }
        }
        for (name, inner) in &rules.properties {
            if let Some(field) = fields.get(name) {
                self.walk.push_field(name);
                self.rules(inner, field);
                self.walk.pop();
            }
        }
    }

    fn junctors(&mut self, rules: &Rules, value: &Value) {
        for inner in &rules.all_of {
            self.rules(inner, value);
        }
        if !rules.any_of.is_empty() && !rules.any_of.iter().any(|inner| self.holds(inner, value)) {
            self.should("must validate at least one schema (anyOf)", value);
        }
        if !rules.one_of.is_empty() {
            let holding = rules
                .one_of
                .iter()
                .filter(|inner| self.holds(inner, value))
                .count();
            if holding == 0 {
                self.should(
                    "must validate one and only one schema (oneOf). Found none valid",
                    value,
                );
            } else if holding > 1 {
                let what = format!(
                    "must validate one and only one schema (oneOf). Found {holding} valid alternatives"
                );
                self.should(&what, value);
            }
        }
        if let Some(inner) = &rules.not
            && self.holds(inner, value)
        {
            self.should("must not validate the schema (not)", value);
        }
    }

    fn holds(&self, rules: &Rules, value: &Value) -> bool {
        let mut alone = Self {
            walk: Walk::default(),
            found: Vec::new(),
            secret: self.secret,
        };
        alone.rules(rules, value);
        alone.found.is_empty()
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64()
        || value.is_u64()
        || value
            .as_f64()
            .is_some_and(|number| number.fract() == 0.0 && number.abs() < 9e15)
}

fn has_type(value: &Value, expected: Type) -> bool {
    match expected {
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::String => value.is_string(),
        Type::Integer => is_integer(value),
        Type::Number => value.is_number(),
        Type::Boolean => value.is_boolean(),
    }
}

/// Equal, with 1 and 1.0 the same number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || a.as_f64()
                    .zip(b.as_f64())
                    .is_some_and(|(a, b)| a.total_cmp(&b).is_eq())
        }
        _ => left == right,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The value as JSON, shortened. Objects and lists are shown by their type alone: they may hold secrets.
fn short(value: &Value) -> String {
    match value {
        Value::Object(_) => "\"object\"".to_owned(),
        Value::Array(_) => "\"array\"".to_owned(),
        Value::String(text) if text.chars().count() > SHORT => {
            let start: String = text.chars().take(SHORT).collect();
            Value::String(format!("{start}...")).to_string()
        }
        other => other.to_string(),
    }
}
