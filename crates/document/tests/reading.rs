//! What is read from texts, and where it is found again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

use podium_document::{Diagnostic, Document, Limits, Parsed, Path, PathSegment, Problem, Severity, render};
use serde_json::{Value, json};

fn read(text: &str) -> Parsed {
    Document::parse_all("a.yaml", text, Limits::default())
        .unwrap_or_else(|errors| panic!("{text:?} is refused: {errors:#?}"))
}

fn values(text: &str) -> Vec<Value> {
    read(text)
        .documents
        .iter()
        .map(|document| document.root().to_json())
        .collect()
}

fn refused(text: &str, limits: Limits) -> Vec<Diagnostic> {
    Document::parse_all("a.yaml", text, limits).expect_err(text)
}

fn path(segments: &[&str]) -> Path {
    segments
        .iter()
        .map(|segment| {
            segment
                .parse()
                .map_or_else(|_| PathSegment::from(*segment), PathSegment::Index)
        })
        .collect()
}

#[test]
fn values_of_documents() {
    let cases: [(&str, Value, &str); 14] = [
        ("a: 1\n---\nb: 2\n", json!([{"a": 1}, {"b": 2}]), "two documents"),
        ("---\n---\n# nothing\n", json!([]), "empty documents are left out"),
        (
            "--- null\n",
            json!([null]),
            "a null that is written is a document",
        ),
        ("", json!([]), "an empty file holds none"),
        (
            "{\"a\": [1, true, null, \"x\\u00e9\"]}",
            json!([{"a": [1, true, null, "xé"]}]),
            "JSON is YAML",
        ),
        (
            "\u{feff}a: ö\nb: x\n",
            json!([{"a": "ö", "b": "x"}]),
            "a byte order mark is skipped",
        ),
        (
            "a: &x {p: 1}\nb: *x\n",
            json!([{"a": {"p": 1}, "b": {"p": 1}}]),
            "an alias repeats its anchor",
        ),
        (
            "base: &b {p: 1, q: 2}\nc:\n  <<: *b\n  q: 3\n",
            json!([{"base": {"p": 1, "q": 2}, "c": {"p": 1, "q": 3}}]),
            "a map's own key wins over a merged one",
        ),
        (
            "- &a {p: 1}\n- &b {p: 2, r: 3}\n- <<: [*a, *b]\n",
            json!([[{"p": 1}, {"p": 2, "r": 3}, {"p": 1, "r": 3}]]),
            "of several merged maps the first wins",
        ),
        (
            "\"<<\": 1\n",
            json!([{"<<": 1}]),
            "a quoted << is an ordinary key",
        ),
        (
            "a: !!str 12\nb: ! 3\nc: !!int \"4\"\n",
            json!([{"a": "12", "b": "3", "c": 4}]),
            "tags of the core schema",
        ),
        (
            "a: |\n  x\n  y\nb: >\n  x\n  y\n",
            json!([{"a": "x\ny\n", "b": "x y\n"}]),
            "blocks",
        ),
        (
            "a:\nb: ''\n",
            json!([{"a": null, "b": ""}]),
            "no text is null, empty quotes are text",
        ),
        ("true: 1\n", json!("refused"), "a boolean is no key"),
    ];
    for (text, expected, reason) in cases {
        if expected == json!("refused") {
            refused(text, Limits::default());
        } else {
            assert_eq!(Value::Array(values(text)), expected, "{reason}");
        }
    }
}

#[test]
fn keys_keep_the_order_of_the_document() {
    assert_eq!(
        serde_json::to_string(&values("z: 1\na: 2\nm: 3\n")[0]).unwrap(),
        r#"{"z":1,"a":2,"m":3}"#
    );
}

#[test]
fn every_value_and_key_has_its_place() {
    let text = "\u{feff}# ö\nmeta:\n  näme: \"a\\nb\"   # comment\nlist:\n- x: 1\n  y: [2, 'three']\n- >-\n  folded\n\n\nend:\n";
    let parsed = read(text);
    let root = parsed.documents[0].root();
    let place = |segments: &[&str]| {
        let span = root.at(&path(segments).0).unwrap().span;
        (parsed.source.slice(span).to_owned(), span.line, span.column)
    };
    assert_eq!(
        place(&["meta", "näme"]),
        ("\"a\\nb\"".to_owned(), 3, 9),
        "a comment is no part of the value"
    );
    assert_eq!(place(&["list", "0", "y"]), ("[2, 'three']".to_owned(), 6, 6));
    assert_eq!(place(&["list", "0", "y", "1"]), ("'three'".to_owned(), 6, 10));
    assert_eq!(
        place(&["list", "1"]),
        ("folded".to_owned(), 8, 3),
        "empty lines after a block are not its"
    );
    assert_eq!(
        place(&["list"]).0,
        "x: 1\n  y: [2, 'three']\n- >-\n  folded",
        "a block ends with its last value"
    );
    assert_eq!(
        place(&["end"]),
        (String::new(), 11, 4),
        "nothing stands behind its key"
    );
    let key = root.key_span(&path(&["meta", "näme"]).0).unwrap();
    assert_eq!(
        (parsed.source.slice(key), key.line, key.column, key.end_column),
        ("näme", 3, 3, 7)
    );
}

#[test]
fn long_texts_of_any_width_are_placed() {
    for filler in ["x", "ö", "\u{1f600}"] {
        let text = format!("a: '{}'\nb: {{c: target}}\n", filler.repeat(1000));
        let parsed = read(&text);
        let span = parsed.documents[0].root().at(&path(&["b", "c"]).0).unwrap().span;
        assert_eq!(parsed.source.slice(span), "target", "{filler}");
        assert_eq!((span.line, span.column), (2, 8));
    }
}

/// The source text marked for the first `needle` inside the value of `a`.
fn marked(text: &str, needle: &str) -> String {
    let parsed = read(text);
    let document = &parsed.documents[0];
    let decoded = document
        .root()
        .get("a")
        .and_then(|node| node.as_text())
        .expect("a text");
    let start = decoded
        .find(needle)
        .unwrap_or_else(|| panic!("{needle} is in {decoded:?}"));
    let problem = Problem::error(path(&["a"]), "x").range((start, start + needle.len()));
    let span = document.locate(&problem).span.unwrap();
    format!("{}:{} {}", span.line, span.column, parsed.source.slice(span))
}

#[test]
fn places_inside_scalars() {
    let cases = [
        ("a: one ${x} two\n", "${x}", "1:8 ${x}", "plain"),
        ("a: one\n  two ${x}\n", "${x}", "2:7 ${x}", "plain over two lines"),
        (
            "a: one\n\n\n  two ${x}\n",
            "${x}",
            "4:7 ${x}",
            "plain with empty lines",
        ),
        (
            "a: &name !!str one ${x}\n",
            "${x}",
            "1:20 ${x}",
            "after an anchor and a tag",
        ),
        (
            "a: 'it''s ${x}'\n",
            "${x}",
            "1:11 ${x}",
            "single quotes with an escaped one",
        ),
        (
            "a: \"t\\tu\\u00e9\\x41 ${x}\"\n",
            "${x}",
            "1:20 ${x}",
            "double quotes with escapes",
        ),
        (
            "a: \"one\n  two \\\n  th${x}\"\n",
            "${x}",
            "3:5 ${x}",
            "double quotes with an escaped line end",
        ),
        (
            "a: \"\\u0024{x}\"\n",
            "${x}",
            "1:5 \\u0024{x}",
            "an escape inside what is marked",
        ),
        ("a: |\n  one\n  two ${x}\n", "${x}", "3:7 ${x}", "a literal block"),
        (
            "a: |\n  one\n\n    two ${x}\n  z\n",
            "${x}",
            "4:9 ${x}",
            "further indentation is content",
        ),
        (
            "a: |2-\n    one ${x}\n  z\n",
            "${x}",
            "2:9 ${x}",
            "a given indentation",
        ),
        (
            "a: |\r\n  one\r\n  two ${x}\r\n",
            "${x}",
            "3:7 ${x}",
            "line ends of Windows",
        ),
        (
            "a: >\n  one\n  two\n\n  three ${x}\n",
            "${x}",
            "5:9 ${x}",
            "a folded block",
        ),
        (
            "a: >-\n  one\n    two\n    more\n  ${x}\n",
            "${x}",
            "5:3 ${x}",
            "folded with lines indented further",
        ),
        (
            "a: |\n\n\n  ${x}\n",
            "${x}",
            "4:3 ${x}",
            "empty lines before the first",
        ),
        (
            "a: &n |\n\n  one\n  ${x}\n",
            "${x}",
            "4:3 ${x}",
            "a block with an anchor",
        ),
        (
            "a: |\n  | ${x}\n",
            "${x}",
            "2:5 ${x}",
            "content that looks like a header",
        ),
        ("a: ö ${x}\n", "${x}", "1:6 ${x}", "columns count characters"),
    ];
    for (text, needle, expected, reason) in cases {
        assert_eq!(marked(text, needle), expected, "{reason}");
    }
}

#[test]
fn problems_are_placed_where_a_person_looks() {
    let text = "meta:\n  name: x\n  tags:\n  - one\n  - two\ncopy: &c {p: q}\nalias: *c\nempty:\n";
    let parsed = read(text);
    let document = &parsed.documents[0];
    let place = |problem: Problem| {
        let span = document.locate(&problem).span.unwrap();
        (span.line, parsed.source.slice(span).to_owned())
    };
    let error = |segments: &[&str]| Problem::error(path(segments), "x");
    let cases = [
        (error(&["meta", "name"]), 2, "x", "a scalar itself"),
        (
            error(&["meta", "name"]).on_key(),
            2,
            "name",
            "its key when that is meant",
        ),
        (
            error(&["meta", "tags"]),
            3,
            "tags",
            "the key of a list of several lines",
        ),
        (error(&["meta", "tags", "1"]), 5, "two", "an item"),
        (
            error(&["meta", "none", "deeper"]),
            1,
            "meta",
            "the nearest that exists",
        ),
        (
            error(&["alias", "p"]),
            6,
            "q",
            "what an alias repeats is where it is written",
        ),
        (error(&["alias"]), 7, "*c", "the alias itself"),
        (error(&["empty"]), 8, "empty", "nothing has no place, so its key"),
        (error(&[]), 1, "meta", "the root is its first key"),
        (
            error(&["meta", "name"]).range((5, 9)),
            2,
            "x",
            "a range that does not fit falls back",
        ),
    ];
    for (problem, line, marked, reason) in cases {
        assert_eq!(place(problem), (line, marked.to_owned()), "{reason}");
    }
}

#[test]
fn a_problem_finds_its_document_by_name() {
    let parsed = read("metadata: {name: one}\n---\nmetadata: {name: two}\nx: 1\n");
    let named = |name: &str| Problem::error(path(&["x"]), "wrong").in_document(name);
    let found = podium_document::locate_among(&named("two"), &parsed.documents);
    assert_eq!(found.span.unwrap().line, 4);
    let missing = podium_document::locate_among(&named("three"), &parsed.documents);
    assert_eq!(
        (missing.span, missing.help.as_slice()),
        (None, ["the place is x".to_owned()].as_slice())
    );
    let ambiguous = podium_document::locate_among(&Problem::error(path(&["x"]), "wrong"), &parsed.documents);
    assert_eq!(ambiguous.span, None, "without a name none of several is meant");
}

#[test]
fn problems_and_diagnostics_cross_the_api() {
    let problem = Problem::warning(path(&["a", "0"]), "odd")
        .range((1, 2))
        .label("here")
        .help("mend it");
    let json = serde_json::to_value(&problem).unwrap();
    assert_eq!(
        json,
        json!({"severity": "warning", "path": ["a", 0], "range": [1, 2], "message": "odd", "label": "here",
            "help": ["mend it"]})
    );
    assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    assert_eq!(
        serde_json::from_value::<Problem>(json!({"message": "m"}))
            .unwrap()
            .severity,
        Severity::Error
    );
    let diagnostic = refused("a: 1\na: 2\n", Limits::default()).remove(0);
    let back = serde_json::from_value(serde_json::to_value(&diagnostic).unwrap()).unwrap();
    assert_eq!(diagnostic, back);
}

#[test]
fn limits_refuse_before_they_cost() {
    let limits = Limits {
        bytes: 1000,
        depth: 5,
        nodes: 50,
        alias_nodes: 20,
    };
    let cases = [
        (
            "x".repeat(1001),
            "the file has 1001 bytes, more than the 1000 that are read",
            "size",
        ),
        (
            "[".repeat(6),
            "values are nested more than 5 levels deep",
            "depth of lists",
        ),
        (
            "- ".repeat(100),
            "values are nested more than 5 levels deep",
            "depth of blocks",
        ),
        (
            "[".repeat(300),
            "the file is not YAML",
            "deeper than the parser itself goes, which looks ahead",
        ),
        (
            "- a\n".repeat(60),
            "the file holds more than 50 keys and values",
            "number of values",
        ),
        (
            "a: &a [x, x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n".to_owned(),
            "anchors and aliases repeat too much",
            "what aliases expand to",
        ),
        (
            "a: &a [[[1]]]\nb: [[*a]]\n".to_owned(),
            "values are nested more than 5 levels deep by this alias",
            "depth",
        ),
        (
            "a: &a [*a]\n".to_owned(),
            "the alias stands inside what its own anchor names, or in another document",
            "loop",
        ),
    ];
    for (text, message, reason) in cases {
        let errors = refused(&text, limits);
        assert_eq!(
            errors.last().map(|error| error.message.as_str()),
            Some(message),
            "{reason}"
        );
    }
}

#[test]
fn a_laugh_a_billion_times_over_costs_little() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let list = vec![format!("*a{}", level - 1); 9].join(", ");
        text = format!("{text}a{level}: &a{level} [{list}]\n");
    }
    let errors = refused(&text, Limits::default());
    assert_eq!(errors[0].message, "anchors and aliases repeat too much");
    assert_eq!(
        errors[0].span.unwrap().line,
        5,
        "the line that passes the limit is named"
    );
    let long = format!(
        "a: &a '{}'\nb: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*a"; 100].join(", ")
    );
    assert_eq!(
        refused(&long, Limits::default())[0].message,
        "anchors and aliases repeat too much",
        "bytes count too"
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let error =
        Document::parse_all_bytes("a.yaml", b"a: 1\nb: \xff\n", Limits::default()).expect_err("not UTF-8");
    assert_eq!(error[0].message, "line 2 is not UTF-8 text");
    let errors = refused("a: \u{0}b\n", Limits::default());
    assert_eq!(errors[0].label.as_deref(), Some("character U+0000"));
}

#[test]
fn words_that_are_booleans_elsewhere_are_warned_of_as_values_only() {
    let parsed = read("on: yes\nquoted: 'no'\n");
    assert_eq!(
        parsed.documents[0].root().to_json(),
        json!({"on": "yes", "quoted": "no"})
    );
    let lines: Vec<_> = parsed
        .warnings
        .iter()
        .map(|warning| warning.span.unwrap().column)
        .collect();
    assert_eq!(lines, [5], "one warning, at the value");
}

fn rendered(text: &str) -> String {
    let errors = refused(text, Limits::default());
    render(&errors, &podium_document::Source::new("a.yaml", text))
}

#[test]
fn what_refused_documents_say() {
    insta::assert_snapshot!(
        "key_twice",
        rendered("metadata:\n  name: a\n  label: b\n  name: c\n")
    );
    insta::assert_snapshot!(
        "several_mistakes",
        rendered("1: a\nb: 0644\nc: yes\nd: .inf\ne: !Ref x\nf: &x {a: *x}\n")
    );
    insta::assert_snapshot!("tab", rendered("a:\n\tb: 1\n"));
    insta::assert_snapshot!("colon", rendered("a: b: c\n"));
    insta::assert_snapshot!("at_sign", rendered("a: @home\n"));
    insta::assert_snapshot!("unclosed", rendered("a: [1, 2\nb: 3\n"));
    insta::assert_snapshot!("merge_of_text", rendered("a:\n  <<: text\n"));
    insta::assert_snapshot!("surrogates", rendered("{\"a\": \"\\ud83d\\ude00\"}"));
    insta::assert_snapshot!(
        "long_line",
        rendered(&format!(
            "{{\"a\": \"{}\", \"a\": \"{}\"}}",
            "x".repeat(300),
            "y".repeat(200)
        ))
    );
    insta::assert_snapshot!(
        "hostile",
        rendered("a: \"\u{202e}evil\u{9b}31m\"\na: 1\n? [x]\n: 2\n")
    );
}
