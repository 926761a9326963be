//! Schemas that are made from Rust types are structural and say what serde reads.
#![allow(missing_docs, dead_code)]

use std::collections::BTreeMap;

use podium_schema::{Schema, from_rust};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A sample.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sample {
    /// How large.
    size: u32,
    optional: Option<String>,
    #[serde(default)]
    list: Vec<Inner>,
    map: BTreeMap<String, i64>,
    mode: Mode,
    described: Described,
    tagged: Tagged,
    external: External,
    untagged: Untagged,
    anything: Value,
    maybe: Option<Inner>,
    maybe_mode: Option<Mode>,
    #[serde(default = "seven")]
    number: i32,
    itself: Option<Box<Recursive>>,
    #[serde(flatten)]
    flat: Flat,
    mixed: Mixed,
    #[schemars(extend("writeOnly" = true))]
    secret: String,
}

fn seven() -> i32 {
    7
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Inner {
    name: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Mode {
    Automatic,
    Review,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Described {
    /// The first.
    One,
    /// The second.
    Two,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Tagged {
    Circle { radius: f64 },
    Square { side: f64, label: Option<String> },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum External {
    Http { path: String },
    Exec(Vec<String>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Mixed {
    Plain,
    Full { a: String },
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Recursive {
    next: Option<Box<Recursive>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Flat {
    flattened: bool,
}

fn sample() -> Value {
    json!({
        "size": 1, "optional": null, "list": [{"name": "a"}], "map": {"a": 1}, "mode": "Review",
        "described": "One", "tagged": {"kind": "square", "side": 2.5}, "external": {"exec": ["a"]},
        "untagged": "x", "anything": {"deep": [1, {"a": null}]}, "maybe": null, "maybeMode": "Automatic",
        "itself": {"next": {"next": null}}, "flattened": true, "mixed": {"Full": {"a": "b"}}, "secret": "s",
    })
}

#[test]
fn is_structural_and_takes_what_serde_takes() {
    let source = from_rust::<Sample>();
    let schema = Schema::parse(&source).unwrap_or_else(|errors| panic!("{errors:#?}\n{source:#}"));
    let mut value = sample();
    assert!(serde_json::from_value::<Sample>(value.clone()).is_ok());
    assert_eq!(schema.validate(&value), []);
    assert_eq!(schema.unknown_fields(&value), []);
    schema.prune(&mut value);
    assert_eq!(value, sample(), "pruning keeps all that serde reads");
    schema.apply_defaults(&mut value);
    assert_eq!(value["number"], 7);
    assert!(serde_json::from_value::<Sample>(value).is_ok());
    assert!(schema.is_sensitive(&["secret"]));
}

#[test]
fn refuses_what_serde_refuses() {
    let source = from_rust::<Sample>();
    let schema = Schema::parse(&source).expect("structural");
    for (field, bad, why) in [
        ("mode", json!("Sometimes"), "not a variant"),
        ("described", json!("Three"), "not a variant"),
        ("tagged", json!({"kind": "square"}), "the side is missing"),
        (
            "tagged",
            json!({"kind": "triangle", "side": 1}),
            "no such variant",
        ),
        (
            "external",
            json!({"http": {"path": "/"}, "exec": []}),
            "two variants at once",
        ),
        ("size", json!(-1), "negative"),
        ("list", json!([{}]), "the name is missing"),
        ("maybe", json!({"name": 1}), "the name is no text"),
        ("untagged", json!(true), "neither number nor text"),
        ("map", json!({"a": "b"}), "the value is no number"),
    ] {
        let mut value = sample();
        value[field] = bad;
        assert!(
            serde_json::from_value::<Sample>(value.clone()).is_err(),
            "{field}: {why} (serde)"
        );
        assert_ne!(schema.validate(&value), [], "{field}: {why}");
    }
}

#[test]
fn carries_the_words_of_the_type() {
    let source = from_rust::<Sample>();
    assert_eq!(source["description"], "A sample.");
    assert_eq!(source["properties"]["size"]["description"], "How large.");
    assert_eq!(source["properties"]["described"]["enum"], json!(["One", "Two"]));
    assert!(
        source["properties"]["described"]["description"]
            .as_str()
            .expect("text")
            .contains("`Two`: The second.")
    );
    assert_eq!(
        source["properties"]["untagged"]["x-kubernetes-int-or-string"],
        true
    );
    for noise in ["$schema", "$defs", "title"] {
        assert!(source.get(noise).is_none(), "{noise}");
    }
}
