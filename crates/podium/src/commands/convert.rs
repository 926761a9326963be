//! `podium convert`: Score files as the objects that kubectl and Argo CD apply.
//!
//! Files that a document names are written into it, so that the object stands alone and no server is needed; with
//! `--upload` they are sent to the server and named by digest, as `deploy` does.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use base64::Engine as _;
use clap::{Args, ValueEnum};
use podium_document::Source;
use podium_model::kinds::{UploadedFile, api_version};
use serde_json::{Map, Value as Json, json};

use crate::cli::Context;
use crate::documents::score::{OverrideArgs, ScoreDocument, load};
use crate::documents::upload::{Contents, contents};
use crate::render::failure::Refusal;
use crate::render::structured;

/// Turn Score files into the objects that kubectl and Argo CD apply.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Score files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Upload files that the documents name, in place of writing them into the object
    #[arg(long)]
    upload: bool,
    /// Format of the answer
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t = ObjectFormat::Yaml)]
    format: ObjectFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ObjectFormat {
    /// Documents, separated by `---`
    Yaml,
    /// One object, or a List
    Json,
}

pub(crate) async fn run(args: &ConvertArgs, context: &Context<'_>) -> Result<ExitCode> {
    let loaded = load(&args.files, &args.overrides)?;
    let terminal = context.terminal;
    if !loaded.warnings.is_empty() {
        terminal.talk(&loaded.warnings());
    }
    let mut read = Vec::new();
    let mut wrong = Vec::new();
    for document in &loaded.documents {
        match contents(document) {
            Ok(contents) => read.push((document, contents)),
            Err(diagnostics) => wrong.extend(diagnostics),
        }
    }
    if !wrong.is_empty() {
        let sources: Vec<&Source> = loaded
            .documents
            .iter()
            .map(|document| document.document.source())
            .collect();
        return Err(Refusal::new(&wrong, &sources).into());
    }
    let namespace = namespace(context);
    let client = if args.upload {
        Some(context.client()?)
    } else {
        None
    };
    let mut objects = Vec::new();
    for (document, contents) in read {
        let spec = match &client {
            Some(client) => {
                let mut files = Map::new();
                for (source, content) in contents {
                    let digest = client.upload(content).await?;
                    files.insert(source, serde_json::to_value(UploadedFile { digest })?);
                }
                spec_with(&document.document.root().to_json(), &document.overrides, files)
            }
            None => inlined(document, &contents),
        };
        objects.push(object(&document.name, namespace.as_deref(), &spec));
    }
    let text = match args.format {
        ObjectFormat::Yaml => {
            let texts = objects.iter().map(structured::yaml).collect::<Result<Vec<_>>>()?;
            texts.join("---\n")
        }
        ObjectFormat::Json => match objects.as_slice() {
            [one] => structured::json(one)?,
            several => structured::json(&json!({"apiVersion": "v1", "kind": "List", "items": several}))?,
        },
    };
    terminal.data(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The namespace of the objects, told offline: `-n`, or the usual one of `-p` and `-e`.
fn namespace(context: &Context<'_>) -> Option<String> {
    let global = &context.global;
    match (&global.namespace, &global.project, &global.environment) {
        (Some(namespace), _, _) => Some(namespace.clone()),
        (None, Some(project), Some(environment)) => Some(format!("{project}-{environment}")),
        _ => None,
    }
}

fn object(name: &str, namespace: Option<&str>, spec: &Json) -> Json {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name));
    if let Some(namespace) = namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    json!({"apiVersion": api_version(), "kind": "Workload", "metadata": metadata, "spec": spec})
}

fn spec_with(score: &Json, overrides: &[Json], files: Map<String, Json>) -> Json {
    let mut spec = json!({"score": score});
    if !overrides.is_empty() {
        spec["overrides"] = json!(overrides);
    }
    if !files.is_empty() {
        spec["files"] = Json::Object(files);
    }
    spec
}

/// The spec with every named file written into it. A file that an override names is written into a last override,
/// since the document itself does not have it.
fn inlined(document: &ScoreDocument, contents: &Contents) -> Json {
    let mut score = document.document.root().to_json();
    let mut overrides = document.overrides.clone();
    let mut last = json!({});
    for file in document.files() {
        let Some(content) = contents.get(&file.source) else {
            continue;
        };
        let (key, value) = match std::str::from_utf8(content) {
            Ok(text) => ("content", text.to_owned()),
            Err(_) => (
                "binaryContent",
                base64::engine::general_purpose::STANDARD.encode(content),
            ),
        };
        let own = score
            .get_mut("containers")
            .and_then(|containers| containers.get_mut(&file.container))
            .and_then(|container| container.get_mut("files"))
            .and_then(|files| files.get_mut(&file.target))
            .and_then(Json::as_object_mut)
            .filter(|own| own.get("source").and_then(Json::as_str) == Some(&file.source));
        if let Some(own) = own {
            own.shift_remove("source");
            own.insert(key.to_owned(), json!(value));
        } else {
            last["containers"][&file.container]["files"][&file.target] = json!({"source": null, key: value});
        }
    }
    if last.as_object().is_some_and(|last| !last.is_empty()) {
        overrides.push(last);
    }
    spec_with(&score, &overrides, Map::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{inlined, object};
    use crate::documents::score::{OverrideArgs, load};
    use crate::documents::upload::contents;

    #[test]
    fn files_are_written_into_the_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("score.yaml");
        std::fs::write(folder.path().join("app.conf"), "host=${resources.db.host}\n").unwrap();
        std::fs::write(folder.path().join("logo"), [0xff, 0xfe]).unwrap();
        std::fs::write(&path, "apiVersion: score.dev/v1b1\nmetadata: {name: notes}\ncontainers:\n  main:\n    image: x\n    files:\n      /etc/app.conf: {source: app.conf}\n      /logo: {source: ./logo, noExpand: true}\nresources:\n  db: {type: postgres}\n").unwrap();
        let loaded = load(&[path], &OverrideArgs::default()).unwrap();
        let document = &loaded.documents[0];
        let spec = inlined(document, &contents(document).unwrap());
        let files = &spec["score"]["containers"]["main"]["files"];
        assert_eq!(
            files["/etc/app.conf"],
            json!({"content": "host=${resources.db.host}\n"})
        );
        assert_eq!(files["/logo"], json!({"noExpand": true, "binaryContent": "//4="}));
        assert_eq!(
            object("notes", Some("demo-dev"), &spec)["metadata"],
            json!({"name": "notes", "namespace": "demo-dev"})
        );
    }
}
