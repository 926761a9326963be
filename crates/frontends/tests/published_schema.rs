//! The hand-written structure checks give the verdict of the published JSON schema, document by document.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

mod common;

use jsonschema::Validator;
use podium_frontends::score::{check_structure, upgrade_json};
use proptest::prelude::*;
use serde_json::{Value, json};

fn schema() -> Validator {
    let text = std::fs::read_to_string(common::fixtures().join("schema/score-v1b1.json")).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn bases() -> Vec<Value> {
    let mut bases = vec![common::everything(), upgrade_json(common::everything())];
    bases.extend(
        common::score_documents()
            .into_iter()
            .map(|(_, document)| document),
    );
    bases
}

#[test]
fn all_published_documents_are_valid() {
    let schema = schema();
    for (name, document) in common::score_documents() {
        assert!(schema.is_valid(&document), "{name}");
        assert_eq!(check_structure(&document), [], "{name}");
    }
    assert!(
        schema.is_valid(&common::everything()),
        "the document that uses every field is one"
    );
}

/// Values and keys at the edges of what is allowed anywhere.
fn replacements() -> Vec<Value> {
    let texts = [
        "",
        "x",
        "ab",
        "a-b",
        "a_b",
        "-ab",
        "ab-",
        "AB",
        "a.b",
        "a..b",
        "a-.b",
        "ö",
        "a b",
        "a=b",
        "0",
        "00",
        "0.5",
        ".5",
        "5.",
        "01",
        "1.5Gi",
        "1Gi",
        "1g",
        "1Ki",
        "1i",
        "Gi",
        "0Gi",
        "0.0K",
        "1.K",
        "500m",
        "0.5m",
        "m",
        "1.5m",
        "0644",
        "644",
        "00644",
        "0844",
        "64",
        "TCP",
        "tcp",
        "HTTP",
        "HTTPS",
        "healthy",
        "Healthy",
        "complete",
        "score.dev/v1b1",
        "score.dev/v1b2",
        "a/b",
        "aa/bb",
        "aa.bb/Cc_d.e",
        "aa.b/cc",
        "/cc",
        "aa/",
        "aa/bb/cc",
        "X-Y",
        "X Y",
        "\n",
        "a\n",
    ];
    let mut values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    for length in [62, 63, 64, 253, 316, 317] {
        values.push(json!("a".repeat(length)));
    }
    values.push(json!(format!(
        "{}/{}",
        vec!["a".repeat(62); 4].join("."),
        "b".repeat(63)
    )));
    values.extend([
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(65535),
        json!(65536),
        json!(80.0),
        json!(80.5),
        json!(1e30),
        json!([]),
        json!({}),
        json!(["x"]),
        json!([1]),
        json!([{}]),
        json!({"x": "y"}),
        json!({"ab": {"image": "x"}}),
        json!({"port": 1}),
        json!([{"content": "x"}]),
        json!({"/x": {"content": "x"}}),
        json!({"ab": {"ready": "started"}}),
        json!({"ready": "started", "x": 1}),
        json!({"target": "x"}),
    ]);
    values
}

const FIELDS: [&str; 14] = [
    "target",
    "source",
    "content",
    "binaryContent",
    "exec",
    "httpGet",
    "command",
    "ports",
    "image",
    "annotations",
    "x",
    "id",
    "read_only",
    "env",
];

/// Calls `visit` with every way to change one place of a document.
fn each_mutation(base: &Value, visit: &mut dyn FnMut(&Value, &str)) {
    let replacements = replacements();
    for pointer in pointers(base) {
        for value in &replacements {
            let mut changed = base.clone();
            *changed.pointer_mut(&pointer).unwrap() = value.clone();
            visit(&changed, &format!("{pointer} = {value}"));
        }
        let Some(map) = base.pointer(&pointer).unwrap().as_object() else {
            continue;
        };
        for key in map.keys() {
            let mut changed = base.clone();
            changed
                .pointer_mut(&pointer)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(key);
            visit(&changed, &format!("{pointer} without {key}"));
            for new in replacements.iter().filter_map(Value::as_str) {
                let mut changed = base.clone();
                let map = changed.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
                let value = map.remove(key).unwrap();
                map.insert(new.to_owned(), value);
                visit(&changed, &format!("{pointer}: {key} renamed to {new:?}"));
            }
        }
        for field in FIELDS {
            let mut changed = base.clone();
            let map = changed.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
            map.entry(field).or_insert_with(|| json!("x"));
            visit(&changed, &format!("{pointer} with {field}"));
        }
    }
}

fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        found.extend(pointers(child).into_iter().map(|rest| format!("/{step}{rest}")));
    }
    found
}

#[test]
fn every_change_of_one_place_has_the_same_verdict() {
    let schema = schema();
    let (mut valid, mut invalid) = (0, 0);
    for base in [common::everything(), upgrade_json(common::everything())] {
        each_mutation(&base, &mut |document, change| {
            let expected = schema.is_valid(document);
            let problems = check_structure(document);
            assert_eq!(problems.is_empty(), expected, "{change}: {problems:#?}");
            if expected {
                valid += 1;
            } else {
                invalid += 1;
            }
        });
    }
    assert!(
        valid > 1_000 && invalid > 10_000,
        "the changes reach both verdicts: {valid}, {invalid}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn several_changes_have_the_same_verdict(
        base in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3u8), 1..4),
    ) {
        thread_local!(static SHARED: (Validator, Vec<Value>, Vec<Value>) = (schema(), bases(), replacements()));
        SHARED.with(|(schema, bases, replacements)| {
            let mut document = base.get(bases).clone();
            for (place, value, kind) in &changes {
                let pointers = pointers(&document);
                let pointer = place.get(&pointers);
                let value = value.get(replacements).clone();
                let target = document.pointer_mut(pointer).unwrap();
                match (kind, target) {
                    (0, Value::Object(map)) => {
                        let key = place.get(&FIELDS);
                        map.insert((*key).to_owned(), value);
                    }
                    (1, Value::Object(map)) if !map.is_empty() => {
                        let key = map.keys().nth(place.index(map.len())).unwrap().clone();
                        map.remove(&key);
                    }
                    (_, target) => *target = value,
                }
            }
            let problems = check_structure(&document);
            prop_assert_eq!(problems.is_empty(), schema.is_valid(&document), "{} {:#?}", document, problems);
            Ok(())
        })?;
    }
}
