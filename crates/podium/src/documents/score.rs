//! Score files: read, brought to the present form, overridden, checked.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use podium_document::{Diagnostic, Document, Path, Problem, Source};
use podium_frontends::score::{self, Override};
use podium_model::kinds::GROUP;
use serde_json::Value as Json;

use super::files::{Input, inputs};
use crate::render::failure::Refusal;

/// Prefix of Score's API versions.
const SCORE_GROUP: &str = "score.dev/";

/// Options that change a Score document without changing its file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct OverrideArgs {
    /// File that is merged into the Score document; null deletes
    #[arg(long, value_name = "FILE")]
    pub(crate) overrides_file: Option<PathBuf>,
    /// Sets one value, after the overrides file; `PATH=` deletes
    #[arg(long = "override-property", value_name = "PATH=VALUE")]
    pub(crate) override_properties: Vec<String>,
    /// Image of each container whose image is `.`
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
}

impl OverrideArgs {
    fn is_empty(&self) -> bool {
        self.overrides_file.is_none() && self.override_properties.is_empty() && self.image.is_none()
    }

    fn read(&self) -> Result<Vec<Override>> {
        let mut overrides = Vec::new();
        if let Some(path) = &self.overrides_file {
            let input = Input {
                path: path.clone(),
                found: false,
            };
            let parsed = input
                .parse()?
                .map_err(|diagnostics| refusal_of_text(&diagnostics, path))?;
            let [document] = parsed.documents.as_slice() else {
                bail!("the overrides file {} must hold one document", path.display());
            };
            if !matches!(document.root().value, podium_document::NodeValue::Map(_)) {
                bail!(
                    "the overrides file {} must hold a map, like the Score document that it is merged into",
                    path.display()
                );
            }
            overrides.push(Override::MergePatchFile(document.root().to_json()));
        }
        for flag in &self.override_properties {
            overrides
                .push(score::parse_property(flag).with_context(|| format!("--override-property {flag}"))?);
        }
        overrides.extend(self.image.clone().map(Override::Image));
        Ok(overrides)
    }
}

/// Diagnostics of a text that did not parse, with its lines when it can be read again.
pub(crate) fn refusal_of_text(diagnostics: &[Diagnostic], path: &std::path::Path) -> Refusal {
    match source_of(path) {
        Some(source) => Refusal::new(diagnostics, &[&source]),
        None => Refusal::new(diagnostics, &[]),
    }
}

/// The text of a file that did not parse, to show its lines. Standard input is gone by then.
pub(crate) fn source_of(path: &std::path::Path) -> Option<Source> {
    let limit = podium_document::Limits::default().bytes as u64;
    let size = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    let text = if size <= limit {
        std::fs::read_to_string(path).ok()?
    } else {
        return None;
    };
    Some(Source::new(path.display().to_string(), text))
}

/// A `source` that a document names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NamedFile {
    /// The container.
    pub(crate) container: String,
    /// Where it is put.
    pub(crate) target: String,
    /// As the document writes it.
    pub(crate) source: String,
}

impl NamedFile {
    /// Where the document names it.
    pub(crate) fn path(&self) -> Path {
        ["containers", &self.container, "files", &self.target, "source"]
            .into_iter()
            .collect()
    }
}

/// One Score document that is right, as far as that can be told without a server.
#[derive(Clone, Debug)]
pub(crate) struct ScoreDocument {
    /// The file it is from.
    pub(crate) input: Input,
    /// In its present form, with its places.
    pub(crate) document: Document,
    /// Its name.
    pub(crate) name: String,
    /// Changes to it, for `spec.overrides`.
    pub(crate) overrides: Vec<Json>,
    /// With the changes.
    pub(crate) effective: Json,
}

impl ScoreDocument {
    /// Every file that it names, sorted.
    pub(crate) fn files(&self) -> Vec<NamedFile> {
        let mut named = BTreeSet::new();
        let containers = self.effective.get("containers").and_then(Json::as_object);
        for (container, content) in containers.into_iter().flatten() {
            let files = content.get("files").and_then(Json::as_object);
            for (target, file) in files.into_iter().flatten() {
                if let Some(source) = file.get("source").and_then(Json::as_str) {
                    named.insert(NamedFile {
                        container: container.clone(),
                        target: target.clone(),
                        source: source.to_owned(),
                    });
                }
            }
        }
        named.into_iter().collect()
    }
}

/// Documents and what to know about them.
#[derive(Debug, Default)]
pub(crate) struct ScoreDocuments {
    /// The documents.
    pub(crate) documents: Vec<ScoreDocument>,
    /// Findings that refuse nothing.
    pub(crate) warnings: Vec<Diagnostic>,
}

impl ScoreDocuments {
    /// The documents with their places.
    pub(crate) fn located(&self) -> Vec<&Document> {
        self.documents.iter().map(|document| &document.document).collect()
    }

    /// The warnings with their lines.
    pub(crate) fn warnings(&self) -> String {
        let sources: Vec<&Source> = self
            .documents
            .iter()
            .map(|document| document.document.source())
            .collect();
        crate::render::failure::findings(&self.warnings, &sources)
    }
}

/// Reads Score files; all that is wrong with any of them is told at once.
pub(crate) fn load(paths: &[PathBuf], changes: &OverrideArgs) -> Result<ScoreDocuments> {
    let inputs = inputs(paths)?;
    let overrides = changes.read()?;
    let mut loaded = ScoreDocuments::default();
    let mut errors = Vec::new();
    let mut sources: Vec<Source> = Vec::new();
    for input in &inputs {
        match input.parse()? {
            Ok(parsed) => {
                loaded.warnings.extend(parsed.warnings);
                if parsed.documents.is_empty() {
                    errors.push(Diagnostic::error(input.shown(), "the file holds no document"));
                }
                sources.push((*parsed.source).clone());
                for document in parsed.documents {
                    let (document, findings) = prepare(input, &document, &overrides);
                    let (wrong, warnings): (Vec<_>, Vec<_>) =
                        findings.into_iter().partition(Diagnostic::is_error);
                    errors.extend(wrong);
                    loaded.warnings.extend(warnings);
                    loaded.documents.extend(document);
                }
            }
            Err(diagnostics) => {
                errors.extend(diagnostics);
                sources.extend(source_of(&input.path));
            }
        }
    }
    if loaded.documents.len() > 1 && !changes.is_empty() {
        bail!(
            "overrides and --image change one Score document, and {} are named\ndeploy them one by one, or write the changes into them",
            loaded.documents.len()
        );
    }
    let mut seen = BTreeSet::new();
    for document in &loaded.documents {
        if !seen.insert(&document.name) {
            let problem = Problem::error(
                ["metadata", "name"].into_iter().collect(),
                format!("two documents are named `{}`", document.name),
            )
            .help("names of workloads are unique in an environment");
            errors.push(document.document.locate(&problem));
        }
    }
    if errors.is_empty() {
        return Ok(loaded);
    }
    Err(Refusal::new(&errors, &sources.iter().collect::<Vec<_>>()).into())
}

/// One document: upgraded, overridden, checked.
pub(crate) fn prepare(
    input: &Input,
    document: &Document,
    overrides: &[Override],
) -> (Option<ScoreDocument>, Vec<Diagnostic>) {
    if let Some(diagnostic) = not_score(document, input) {
        return (None, vec![diagnostic]);
    }
    let (root, notes) = score::upgrade(document.root().clone());
    let mut findings: Vec<Diagnostic> = notes.iter().map(|note| document.locate(note)).collect();
    let document = document.with_root(root);
    let mut effective = document.root().to_json();
    if let Err(error) = score::apply_overrides(&mut effective, overrides) {
        findings.push(Diagnostic::error(input.shown(), error.to_string()));
        return (None, findings);
    }
    findings.extend(
        score::check(&effective)
            .iter()
            .map(|problem| document.locate(problem)),
    );
    let name = effective
        .pointer("/metadata/name")
        .and_then(Json::as_str)
        .map(str::to_owned);
    let overrides = overrides
        .iter()
        .filter_map(|one| serde_json::to_value(one).ok())
        .collect();
    let wrong = findings.iter().any(Diagnostic::is_error);
    let prepared = name.filter(|_| !wrong).map(|name| ScoreDocument {
        input: input.clone(),
        document,
        name,
        overrides,
        effective,
    });
    (prepared, findings)
}

/// Whether a document is meant as a Score document: it says so, or it has containers and no kind.
pub(crate) fn is_score(document: &Document) -> bool {
    if api_version(document).is_some_and(|version| version.starts_with(SCORE_GROUP)) {
        return true;
    }
    document.root().get("kind").is_none() && document.root().get("containers").is_some()
}

fn api_version(document: &Document) -> Option<&str> {
    document.root().get("apiVersion")?.as_text()
}

/// Documents of ours are not checked as Score: the one mistake is that the command is another.
fn not_score(document: &Document, input: &Input) -> Option<Diagnostic> {
    let version = api_version(document)?;
    version.starts_with(GROUP).then(|| {
        let problem = Problem::error(
            ["apiVersion"].into_iter().collect(),
            "this is a Podium document, not a Score file",
        )
        .help(format!("apply it: podium apply -f {}", input.path.display()));
        document.locate(&problem)
    })
}
