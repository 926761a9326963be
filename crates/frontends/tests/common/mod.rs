//! Documents that several tests use.

#![allow(dead_code)] // each test uses some of them

use std::path::{Path, PathBuf};

use podium_document::{Document, Limits};
use serde_json::Value;

/// Score's own documents and the schema.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/score")
}

/// Every Score document among the fixtures, with its path.
pub(crate) fn score_documents() -> Vec<(String, Value)> {
    let mut files = Vec::new();
    collect(&fixtures(), &mut files);
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(fixtures()).unwrap().display().to_string();
        for document in read(&name, &text) {
            if document.get("apiVersion").is_some() {
                documents.push((name.clone(), document));
            }
        }
    }
    assert!(
        documents.len() >= 17,
        "the fixtures are there: {}",
        documents.len()
    );
    documents
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}

/// The documents of a text, as JSON.
pub(crate) fn read(name: &str, text: &str) -> Vec<Value> {
    let parsed = Document::parse_all(name, text, Limits::default());
    let parsed = parsed.unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
    parsed
        .documents
        .iter()
        .map(|document| document.root().to_json())
        .collect()
}

/// The only document of a text, as JSON.
pub(crate) fn yaml(text: &str) -> Value {
    let mut documents = read("test.yaml", text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// A workload that uses every field of the format.
pub(crate) fn everything() -> Value {
    yaml(
        r#"
apiVersion: score.dev/v1b1
metadata:
  name: every-thing
  team: {lead: ann, size: 3}
  annotations: {ab.example.com/key: value, plain.key: other}
containers:
  main:
    image: main:1
    command: [run]
    args: ["--x", "$${x}"]
    variables: {DSN: "${resources.db.host}:$${x}", "odd key": "${metadata.name}"}
    files:
      /a: {content: "a ${metadata.team}", mode: "0644"}
      /b: {binaryContent: aGVsbG8=, noExpand: false}
      /c: {source: c.txt, noExpand: true}
    volumes:
      /data: {source: "${resources.disk}", path: sub, readOnly: true}
    resources:
      limits: {memory: 1.5Gi, cpu: 500m}
      requests: {memory: "128", cpu: "0.5"}
    livenessProbe:
      httpGet: {port: 80, path: /, host: h, scheme: HTTPS, httpHeaders: [{name: X-Y, value: z}]}
    readinessProbe:
      exec: {command: [check, it]}
    before: {side: {ready: healthy}}
  side:
    image: .
    files:
    - {target: /x, content: x}
    - {target: /y, source: y}
    volumes:
    - {target: /v, source: v}
    livenessProbe:
      httpGet: {port: 80, path: /}
      exec: {command: []}
service:
  ports:
    web: {port: 8080, protocol: TCP, targetPort: 80}
    dns: {port: 53, protocol: UDP}
resources:
  db: {type: postgres, class: large, id: shared.orders-db, metadata: {annotations: {ab: c}, x: 1}, params: {size: 1, at: "${resources.disk.zone}"}}
  disk: {type: volume}
"#,
    )
}
