//! Structural schemas from Rust types.
//!
//! `schemars` writes JSON Schema of 2020: references, type lists, `oneOf` for enums. Here references are written
//! out, `Option` becomes `nullable`, enums of strings become `enum`, and enums of objects become one object that
//! has the fields of all variants, with a `oneOf` that says which belong together. What has no structural form
//! (a value of several types, a type that contains itself) takes any value: `x-kubernetes-preserve-unknown-fields`.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

const ANY: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// Deepest nesting of references; a type that contains itself ends here at the latest.
const DEPTH: usize = 40;

/// The structural schema of a Rust type, as serde reads it.
pub fn from_rust<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    structural(&generator.into_root_schema_for::<T>().to_value())
}

/// The structural form of a schema that `schemars` made, whichever dialect it was asked for.
pub fn structural(source: &Value) -> Value {
    let mut definitions = source
        .get("$defs")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let components = source.pointer("/components/schemas").and_then(Value::as_object);
    definitions.extend(
        components
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), schema.clone())),
    );
    let mut writer = Writer {
        definitions,
        open: Vec::new(),
    };
    Value::Object(writer.structural(source))
}

struct Writer {
    definitions: Map<String, Value>,
    /// The references that are being written out, to notice a type that contains itself.
    open: Vec<String>,
}

impl Writer {
    fn structural(&mut self, source: &Value) -> Map<String, Value> {
        let Some(map) = source.as_object() else {
            return any();
        };
        if let Some(name) = map.get("$ref").and_then(Value::as_str) {
            return self.reference(name, map);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(alternatives) = map.get(keyword).and_then(Value::as_array) {
                let mut result = self.alternatives(alternatives, map);
                document(&mut result, map);
                return result;
            }
        }
        let mut result = Map::new();
        let merged;
        let map = match map.get("allOf").and_then(Value::as_array) {
            Some(parts) => {
                merged = self.merge_parts(map, parts);
                &merged
            }
            None => map,
        };
        if map.get(ANY) == Some(&Value::Bool(true)) || map.get(INT_OR_STRING) == Some(&Value::Bool(true)) {
            result.insert(
                if map.contains_key(ANY) { ANY } else { INT_OR_STRING }.to_owned(),
                json!(true),
            );
            document(&mut result, map);
            return result;
        }
        if let Some(constant) = map.get("const") {
            result.insert("type".to_owned(), json!(type_of(constant)));
            result.insert("enum".to_owned(), json!([constant]));
            document(&mut result, map);
            return result;
        }
        let types: Vec<&str> = match map.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let nullable = types.contains(&"null") || map.get("nullable") == Some(&Value::Bool(true));
        let types: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
        result = match types.as_slice() {
            [name] => self.typed(name, map),
            [a, b] if [*a, *b].contains(&"string") && [*a, *b].contains(&"integer") => int_or_string(),
            [] if map.contains_key("properties") => self.typed("object", map),
            [] if map.get("enum").is_some_and(|values| texts(values).is_some()) => self.typed("string", map),
            _ => any(),
        };
        if nullable && !result.contains_key(ANY) {
            result.insert("nullable".to_owned(), json!(true));
        }
        document(&mut result, map);
        result
    }

    fn reference(&mut self, name: &str, beside: &Map<String, Value>) -> Map<String, Value> {
        let key = definition_name(name).to_owned();
        let recursive = self.open.contains(&key) || self.open.len() >= DEPTH;
        let mut result = match self.definitions.get(&key).cloned() {
            Some(target) if !recursive => {
                self.open.push(key);
                let result = self.structural(&target);
                self.open.pop();
                result
            }
            _ => any(),
        };
        document(&mut result, beside);
        result
    }

    fn typed(&mut self, name: &str, map: &Map<String, Value>) -> Map<String, Value> {
        let mut result = Map::new();
        result.insert("type".to_owned(), json!(name));
        for (keyword, value) in map {
            match keyword.as_str() {
                "properties" => {
                    let fields = value.as_object().cloned().unwrap_or_default();
                    let fields: Map<String, Value> = fields
                        .iter()
                        .map(|(name, field)| (name.clone(), Value::Object(self.structural(field))))
                        .collect();
                    if !fields.is_empty() {
                        result.insert(keyword.clone(), Value::Object(fields));
                    }
                }
                "additionalProperties" | "unevaluatedProperties" => match value {
                    Value::Bool(false) => {}
                    // Fields beside a map: the map's values cannot be told apart from the fields.
                    _ if map
                        .get("properties")
                        .and_then(Value::as_object)
                        .is_some_and(|fields| !fields.is_empty()) =>
                    {
                        result.insert(ANY.to_owned(), json!(true));
                    }
                    Value::Bool(true) => {
                        result.insert(ANY.to_owned(), json!(true));
                    }
                    values => {
                        let values = self.structural(values);
                        result.insert("additionalProperties".to_owned(), Value::Object(values));
                    }
                },
                "items" => {
                    result.insert(keyword.clone(), Value::Object(self.structural(value)));
                }
                "required" if value.as_array().is_some_and(|names| !names.is_empty()) => {
                    result.insert(keyword.clone(), value.clone());
                }
                "enum" => {
                    let values = value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter(|value| !value.is_null());
                    result.insert(keyword.clone(), values.cloned().collect());
                }
                "format" if value.as_str().is_some_and(|format| !format.starts_with("uint")) => {
                    result.insert(keyword.clone(), value.clone());
                }
                "pattern" | "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
                | "maxProperties" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
                | "multipleOf" | "uniqueItems" | "propertyNames" => {
                    result.insert(keyword.clone(), value.clone());
                }
                _ => {}
            }
        }
        if name == "array" && !result.contains_key("items") {
            result.insert("items".to_owned(), Value::Object(any()));
        }
        result
    }

    /// Variants of an enum, or an `Option`.
    fn alternatives(&mut self, alternatives: &[Value], beside: &Map<String, Value>) -> Map<String, Value> {
        let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
        let nullable = alternatives.iter().any(is_null) || beside.get("nullable") == Some(&Value::Bool(true));
        let real: Vec<Map<String, Value>> = alternatives
            .iter()
            .filter(|schema| !is_null(schema))
            .map(|schema| self.structural(schema))
            .collect();
        let mut result = match real.as_slice() {
            [] => any(),
            [only] => only.clone(),
            several => {
                let shared = beside.get("properties").map(|_| self.typed("object", beside));
                Self::union(several, shared.as_ref())
            }
        };
        if nullable && !result.contains_key(ANY) {
            result.insert("nullable".to_owned(), json!(true));
        }
        result
    }

    fn union(variants: &[Map<String, Value>], shared: Option<&Map<String, Value>>) -> Map<String, Value> {
        let kind =
            |variant: &Map<String, Value>| variant.get("type").and_then(Value::as_str).map(str::to_owned);
        let kinds: Vec<Option<String>> = variants.iter().map(kind).collect();
        let all = |name: &str| kinds.iter().all(|kind| kind.as_deref() == Some(name));
        if all("string") {
            return strings(variants);
        }
        if all("object") {
            return Self::objects(variants, shared);
        }
        let plain = |variant: &Map<String, Value>| {
            variant
                .keys()
                .all(|key| key == "type" || key == "format" || key == "description" || key == "minimum")
        };
        if kinds
            .iter()
            .all(|kind| matches!(kind.as_deref(), Some("string" | "integer")))
            && variants.iter().all(plain)
        {
            return int_or_string();
        }
        if all("boolean") || all("integer") || all("number") {
            let mut result = Map::new();
            result.insert("type".to_owned(), json!(kinds[0]));
            return result;
        }
        any()
    }

    /// One object with the fields of all variants, and a `oneOf` that says which belong together.
    fn objects(variants: &[Map<String, Value>], shared: Option<&Map<String, Value>>) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut one_of = Vec::new();
        let mut required: Option<Vec<String>> = None;
        let mut open = false;
        for variant in variants.iter().chain(shared) {
            open |= variant.contains_key(ANY) || variant.contains_key("additionalProperties");
            for (name, field) in variant
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let merged = match fields.remove(name) {
                    Some(present) => same_field(present, field),
                    None => field.clone(),
                };
                fields.insert(name.clone(), merged);
            }
        }
        for variant in variants {
            let names = variant.get("required").and_then(texts).unwrap_or_default();
            let mut rule = Map::new();
            let tags: Map<String, Value> = variant
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(name, field)| {
                    let values = field.get("enum")?;
                    // Only the tag tells variants apart; another enum is the same in all of them, or checked outside.
                    (values.as_array()?.len() == 1).then(|| (name.clone(), json!({ "enum": values })))
                })
                .collect();
            if !tags.is_empty() {
                rule.insert("properties".to_owned(), Value::Object(tags));
            }
            if !names.is_empty() {
                rule.insert("required".to_owned(), json!(names));
            }
            one_of.push(Value::Object(rule));
            required = Some(match required {
                None => names,
                Some(before) => before.into_iter().filter(|name| names.contains(name)).collect(),
            });
        }
        let mut required = required.unwrap_or_default();
        required.extend(
            shared
                .and_then(|shared| shared.get("required"))
                .and_then(texts)
                .unwrap_or_default(),
        );
        let mut result = Map::new();
        result.insert("type".to_owned(), json!("object"));
        if !fields.is_empty() {
            result.insert("properties".to_owned(), Value::Object(fields));
        }
        if !required.is_empty() {
            result.insert("required".to_owned(), json!(required));
        }
        // Without a tag or required fields of its own a variant says nothing.
        if one_of
            .iter()
            .all(|rule| rule.as_object().is_some_and(|rule| !rule.is_empty()))
        {
            // Variants without a tag may hold together (untagged enums), so any of them will do.
            let tagged = one_of.iter().all(|rule| rule.get("properties").is_some());
            let distinct = tagged
                || one_of
                    .iter()
                    .all(|rule| rule["required"].as_array().is_some_and(|r| r.len() == 1));
            result.insert(
                if distinct { "oneOf" } else { "anyOf" }.to_owned(),
                Value::Array(one_of),
            );
        }
        if open {
            result.insert(ANY.to_owned(), json!(true));
        }
        result
    }

    /// The parts of an `allOf` as one object; serde writes them for flattened fields.
    fn merge_parts(&mut self, map: &Map<String, Value>, parts: &[Value]) -> Map<String, Value> {
        let mut result = map.clone();
        result.remove("allOf");
        for part in parts {
            let target = part.get("$ref").and_then(Value::as_str).map(definition_name);
            let part = target
                .and_then(|name| self.definitions.get(name))
                .unwrap_or(part)
                .clone();
            for (keyword, value) in part.as_object().into_iter().flatten() {
                match (result.get_mut(keyword), value) {
                    (Some(Value::Object(present)), Value::Object(more)) => {
                        for (name, field) in more {
                            present.entry(name.clone()).or_insert_with(|| field.clone());
                        }
                    }
                    (Some(Value::Array(present)), Value::Array(more)) if keyword == "required" => {
                        present.extend(more.iter().cloned());
                    }
                    (Some(_), _) => {}
                    (None, value) => {
                        result.insert(keyword.clone(), value.clone());
                    }
                }
            }
        }
        result
    }
}

fn definition_name(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn any() -> Map<String, Value> {
    Map::from_iter([(ANY.to_owned(), json!(true))])
}

fn int_or_string() -> Map<String, Value> {
    Map::from_iter([(INT_OR_STRING.to_owned(), json!(true))])
}

/// Copies what is said about a value for people, and its marks. What stands nearer to the field wins.
fn document(result: &mut Map<String, Value>, source: &Map<String, Value>) {
    for (keyword, value) in source {
        match keyword.as_str() {
            "description" | "examples" | "writeOnly" | "readOnly" | "deprecated" => {
                result.insert(keyword.clone(), value.clone());
            }
            // Empty defaults say no more than "optional", and would be written into every object.
            "default" if !is_empty(value) => {
                result.insert(keyword.clone(), value.clone());
            }
            _ if keyword.starts_with("x-") => {
                result.insert(keyword.clone(), value.clone());
            }
            _ => {}
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Object(_) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// Variants that are all text: their values together, described one by one.
fn strings(variants: &[Map<String, Value>]) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("type".to_owned(), json!("string"));
    let values: Option<Vec<Vec<Value>>> = variants
        .iter()
        .map(|variant| variant.get("enum").and_then(Value::as_array).cloned())
        .collect();
    let Some(values) = values else { return result };
    let mut lines = Vec::new();
    for variant in variants {
        let text = variant.get("description").and_then(Value::as_str);
        let value = variant
            .get("enum")
            .and_then(|values| values.get(0))
            .and_then(Value::as_str);
        if let (Some(text), Some(value)) = (text, value) {
            lines.push(format!("`{value}`: {text}"));
        }
    }
    result.insert("enum".to_owned(), Value::Array(values.concat()));
    if !lines.is_empty() {
        result.insert("description".to_owned(), json!(lines.join("\n")));
    }
    result
}

/// A field that several variants have.
fn same_field(present: Value, other: &Value) -> Value {
    if present == *other {
        return present;
    }
    let both = |keyword: &str| present.get(keyword).zip(other.get(keyword));
    if let Some((Value::String(a), Value::String(b))) = both("type")
        && a == b
    {
        if let Some((Value::Array(a), Value::Array(b))) = both("enum") {
            let mut values = a.clone();
            values.extend(b.iter().filter(|value| !a.contains(value)).cloned());
            let mut merged = present.clone();
            merged["enum"] = Value::Array(values);
            return merged;
        }
        let bare = |value: &Value| {
            let mut value = value.clone();
            if let Some(map) = value.as_object_mut() {
                map.remove("description");
            }
            value
        };
        if bare(&present) == bare(other) {
            return present;
        }
    }
    let mut merged = any();
    if let Some(text) = present.get("description") {
        merged.insert("description".to_owned(), text.clone());
    }
    Value::Object(merged)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null | Value::String(_) => "string",
    }
}
