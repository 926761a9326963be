//! What broken workloads say, as a person sees it: the whole text of each message is held by a snapshot.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

use podium_document::{Document, Limits, render};
use podium_frontends::score::{check, upgrade};

/// Reads, upgrades and checks as client and server do together, and renders what is wrong.
fn said(text: &str) -> String {
    let parsed = Document::parse_all("score.yaml", text, Limits::default());
    let parsed = parsed.unwrap_or_else(|errors| panic!("{errors:#?}"));
    let mut diagnostics = parsed.warnings.clone();
    for document in &parsed.documents {
        let (root, notes) = upgrade(document.root().clone());
        let document = document.with_root(root);
        diagnostics.extend(notes.iter().map(|note| document.locate(note)));
        // The server knows the document only as JSON, and its problems cross the API.
        let problems = serde_json::to_string(&check(&document.root().to_json())).unwrap();
        let problems: Vec<podium_document::Problem> = serde_json::from_str(&problems).unwrap();
        diagnostics.extend(problems.iter().map(|problem| document.locate(problem)));
    }
    render(&diagnostics, &parsed.source)
}

/// A workload with the given container, and what comes after the containers.
fn workload(container: &str, rest: &str) -> String {
    let container: Vec<String> = container.lines().map(|line| format!("    {line}\n")).collect();
    let container = container.concat();
    format!(
        "apiVersion: score.dev/v1b1\nmetadata:\n  name: shop\ncontainers:\n  main:\n    image: shop:1\n{container}{rest}"
    )
}

macro_rules! says {
    ($($name:ident: $text:expr;)*) => {
        $(#[test]
        fn $name() {
            let text: String = $text.into();
            insta::assert_snapshot!(said(&text));
        })*
    };
}

const DB: &str = "resources:\n  database:\n    type: postgres\n  cache:\n    type: redis\n";

says! {
    nothing_of_a_workload: "hello: world\n";
    no_map_at_all: "- just\n- a list\n";
    another_version: workload("", "").replace("v1b1", "v1");
    no_containers: "apiVersion: score.dev/v1b1\nmetadata:\n  name: shop\ncontainers: {}\n";
    names_that_are_none: workload("", "resources:\n  My_DB:\n    type: postgres db\n    id: Shared_One\n").replace("name: shop", "name: Shop");
    a_field_mistyped: workload("varables:\n  A: b\nenviroment: x", "");
    fields_from_elsewhere: workload("env:\n  A: b\nports:\n- 80\nvolumeMounts: []", "kind: Workload\n");
    numbers_where_text_is_needed: workload("variables:\n  PORT: 8080\n  DEBUG: true\n  EMPTY:\nargs: [1, two]", "");
    variables_as_a_list: workload("variables:\n- PORT=8080", "");
    a_command_as_text: workload("command: run --fast", "");
    ports_out_of_range: workload("", "service:\n  ports:\n    web:\n      port: 80800\n      targetPort: \"80\"\n      protocol: tcp\n");
    amounts_without_sense: workload("resources:\n  limits:\n    memory: 1 GB\n    cpu: half", "");
    file_without_content: workload("files:\n  /etc/app.conf:\n    mode: \"0999\"", "");
    file_with_two_contents: workload("files:\n  /etc/app.conf:\n    content: a\n    source: b\n    target: /x", "");
    file_that_is_not_base64: workload("files:\n  /logo.png:\n    binaryContent: not base64!", "");
    probe_without_a_test: workload("livenessProbe: {}\nreadinessProbe:\n  httpGet:\n    port: 80\n    schema: HTTPS", "");
    before_nobody: workload("before:\n  mian:\n    ready: started\n  main:\n    ready: finished", "");
    before_without_probe: workload("before:\n  side:\n    ready: healthy", "  side:\n    image: side:1\n");
    before_each_other: workload("before:\n  side:\n    ready: started", "  side:\n    image: side:1\n    before:\n      last: {ready: complete}\n  last:\n    image: last:1\n    before:\n      main:\n        ready: started\n");
    resource_not_declared: workload("variables:\n  DSN: postgres://${resources.databse.host}/app", DB);
    resource_not_declared_at_all: workload("variables:\n  DSN: \"postgres://${resources.database.host}/app\"", "");
    placeholder_of_the_shell: workload("variables:\n  PATH: /app/bin:${PATH}\n  B: ${resource.cache.url}", DB);
    placeholders_without_sense: workload("variables:\n  A: ${resources}\n  B: ${resources.cache..x}\n  C: ${}\n  D: ${resources.cache.url", DB);
    placeholder_in_a_block: workload("files:\n  /app.conf:\n    content: |\n      [db]\n        url = ${metadata.nmae}\n      [cache]\n        url = ${resources.chache.url}", DB);
    placeholder_in_params: workload("", "resources:\n  route:\n    type: route\n    params:\n      rules:\n      - host: ${resources.dns.host}\n        port: 80\n");
    placeholder_in_a_volume: workload("volumes:\n  /data:\n    source: ${resources.disk}\n    readonly: true", "");
    metadata_that_is_missing: workload("variables:\n  A: ${metadata.annotations.team}\n  B: ${metadata.labels.x}", "");
    old_forms: workload("files:\n- target: /a\n  content:\n  - one\n  - ${resources.db.x}\nvolumes:\n- target: /v\n  source: v\n  read_only: true", "");
    old_forms_that_cannot_be_read: workload("files:\n- content: a\n- target: /b\n  content: b\n- target: /b\n  content: c", "");
    mistakes_of_two_documents: format!("{}---\n{}", workload("imag: x", ""), workload("args: x", ""));
}

#[test]
fn many_mistakes_are_bounded() {
    let variables: Vec<String> = (0..500)
        .map(|number| format!("  V{number}: {number}\n"))
        .collect();
    let variables = variables.concat();
    let document = Document::parse_all(
        "a",
        &workload(&format!("variables:\n{variables}"), ""),
        Limits::default(),
    );
    let problems = check(&document.unwrap().documents[0].root().to_json());
    assert_eq!(problems.len(), 101);
    assert_eq!(
        problems[100].message,
        "there are more than 100 problems; the rest is not shown"
    );
}
