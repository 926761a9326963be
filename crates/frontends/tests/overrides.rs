//! Overrides change documents as score-compose does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

use podium_frontends::score::{Override, OverrideError, apply_overrides, parse_property};
use proptest::prelude::*;
use serde_json::{Value, json};

fn applied(document: Value, overrides: &[Override]) -> Result<Value, OverrideError> {
    let mut document = document;
    apply_overrides(&mut document, overrides)?;
    Ok(document)
}

#[test]
fn properties_by_path() {
    let cases = [
        (
            json!({"a": {"b": [{}]}}),
            "a.b.0.c=hello",
            json!({"a": {"b": [{"c": "hello"}]}}),
            "through a list",
        ),
        (
            json!({"a": {"b": [{"c": "x"}]}}),
            "a.b.0.c=",
            json!({"a": {"b": [{}]}}),
            "no value deletes",
        ),
        (json!({"a": 1}), "a=null", json!({}), "null deletes"),
        (
            json!({"a": [{}]}),
            "a.0=hello",
            json!({"a": ["hello"]}),
            "a place in a list",
        ),
        (
            json!({"a": ["hello"]}),
            "a.-1=world",
            json!({"a": ["hello", "world"]}),
            "-1 appends",
        ),
        (
            json!({"a": ["x", "y"]}),
            "a.0=",
            json!({"a": ["y"]}),
            "deleting closes the gap",
        ),
        (
            json!({"a": [[0]]}),
            "a.0.-1=hello",
            json!({"a": [[0, "hello"]]}),
            "appending to a list in a list",
        ),
        (
            json!({}),
            "a.b=hello",
            json!({"a": {"b": "hello"}}),
            "maps on the way are made",
        ),
        (json!({}), r"a.b\.c=1", json!({"a": {"b.c": 1}}), "an escaped dot"),
        (
            json!({}),
            r"a.b\\.c=1",
            json!({"a": {"b\\": {"c": 1}}}),
            "an escaped backslash",
        ),
        (json!({}), "a=x=y", json!({"a": "x=y"}), "the first = separates"),
        (
            json!({}),
            "a=[1, {b: yes}]",
            json!({"a": [1, {"b": "yes"}]}),
            "the value is YAML",
        ),
        (json!({}), "a=\"1\"", json!({"a": "1"}), "quotes make text"),
        (
            json!({"z": 1, "a": 2, "m": 3}),
            "a=",
            json!({"z": 1, "m": 3}),
            "the rest keeps its order",
        ),
    ];
    for (document, flag, expected, reason) in cases {
        let changed = applied(document, &[parse_property(flag).unwrap()]).unwrap();
        assert_eq!(
            serde_json::to_string(&changed).unwrap(),
            serde_json::to_string(&expected).unwrap(),
            "{reason}"
        );
    }
}

#[test]
fn properties_that_do_not_fit_say_why() {
    let cases = [
        (
            json!({"a": []}),
            "a.b=1",
            "cannot set `a.b`: a is a list of 0, so after it comes a place from 0, or -1 to append, not `b`",
        ),
        (
            json!({"a": [0]}),
            "a.2=1",
            "cannot set `a.2`: a is a list of 1, so after it comes a place from 0, or -1 to append, not `2`",
        ),
        (
            json!({"a": [0]}),
            "a.-1=",
            "cannot set `a.-1`: a is a list of 1, so after it comes a place from 0, not `-1`",
        ),
        (
            json!({"a": "x"}),
            "a.b=1",
            "cannot set `a.b`: a is neither a map nor a list",
        ),
        (
            json!({"a": [[]]}),
            "a.0.b.c=1",
            "cannot set `a.0.b.c`: a.0 is a list of 0, so after it comes a place from 0, not `b`",
        ),
    ];
    for (document, flag, message) in cases {
        let error = applied(document, &[parse_property(flag).unwrap()]).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    for (flag, message) in [
        ("a.b", "`a.b` sets nothing: write path=value, or path= to delete"),
        (
            "=x",
            "the path `` names nothing: write keys separated by dots, at most 64",
        ),
        (
            "a..b=x",
            "the path `a..b` names nothing: write keys separated by dots, at most 64",
        ),
        (
            "a={x",
            "the value for `a` is not YAML: the file is not YAML; put text with special characters in quotes",
        ),
    ] {
        assert_eq!(parse_property(flag).unwrap_err().to_string(), message);
    }
    assert!(
        parse_property(&format!("{}=1", vec!["a"; 65].join("."))).is_err(),
        "depth is bounded"
    );
}

#[test]
fn files_are_merged() {
    let document =
        json!({"a": "42", "b": ["c", "d"], "c": {"d": "42", "e": {"f": "x"}, "g": "other"}, "h": "thing"});
    let patch = json!({"a": "13", "b": [], "c": {"e": {"z": "y"}, "g": null}, "h": {"i": 1, "j": null}});
    let merged = applied(document, &[Override::MergePatchFile(patch)]).unwrap();
    assert_eq!(
        merged,
        json!({"a": "13", "b": [], "c": {"d": "42", "e": {"f": "x", "z": "y"}}, "h": {"i": 1}})
    );
}

#[test]
fn an_image_fills_in_where_it_was_left_open() {
    let document = json!({"containers": {"a": {"image": "."}, "b": {"image": "x"}, "c": 1}});
    let filled = applied(document, &[Override::Image("new:1".to_owned())]).unwrap();
    assert_eq!(
        filled,
        json!({"containers": {"a": {"image": "new:1"}, "b": {"image": "x"}, "c": 1}})
    );
}

#[test]
fn the_order_counts_and_an_error_changes_nothing() {
    let mut document = json!({"a": "x"});
    let overrides = [parse_property("b=1").unwrap(), parse_property("a.c=1").unwrap()];
    assert!(apply_overrides(&mut document, &overrides).is_err());
    assert_eq!(
        document,
        json!({"a": "x"}),
        "the first override was not kept either"
    );
    let both = [
        parse_property("b=1").unwrap(),
        Override::MergePatchFile(json!({"b": 2})),
    ];
    assert_eq!(applied(document, &both).unwrap(), json!({"a": "x", "b": 2}));
}

#[test]
fn they_are_stored_as_json() {
    let cases = [
        (Override::Image("x".to_owned()), json!({"image": "x"})),
        (
            parse_property("a.b=1").unwrap(),
            json!({"property": {"path": "a.b", "value": 1}}),
        ),
        (
            parse_property("a.b=").unwrap(),
            json!({"property": {"path": "a.b"}}),
        ),
        (
            Override::MergePatchFile(json!({"containers": {}})),
            json!({"containers": {}}),
        ),
    ];
    for (one, expected) in cases {
        let stored = serde_json::to_value(&one).unwrap();
        assert_eq!(stored, expected);
        assert_eq!(serde_json::from_value::<Override>(stored).unwrap(), one);
    }
}

proptest! {
    #[test]
    fn no_flag_makes_them_panic(flag in r"([ab01.=\\-]|\{|\[|a\.|-1)*") {
        let mut document = json!({"a": {"b": [1, [2], {"a": 1}]}, "b": "x", "0": [0]});
        if let Ok(one) = parse_property(&flag) {
            let _ = apply_overrides(&mut document, &[one]);
        }
    }
}
