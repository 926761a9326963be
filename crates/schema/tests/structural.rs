//! What a schema may say, what it finds wrong in a value, and what it does to one.
#![allow(missing_docs, clippy::panic)]

use podium_schema::{Schema, ViolationKind, limits, render_path};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(source: &Value) -> Schema {
    Schema::parse(source).unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[test]
fn refuses_what_is_not_structural() {
    let deep = (0..limits::DEPTH + 5).fold(
        json!({"type": "string"}),
        |inner, _| json!({"type": "array", "items": inner}),
    );
    for (source, at, says, why) in [
        (json!(true), "", "must be a schema", "not an object"),
        (json!({}), "", "must have a type", "no type"),
        (json!({"type": "text"}), "type", "must be one of", "no such type"),
        (
            json!({"type": ["string", "null"]}),
            "type",
            "nullable: true",
            "a list of types",
        ),
        (json!({"$ref": "#/a"}), "$ref", "references", "a reference"),
        (
            json!({"type": "string", "minLenght": 1}),
            "minLenght",
            "did you mean `minLength`?",
            "misspelt",
        ),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            "properties.a",
            "must have a type",
            "a field without type",
        ),
        (json!({"type": "array"}), "", "add items", "a list without items"),
        (
            json!({"type": "string", "properties": {}}),
            "properties",
            "only an object",
            "fields of text",
        ),
        (
            json!({"type": "string", "pattern": "(?=a)"}),
            "pattern",
            "linear time",
            "look-around",
        ),
        (
            json!({"type": "string", "pattern": "((a{1000}){1000}){10}"}),
            "pattern",
            "too large",
            "explodes",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true}),
            "additionalProperties",
            "cannot stand beside",
            "open and closed at once",
        ),
        (
            json!({"type": "object", "anyOf": [{"type": "object"}]}),
            "anyOf[0].type",
            "must not be set inside",
            "a type inside",
        ),
        (
            json!({"type": "object", "oneOf": [{"properties": {"b": {"minimum": 1}}}]}),
            "",
            "must be declared outside",
            "a field inside only",
        ),
        (
            json!({"type": "object", "not": {"default": 1}}),
            "not.default",
            "must not be set inside",
            "a default inside",
        ),
        (
            json!({"type": "integer", "default": "a"}),
            "default",
            "does not satisfy",
            "a bad default",
        ),
        (
            json!({"type": "string", "writeOnly": true, "x-podium-identity": true}),
            "x-podium-identity",
            "never a secret",
            "a secret name",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}),
            "x-kubernetes-list-map-keys",
            "needs the keys",
            "a map without keys",
        ),
        (
            json!({"type": "string", "enum": []}),
            "enum",
            "at least one",
            "nothing is taken",
        ),
        (
            json!({"type": "string", "minLength": -1}),
            "minLength",
            "at least 0",
            "a negative length",
        ),
    ] {
        let errors = Schema::parse(&source).expect_err(why);
        let found = errors
            .iter()
            .any(|error| render_path(&error.path) == at && error.message.contains(says));
        assert!(found, "{why}: {errors:?}");
    }
    let errors = Schema::parse(&deep).expect_err("too deep");
    assert!(errors[0].message.contains("nested deeper"), "{errors:?}");
}

#[test]
fn says_what_is_wrong_in_the_words_of_kubernetes() {
    let integer = json!({"type": "integer", "minimum": 1, "maximum": 10});
    for (schema, value, kind, cause, why) in [
        (
            integer.clone(),
            json!(99),
            ViolationKind::Invalid,
            "Invalid value: 99: f in body should be less than or equal to 10",
            "as recorded",
        ),
        (
            integer.clone(),
            json!(0),
            ViolationKind::Invalid,
            "Invalid value: 0: f in body should be greater than or equal to 1",
            "too small",
        ),
        (
            integer,
            json!("two"),
            ViolationKind::Type,
            "Invalid value: \"string\": f in body must be of type integer: \"string\"",
            "as recorded",
        ),
        (
            json!({"type": "string"}),
            json!(null),
            ViolationKind::Type,
            "Invalid value: \"null\": f in body must be of type string: \"null\"",
            "null is no text",
        ),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            ViolationKind::NotSupported,
            "Unsupported value: \"c\": supported values: \"a\", \"b\"",
            "none of these",
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            ViolationKind::Invalid,
            "Invalid value: \"b\": f in body should match '^a+$'",
            "a pattern",
        ),
        (
            json!({"type": "string", "minLength": 3}),
            json!("ab"),
            ViolationKind::Invalid,
            "Invalid value: \"ab\": f in body should be at least 3 chars long",
            "short",
        ),
        (
            json!({"type": "string", "maxLength": 1}),
            json!("ab"),
            ViolationKind::TooLong,
            "Too long: may not be more than 1 bytes",
            "long",
        ),
        (
            json!({"type": "number", "exclusiveMinimum": 0}),
            json!(0),
            ViolationKind::Invalid,
            "Invalid value: 0: f in body should be greater than 0",
            "exclusive by number",
        ),
        (
            json!({"type": "number", "minimum": 0, "exclusiveMinimum": true}),
            json!(0),
            ViolationKind::Invalid,
            "Invalid value: 0: f in body should be greater than 0",
            "exclusive by flag",
        ),
        (
            json!({"type": "number", "multipleOf": 0.1}),
            json!(0.25),
            ViolationKind::Invalid,
            "Invalid value: 0.25: f in body should be a multiple of 0.1",
            "multiple",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
            json!(["a", "b"]),
            ViolationKind::TooMany,
            "Too many: 2: must have at most 1 items",
            "items",
        ),
        (
            json!({"type": "string", "format": "ipv4"}),
            json!("x"),
            ViolationKind::Invalid,
            "Invalid value: \"x\": f in body must be of type ipv4: \"x\"",
            "format",
        ),
        (
            json!({"type": "object", "minProperties": 1}),
            json!({}),
            ViolationKind::Invalid,
            "Invalid value: \"object\": f in body should have at least 1 properties",
            "empty",
        ),
        (
            json!({"type": "string", "const": "a"}),
            json!("b"),
            ViolationKind::NotSupported,
            "Unsupported value: \"b\": supported values: \"a\"",
            "constant",
        ),
        (
            json!({"type": "string", "writeOnly": true, "pattern": "^x"}),
            json!("hunter2"),
            ViolationKind::Invalid,
            "Invalid value: \"(secret)\": f in body should match '^x'",
            "a secret is not shown",
        ),
        (
            json!({"type": "string", "writeOnly": true, "format": "uuid"}),
            json!("hunter2"),
            ViolationKind::Invalid,
            "Invalid value: \"(secret)\": f in body must be of type uuid: \"(secret)\"",
            "nor by its format",
        ),
    ] {
        let schema = parse(&json!({"type": "object", "properties": {"f": schema}}));
        let violations = schema.validate(&json!({"f": value}));
        assert_eq!(violations.len(), 1, "{why}: {violations:?}");
        assert_eq!(violations[0].kind, kind, "{why}");
        assert_eq!(violations[0].cause(), cause, "{why}");
        assert_eq!(violations[0].field(), "f", "{why}");
    }
}

#[test]
fn tells_all_that_is_wrong_at_once() {
    let schema = parse(&json!({
        "type": "object", "required": ["a", "b"],
        "properties": {
            "a": {"type": "string"}, "b": {"type": "string"},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "names": {"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"pattern": "^[a-z]+$"}},
            "either": {"x-kubernetes-int-or-string": true},
            "one": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
                "oneOf": [{"required": ["x"]}, {"required": ["y"]}]},
        },
    }));
    let value = json!({
        "set": ["x", "x"], "map": [{"name": "p"}, {"name": "p"}], "names": {"UP": 1, "low": "2"}, "either": true,
        "one": {"x": "", "y": ""},
    });
    let found: Vec<String> = schema.validate(&value).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "a: Required value",
            "b: Required value",
            "set[1]: Duplicate value: \"x\"",
            "map[1]: Duplicate value: {\"name\":\"p\"}",
            "names.UP: Invalid value: \"UP\": names.UP in body should match '^[a-z]+$'",
            "names.low: Invalid value: \"string\": names.low in body must be of type integer: \"string\"",
            "either: Invalid value: \"boolean\": either in body must be of type integer or string: \"boolean\"",
            "one: Invalid value: \"object\": one in body must validate one and only one schema (oneOf). Found 2 valid alternatives",
        ]
    );
}

#[test]
fn names_unknown_fields_and_drops_them() {
    let schema = parse(&json!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}, "owner": {"type": "string"}}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"closed": {"type": "object", "properties": {}}}},
            "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        },
    }));
    let mut value = json!({
        "spec": {"sise": 2, "ownr": "a", "owner": "b"}, "open": {"x": 1, "closed": {"y": 1}}, "items": [{"name": "a", "z": 1}],
    });
    let found: Vec<String> = schema
        .unknown_fields(&value)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "unknown field \"spec.sise\" (did you mean \"size\"?)",
            "unknown field \"spec.ownr\"",
            "unknown field \"open.closed.y\"",
            "unknown field \"items[0].z\"",
        ],
        "`owner` is there already, so `ownr` did not mean it"
    );
    schema.prune(&mut value);
    schema.apply_defaults(&mut value);
    assert_eq!(
        value,
        json!({
            "spec": {"owner": "b", "size": 1}, "open": {"x": 1, "closed": {}}, "items": [{"name": "a"}],
        })
    );
}

#[test]
fn answers_questions_about_places() {
    let schema = parse(&json!({
        "type": "object",
        "properties": {
            "host": {"type": "string", "x-podium-identity": true},
            "login": {"type": "object", "writeOnly": true, "properties": {"password": {"type": "string"}}},
            "ports": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }));
    assert!(schema.is_identity(&["host"]));
    assert!(!schema.is_identity(&["ports"]));
    assert!(
        schema.is_sensitive(&["login", "password"]),
        "a part of a secret is one"
    );
    assert!(!schema.is_sensitive(&["host"]));
    assert!(schema.root().holds_secrets());
    let name = |path: &[&str]| schema.property(path).map(podium_schema::Node::type_name);
    assert_eq!(name(&["ports", "0", "port"]).as_deref(), Some("integer"));
    assert_eq!(name(&["ports"]).as_deref(), Some("[]object"));
    assert_eq!(name(&["labels"]).as_deref(), Some("map[string]string"));
    assert_eq!(name(&["labels", "any"]).as_deref(), Some("string"));
    assert_eq!(name(&["nowhere"]), None);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-e]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-e]", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "default": "a", "maxLength": 2})),
        Just(json!({"type": "integer", "minimum": 0, "default": 3})),
        Just(json!({"type": "number", "multipleOf": 0.5, "nullable": true})),
        Just(json!({"type": "boolean", "default": true})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!({"x-kubernetes-preserve-unknown-fields": true})),
    ];
    leaf.prop_recursive(3, 30, 4, |inner| {
        prop_oneof![
            (
                prop::collection::btree_map("[a-e]", inner.clone(), 0..4),
                any::<bool>()
            )
                .prop_map(|(fields, open)| {
                    let required: Vec<&String> = fields.keys().take(1).collect();
                    json!({"type": "object", "required": required, "properties": fields,
                    "x-kubernetes-preserve-unknown-fields": open})
                }),
            inner.clone().prop_map(
                |items| json!({"type": "array", "items": items, "maxItems": 3, "uniqueItems": true})
            ),
            inner.prop_map(|values| json!({"type": "object", "additionalProperties": values})),
        ]
    })
}

proptest! {
    #[test]
    fn pruning_twice_changes_no_more(source in any_schema(), value in any_value()) {
        let schema = parse(&source);
        let mut once = value;
        schema.prune(&mut once);
        prop_assert_eq!(schema.unknown_fields(&once), vec![]);
        let mut twice = once.clone();
        schema.prune(&mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn defaults_then_validation_are_deterministic(source in any_schema(), value in any_value()) {
        let schema = parse(&source);
        let (mut left, mut right) = (value.clone(), value);
        schema.apply_defaults(&mut left);
        schema.apply_defaults(&mut right);
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(schema.validate(&left), schema.validate(&right));
        let again = left.clone();
        schema.apply_defaults(&mut left);
        prop_assert_eq!(left, again, "defaults are complete the first time, unless they have defaults of their own");
    }

    #[test]
    fn no_source_panics(source in any_value(), value in any_value()) {
        if let Ok(schema) = Schema::parse(&source) {
            schema.validate(&value);
        }
    }
}
