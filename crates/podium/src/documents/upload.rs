//! Uploads what documents name: files of Score documents, folders of modules.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path as FilePath;

use anyhow::{Context as _, Result};
use podium_document::{Diagnostic, Problem, Source};
use podium_model::api::NamedWorkload;
use podium_model::kinds::{UploadedFile, WorkloadSpec};

use super::score::{NamedFile, ScoreDocument, ScoreDocuments};
use crate::client::Client;
use crate::render::failure::Refusal;

/// Largest file that a document may name.
pub(crate) const LARGEST_FILE: u64 = 16 << 20;

/// Contents by the source that names them.
pub(crate) type Contents = BTreeMap<String, Vec<u8>>;

/// Reads every file that a document names, relative to the document's folder.
pub(crate) fn contents(document: &ScoreDocument) -> Result<Contents, Vec<Diagnostic>> {
    let folder = document.input.folder();
    let mut contents = Contents::new();
    let mut wrong = Vec::new();
    for file in document.files() {
        if contents.contains_key(&file.source) {
            continue;
        }
        match read(&folder, &file.source) {
            Ok(content) => {
                contents.insert(file.source, content);
            }
            Err(error) => wrong.push(missing(document, &file, &error)),
        }
    }
    if wrong.is_empty() {
        Ok(contents)
    } else {
        Err(wrong)
    }
}

fn missing(document: &ScoreDocument, file: &NamedFile, error: &anyhow::Error) -> Diagnostic {
    let problem = Problem::error(file.path(), format!("{error:#}")).help(format!(
        "paths are relative to the folder of {}",
        document.input.shown()
    ));
    document.document.locate(&problem)
}

fn read(folder: &FilePath, source: &str) -> Result<Vec<u8>> {
    let named = FilePath::new(source);
    anyhow::ensure!(
        !named.is_absolute(),
        "the file `{source}` is named by an absolute path, which is another on every machine"
    );
    let unreadable = || format!("the file `{source}` cannot be read");
    let file = std::fs::File::open(folder.join(named)).with_context(unreadable)?;
    let metadata = file.metadata().with_context(unreadable)?;
    anyhow::ensure!(metadata.is_file(), "`{source}` is no regular file");
    anyhow::ensure!(
        metadata.len() <= LARGEST_FILE,
        "the file `{source}` has {} bytes, more than the {LARGEST_FILE} that a workload's file may have",
        metadata.len()
    );
    let mut content = Vec::new();
    file.take(LARGEST_FILE)
        .read_to_end(&mut content)
        .with_context(unreadable)?;
    Ok(content)
}

/// Uploads the files of all documents and returns the workloads as the API takes them. All files are read before
/// the first is sent.
pub(crate) async fn workloads(client: &Client, loaded: &ScoreDocuments) -> Result<Vec<NamedWorkload>> {
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
    let mut workloads = Vec::new();
    for (document, contents) in read {
        let mut files = BTreeMap::new();
        for (source, content) in contents {
            let digest = client
                .upload(content)
                .await
                .with_context(|| format!("the file `{source}` is not uploaded"))?;
            files.insert(source, UploadedFile { digest });
        }
        workloads.push(NamedWorkload {
            name: document.name.clone(),
            spec: WorkloadSpec {
                score: document.document.root().to_json(),
                overrides: document.overrides.clone(),
                files,
            },
        });
    }
    Ok(workloads)
}
