//! Workloads become requests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

mod common;

use podium_document::{Document, Limits, Problem};
use podium_frontends::score::{
    FileText, Part, Template, WorkloadRequest, check, escape, needs_upgrade, parse, requests, upgrade,
    upgrade_json,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn no_files(_: &str) -> Option<FileText> {
    None
}

fn made_with(
    document: &Value,
    files: &dyn Fn(&str) -> Option<FileText>,
) -> Result<WorkloadRequest, Vec<Problem>> {
    requests(&parse(document)?, files)
}

fn made(document: &Value) -> WorkloadRequest {
    made_with(document, &|source| {
        Some(FileText::Text(format!("text of {source}")))
    })
    .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A template as JSON for people: references as `<name path>`.
fn shown(template: &Template) -> Value {
    match template {
        Template::Null => Value::Null,
        Template::Bool(flag) => json!(flag),
        Template::Number(number) => json!(number),
        Template::List(items) => items.iter().map(shown).collect(),
        Template::Map(map) => shown_map(map),
        Template::Text(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Resource(reference) => format!("<{} {}>", reference.name, reference.path.join("|")),
                Part::Metadata { .. } => panic!("metadata is filled in"),
            })
            .collect::<String>()
            .into(),
    }
}

fn shown_map(map: &std::collections::BTreeMap<String, Template>) -> Value {
    Value::Object(
        map.iter()
            .map(|(key, value)| (key.clone(), shown(value)))
            .collect::<Map<_, _>>(),
    )
}

#[test]
fn every_field_arrives() {
    let request = made(&common::everything());
    assert_eq!(request.coordinate.to_string(), "workload.default#every-thing");
    insta::assert_json_snapshot!(shown_map(&request.params));
    let resources: Value = request
        .resources
        .iter()
        .map(|resource| {
            json!({"alias": resource.alias, "coordinate": resource.coordinate.to_string(), "shared": resource.is_shared,
                "metadata": resource.metadata, "params": resource.params.as_ref().map(shown_map)})
        })
        .collect();
    assert_eq!(
        resources,
        json!([
            {"alias": "db", "coordinate": "postgres.large#shared.orders-db", "shared": true,
                "metadata": {"annotations": {"ab": "c"}, "x": 1}, "params": {"at": "<disk zone>", "size": 1}},
            {"alias": "disk", "coordinate": "volume.default#every-thing.disk", "shared": false,
                "metadata": null, "params": null},
        ]),
        "an id that is given is shared, no params are none and not empty ones"
    );
}

#[test]
fn all_published_documents_become_requests() {
    for (name, document) in common::score_documents() {
        let request = made_with(&document, &|_| Some(FileText::Text(String::new())));
        assert!(request.is_ok(), "{name}: {request:?}");
    }
}

#[test]
fn where_placeholders_count() {
    let document = common::yaml(
        r#"
apiVersion: score.dev/v1b1
metadata: {name: shop, n: 1, map: {a: [1, "x"]}, odd.key: o, sly: "${resources.db.x}"}
containers:
  main:
    image: "${resources.db.x}"
    command: ["$$", "${HOME}"]
    args: ["$${A}"]
    variables: {A: "$${x} $$ $$${metadata.name}", B: "${metadata.n}", C: "${metadata.map}", D: '${metadata.odd\.key}', E: "${metadata.sly}", F: "${resources.db}"}
    files:
      /t: {content: "${metadata.name}"}
      /n: {content: "${nothing}", noExpand: true}
      /s: {source: s}
      /r: {source: r, noExpand: true}
      /b: {source: b}
    volumes: {/v: {source: "${resources.db}"}, /w: {source: plain}, /x: {source: "${resources.db.other}"}}
resources:
  db: {type: x-y, params: {"${x}": ["${metadata.name}", {deep: "$$"}]}}
"#,
    );
    let files = |source: &str| {
        Some(match source {
            "s" => FileText::Text("a ${resources.db.y}".to_owned()),
            "r" => FileText::Text("${raw}".to_owned()),
            _ => FileText::Bytes(vec![0xff, 0]),
        })
    };
    let request = made_with(&document, &files).unwrap();
    let main = shown(&request.params["containers"])["main"].clone();
    let cases = [
        ("/image", json!("${resources.db.x}"), "not in the image"),
        ("/command", json!(["$$", "${HOME}"]), "not in the command"),
        ("/args/0", json!("$${A}"), "not in the arguments"),
        ("/variables/A", json!("${x} $ $shop"), "escapes"),
        ("/variables/B", json!("1"), "a number as JSON"),
        ("/variables/C", json!(r#"{"a":[1,"x"]}"#), "a map as JSON"),
        ("/variables/D", json!("o"), "a key with a dot"),
        (
            "/variables/E",
            json!("${resources.db.x}"),
            "what metadata holds is not looked into again",
        ),
        ("/variables/F", json!("<db >"), "all outputs"),
        ("/files/~1t/content", json!("shop"), "in content"),
        (
            "/files/~1n/content",
            json!("${nothing}"),
            "not where noExpand says so",
        ),
        ("/files/~1s/content", json!("a <db y>"), "in a source file"),
        (
            "/files/~1r/content",
            json!("${raw}"),
            "not in a source file with noExpand",
        ),
        ("/files/~1b/binaryContent", json!("/wA="), "bytes become base64"),
        (
            "/volumes/~1v/source",
            json!("<db source>"),
            "a volume's source is the output `source`",
        ),
        ("/volumes/~1w/source", json!("plain"), "or a text"),
        ("/volumes/~1x/source", json!("<db other>"), "or another output"),
    ];
    for (pointer, expected, reason) in cases {
        assert_eq!(main.pointer(pointer), Some(&expected), "{pointer}: {reason}");
    }
    let params = shown_map(request.resources[0].params.as_ref().unwrap());
    assert_eq!(
        params,
        json!({"${x}": ["shop", {"deep": "$"}]}),
        "deep in params, keys untouched"
    );
}

#[test]
fn problems_of_source_files_name_their_place_there() {
    let document = common::yaml(
        "apiVersion: score.dev/v1b1\nmetadata: {name: shop}\ncontainers:\n  main:\n    image: x\n    files:\n      /a: {source: a.conf}\n      /b: {source: gone}\n",
    );
    let files =
        |source: &str| (source == "a.conf").then(|| FileText::Text("one\n  ${resources.db.x}".to_owned()));
    let problems = made_with(&document, &files).unwrap_err();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.path.to_string(), problem.range, problem.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "containers.main.files[\"/a\"].source".to_owned(),
                None,
                "the workload declares no resource `db`, in a.conf:2:15"
            ),
            (
                "containers.main.files[\"/b\"].source".to_owned(),
                None,
                "the content of `gone` did not come with the document"
            ),
        ]
    );
}

#[test]
fn the_order_of_keys_means_nothing() {
    let first = common::everything();
    let text = serde_json::to_string(&first).unwrap();
    let reversed = reverse(&serde_json::from_str(&text).unwrap());
    assert_ne!(
        text,
        serde_json::to_string(&reversed).unwrap(),
        "the documents differ in order"
    );
    assert_eq!(made(&first), made(&reversed));
}

fn reverse(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .rev()
                .map(|(key, value)| (key.clone(), reverse(value)))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(reverse).collect(),
        other => other.clone(),
    }
}

#[test]
fn old_forms_become_new_ones_and_keep_their_places() {
    let text = "containers:\n  main:\n    files:\n    - target: /a\n      content:\n      - one\n      - 2\n      mode: \"0600\"\n    volumes:\n    - source: s\n      read_only: true\n      target: /v\n";
    let document = Document::parse_all("a", text, Limits::default())
        .unwrap()
        .documents
        .remove(0);
    assert!(needs_upgrade(&document.root().to_json()));
    let (root, notes) = upgrade(document.root().clone());
    let expected = json!({"containers": {"main": {
        "files": {"/a": {"content": "one\n2", "mode": "0600"}},
        "volumes": {"/v": {"source": "s", "readOnly": true}},
    }}});
    assert_eq!(root.to_json(), expected);
    assert_eq!(
        upgrade_json(document.root().to_json()),
        expected,
        "the same without text"
    );
    assert!(!needs_upgrade(&expected));
    assert_eq!(notes.len(), 4);
    let document = document.with_root(root);
    let key = ["containers", "main", "files", "/a"].into_iter().collect();
    let place = document.locate(&Problem::error(key, "x").on_key()).span.unwrap();
    assert_eq!((place.line, document.source().slice(place)), (4, "/a"));
}

#[test]
fn what_is_not_old_is_not_touched() {
    for document in [
        json!(null),
        json!({"containers": []}),
        json!({"containers": {"a": {"files": [1, {"target": 2}]}}}),
    ] {
        assert_eq!(upgrade_json(document.clone()), document);
    }
}

#[test]
fn a_long_chain_and_many_cycles_cost_little() {
    let container = |next: &str| json!({"image": "x", "before": {next: {"ready": "started"}}});
    let mut containers = Map::new();
    for number in 0..20_000 {
        containers.insert(format!("c{number}"), container(&format!("c{}", number + 1)));
    }
    containers.insert("c20000".to_owned(), container("c0"));
    let document =
        json!({"apiVersion": "score.dev/v1b1", "metadata": {"name": "shop"}, "containers": containers});
    let problems = check(&document);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.len() < 200, "{}", problems[0].message);
}

/// The time limit of the fast path, with room for a build without optimisation and a busy machine.
#[test]
fn two_thousand_workloads_are_fast() {
    let documents: Vec<Value> = (0..2000)
        .map(|number| {
            let mut document = upgrade_json(common::everything());
            document["metadata"]["name"] = json!(format!("workload-{number}"));
            document["containers"]["side"]["files"] = json!({});
            document["containers"]["main"]["files"] = json!({"/a": {"content": "a ${metadata.team}"}});
            document
        })
        .collect();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let made: Vec<_> = documents
            .iter()
            .map(|document| made_with(document, &no_files).unwrap())
            .collect();
        let _ = sender.send(made.len());
    });
    let made = receiver
        .recv_timeout(std::time::Duration::from_secs(5))
        .expect("well below the limit");
    assert_eq!(made, 2000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_document_makes_it_panic(document in anything()) {
        let _ = check(&document);
        let _ = made_with(&upgrade_json(document), &no_files);
    }

    #[test]
    fn an_escaped_text_arrives_as_it_was(text in r"([$.{}a ö]|\$\{resources\.db\.x\}|\$\$)*") {
        let mut document = common::everything();
        document["containers"]["main"]["variables"] = json!({"A": escape(&text)});
        let params = made(&document).params;
        let shown = shown(&params["containers"]);
        prop_assert_eq!(shown.pointer("/main/variables/A"), Some(&json!(text)));
    }
}

/// JSON in which the words of the format occur everywhere.
fn anything() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "apiVersion",
        "metadata",
        "name",
        "annotations",
        "containers",
        "main",
        "side",
        "image",
        "variables",
        "files",
        "volumes",
        "content",
        "source",
        "binaryContent",
        "noExpand",
        "target",
        "read_only",
        "before",
        "ready",
        "healthy",
        "resources",
        "type",
        "params",
        "service",
        "ports",
        "port",
        "score.dev/v1b1",
        "${resources.main.x}",
        "${metadata.name}",
        "$${",
        "livenessProbe",
        "httpGet",
        "exec",
        "command",
        "limits",
        "memory",
    ]);
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        words.clone().prop_map(Into::into),
    ];
    scalar.prop_recursive(7, 64, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            4 => prop::collection::vec((words.clone(), inner), 0..6).prop_map(|entries| Value::Object(
                entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}
