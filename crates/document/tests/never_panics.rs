//! No text makes reading panic, and what is read stands where it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

use podium_document::{Document, Limits, Node, NodeValue, Path, Problem, render};
use proptest::prelude::*;

/// Pieces of which YAML is made, so that random texts get beyond the first character.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "|",
        ">",
        "|2-",
        "\"",
        "'",
        "\\",
        "\\n",
        "\\u00e9",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "? ",
        "&x ",
        "*x",
        "!!str ",
        "!t ",
        "<<: ",
        "---\n",
        "...\n",
        "#",
        " ",
        "\t",
        "0644",
        "yes",
        "1e9",
        "~",
        "ö",
        "\u{1f600}",
        "\u{feff}",
        "\r\n",
        "\r",
        "%YAML 1.2\n",
        "${x}",
        "\u{85}",
        "\u{2028}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn check_places(node: &Node, parsed: &podium_document::Parsed) {
    let text = parsed.source.text();
    assert!(
        text.get(node.span.start as usize..node.span.end as usize)
            .is_some(),
        "{:?} of {text:?}",
        node.span
    );
    match &node.value {
        NodeValue::List(items) => items.iter().for_each(|item| check_places(item, parsed)),
        NodeValue::Map(entries) => {
            for entry in entries {
                check_places(&entry.value, parsed);
            }
        }
        _ => {}
    }
}

fn exercise(text: &str) {
    let limits = Limits {
        bytes: 10_000,
        depth: 20,
        nodes: 500,
        alias_nodes: 100,
    };
    match Document::parse_all("a.yaml", text, limits) {
        Ok(parsed) => {
            for document in &parsed.documents {
                check_places(document.root(), &parsed);
                for range in [(0, 1), (1, 3), (0, usize::MAX)] {
                    if let Some(entry) = document.root().entries().first() {
                        let path = Path::root().with(entry.key.name.clone());
                        let found = document.locate(&Problem::error(path, "x").range(range));
                        assert!(!render(&[found], &parsed.source).is_empty());
                    }
                }
            }
        }
        Err(errors) => assert!(!render(&errors, &podium_document::Source::new("a.yaml", text)).is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_pieces_of_yaml(text in yaml_like()) {
        exercise(&text);
    }

    #[test]
    fn on_any_text(text in any::<String>()) {
        exercise(&text);
    }

    #[test]
    fn json_reads_as_json(value in json_value()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let parsed = Document::parse_all("a.json", &text, Limits::default());
        let parsed = parsed.unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        prop_assert_eq!(parsed.documents[0].root().to_json(), value);
    }

    #[test]
    fn a_piece_of_a_quoted_text_is_found_again(before in "[ -~ö]{0,20}", after in "[ -~ö\n]{0,20}") {
        let text = format!("{before}${{x}}{after}");
        let source = format!("k:\n  a: {}\n", serde_json::to_string(&text).unwrap());
        let parsed = Document::parse_all("a.yaml", &source, Limits::default()).unwrap();
        let path: Path = ["k", "a"].into_iter().collect();
        let problem = Problem::error(path, "x").range((before.len(), before.len() + 4));
        let span = parsed.documents[0].locate(&problem).span.unwrap();
        prop_assert_eq!(parsed.source.slice(span), "${x}");
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        "[^\u{0}-\u{1f}\u{7f}-\u{9f}\u{feff}\u{fffe}\u{ffff}]{0,12}".prop_map(Into::into),
    ];
    let nested = scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-z:# -]{0,6}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    // A null alone is an empty document, which is left out; inside a list it is a value.
    nested.prop_map(|value| serde_json::Value::Array(vec![value]))
}
