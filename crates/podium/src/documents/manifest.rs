//! Podium's own documents: which object each is, and whether it is right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;
use podium_document::{Diagnostic, Document, Path, PathSegment, Problem, Source, suggest};
use podium_frontends::score;
use podium_model::kinds::{
    ENVIRONMENT_TYPES, ENVIRONMENTS, GROUP, KindDefinition, MODULE_RULES, MODULES, PROJECTS, RESOURCE_TYPES,
    RUNNERS, WORKLOADS, Writes, api_version, definitions,
};
use podium_schema::{Schema, Segment, ViolationKind, structural};
use serde_json::{Map, Value as Json, json};

use super::bundle::LocalSource;
use super::files::{Input, inputs};
use super::score::{is_score, source_of};
use crate::render::failure::Refusal;

/// The order in which kinds are applied: what is named before what names it.
const ORDER: [&str; 8] = [
    PROJECTS,
    ENVIRONMENT_TYPES,
    ENVIRONMENTS,
    RESOURCE_TYPES,
    RUNNERS,
    MODULES,
    MODULE_RULES,
    WORKLOADS,
];

/// Stands for the digest of a bundle that is not made yet, while the document is checked.
const BUNDLE_TO_COME: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// One object that a document describes.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// The document with its places.
    pub(crate) document: Document,
    /// The object, as it is sent; a local source is filled in before.
    pub(crate) object: Json,
    /// Its kind.
    pub(crate) kind: KindDefinition,
    /// Its name.
    pub(crate) name: String,
    /// The namespace that it names itself.
    pub(crate) namespace: Option<String>,
    /// The folder to upload as its source.
    pub(crate) source: Option<LocalSource>,
}

impl Manifest {
    /// Fills in the uploaded bundle.
    pub(crate) fn set_bundle(&mut self, digest: &str) {
        let Some(source) = &self.source else { return };
        let mut value = json!({"bundle": digest});
        if !source.path.is_empty() {
            value["path"] = json!(source.path);
        }
        self.object["spec"]["source"] = value;
    }

    fn rank(&self) -> usize {
        ORDER
            .iter()
            .position(|plural| *plural == self.kind.plural)
            .unwrap_or(ORDER.len())
    }
}

/// What was read: objects in the order in which they are applied, and what else to know.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// The objects.
    pub(crate) objects: Vec<Manifest>,
    /// Score files found in folders, which `apply` leaves alone.
    pub(crate) score_files: Vec<PathBuf>,
    /// Findings that refuse nothing.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Checks documents of Podium's kinds by their schemas.
pub(crate) struct Checker {
    kinds: Vec<KindDefinition>,
    schemas: BTreeMap<&'static str, Schema>,
}

impl Checker {
    /// For all kinds.
    pub(crate) fn new() -> Self {
        let kinds = definitions();
        let schemas = kinds
            .iter()
            .filter_map(|kind| Some((kind.plural, Schema::parse(&structural(&kind.schema)).ok()?)))
            .collect();
        Self { kinds, schemas }
    }

    /// The object of a document, and what is wrong with it.
    pub(crate) fn check(
        &self,
        document: Document,
        folder: &std::path::Path,
    ) -> (Option<Manifest>, Vec<Diagnostic>) {
        let mut object = document.root().to_json();
        let mut problems = Vec::new();
        let Some(kind) = self.kind_of(&object, &mut problems) else {
            let found = problems.iter().map(|problem| document.locate(problem)).collect();
            return (None, found);
        };
        let (name, namespace) = metadata(&object, kind, &mut problems);
        let source = local_source(&mut object, kind, folder, &mut problems);
        self.body(kind, &object, &mut problems);
        let wrong = problems.iter().any(Problem::is_error);
        let found = problems.iter().map(|problem| document.locate(problem)).collect();
        let kind = kind.clone();
        let manifest = name.filter(|_| !wrong).map(|name| Manifest {
            document,
            object,
            kind,
            name,
            namespace,
            source,
        });
        (manifest, found)
    }

    fn kind_of(&self, object: &Json, problems: &mut Vec<Problem>) -> Option<&KindDefinition> {
        let path = |key: &str| -> Path { [key].into_iter().collect() };
        let text = |key: &str| object.get(key).and_then(Json::as_str);
        if !object.is_object() {
            problems.push(Problem::error(
                Path::root(),
                "a document must be a map with apiVersion, kind and metadata",
            ));
            return None;
        }
        let Some(version) = text("apiVersion") else {
            let help = format!(
                "Podium's documents begin with `apiVersion: {}`, Score files with `apiVersion: score.dev/v1b1`",
                api_version()
            );
            problems.push(Problem::error(path("apiVersion"), "the document says no `apiVersion`").help(help));
            return None;
        };
        if version != api_version() {
            let problem = Problem::error(
                path("apiVersion"),
                format!("`{version}` is not what podium applies"),
            );
            problems.push(if version.starts_with(GROUP) {
                problem.help(format!("this version of Podium knows {}", api_version()))
            } else {
                problem.help("objects of other groups are applied by kubectl")
            });
            return None;
        }
        let Some(name) = text("kind") else {
            problems.push(Problem::error(path("kind"), "the document says no `kind`"));
            return None;
        };
        let Some(kind) = self.kinds.iter().find(|kind| kind.kind == name) else {
            let known: Vec<&str> = self.kinds.iter().map(|kind| kind.kind).collect();
            let problem = Problem::error(path("kind"), format!("there is no kind `{name}`"));
            problems.push(match suggest(name, known.iter()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help(format!("the kinds are: {}", known.join(", "))),
            });
            return None;
        };
        if kind.writes == Writes::Derived {
            problems.push(Problem::error(
                path("kind"),
                format!("the server makes each {name} itself: nobody else writes them"),
            ));
            return None;
        }
        Some(kind)
    }

    /// Checks everything but `apiVersion`, `kind` and `metadata`.
    fn body(&self, kind: &KindDefinition, object: &Json, problems: &mut Vec<Problem>) {
        let Some(schema) = self.schemas.get(kind.plural) else {
            return;
        };
        let body: Map<String, Json> = object
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let body = Json::Object(body);
        for unknown in schema.unknown_fields(&body) {
            let path = to_path(&unknown.path);
            let field = path
                .0
                .last()
                .map_or_else(String::new, |last| Path(vec![last.clone()]).to_string());
            let problem = Problem::error(path, format!("unknown field `{field}`")).on_key();
            problems.push(match unknown.suggestion {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
        for violation in schema.validate(&body) {
            let path = to_path(&violation.path);
            let message = match violation.kind {
                ViolationKind::Required => format!("`{path}` is missing"),
                _ => format!("{path}: {}", violation.cause()),
            };
            problems.push(Problem::error(path, message));
        }
        if kind.plural == WORKLOADS {
            let score = object.pointer("/spec/score").filter(|score| score.is_object());
            for mut problem in score.map(score::check).unwrap_or_default() {
                let prefix: Path = ["spec", "score"].into_iter().collect();
                problem.path = Path(prefix.0.into_iter().chain(problem.path.0).collect());
                problems.push(problem);
            }
        }
    }
}

fn to_path(segments: &[Segment]) -> Path {
    segments
        .iter()
        .map(|segment| match segment {
            Segment::Field(name) => PathSegment::from(name.clone()),
            Segment::Index(index) => PathSegment::from(*index),
        })
        .collect()
}

fn metadata(
    object: &Json,
    kind: &KindDefinition,
    problems: &mut Vec<Problem>,
) -> (Option<String>, Option<String>) {
    let path = |key: &str| -> Path { ["metadata", key].into_iter().collect() };
    let name = object.pointer("/metadata/name");
    let name = match name.and_then(Json::as_str) {
        Some(name) if is_object_name(name) => Some(name.to_owned()),
        Some(name) => {
            let problem = Problem::error(path("name"), format!("`{name}` is no name of an object"));
            problems.push(problem.help("names have up to 253 lower-case letters, digits, `-` and `.`, and begin and end with a letter or digit"));
            None
        }
        None => {
            let problem = Problem::error(path("name"), "the object has no name");
            problems.push(problem.help(if name.is_some() {
                "a name is text: put it in quotes"
            } else {
                "write it as `metadata.name`"
            }));
            None
        }
    };
    let namespace = object
        .pointer("/metadata/namespace")
        .and_then(Json::as_str)
        .map(str::to_owned);
    if namespace.is_some() && !kind.namespaced {
        problems.push(
            Problem::error(
                path("namespace"),
                format!("a {} belongs to no namespace", kind.kind),
            )
            .on_key(),
        );
    }
    let known = [
        "name",
        "namespace",
        "labels",
        "annotations",
        "finalizers",
        "resourceVersion",
        "uid",
        "generation",
        "creationTimestamp",
        "managedFields",
        "generateName",
        "ownerReferences",
        "selfLink",
    ];
    let fields = object.get("metadata").and_then(Json::as_object);
    for field in fields
        .into_iter()
        .flat_map(Map::keys)
        .filter(|field| !known.contains(&field.as_str()))
    {
        let problem = Problem::error(path(field), format!("unknown field `{field}`")).on_key();
        problems.push(match suggest(field, known.iter()) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem,
        });
    }
    (name, namespace)
}

fn is_object_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    bytes.len() <= 253 && bytes.iter().all(|byte| inside(*byte)) && end(bytes.first()) && end(bytes.last())
}

/// The folder that a Module names in place of a bundle's digest: a path, or the root to upload and a path in it. In the
/// object its place is taken by a bundle to come.
fn local_source(
    object: &mut Json,
    kind: &KindDefinition,
    folder: &std::path::Path,
    problems: &mut Vec<Problem>,
) -> Option<LocalSource> {
    if kind.plural != MODULES {
        return None;
    }
    let source = object.pointer("/spec/source")?.clone();
    // Texts that are none, and fields that are not known, are told by the schema's check.
    let (root, path, place): (_, _, &[&str]) = match &source {
        Json::String(root) => (root.as_str(), "", &["spec", "source"]),
        Json::Object(fields) => {
            let root = fields.get("bundle")?.as_str()?;
            let path = fields.get("path").map_or(Some(""), Json::as_str)?;
            (root, path, &["spec", "source", "bundle"])
        }
        _ => return None,
    };
    if is_digest(root) {
        return None;
    }
    if root.contains("://") || root.contains("::") {
        let place: Path = place.iter().copied().collect();
        let problem = Problem::error(place, "a module's source is a folder on this machine");
        problems.push(problem.help("fetch it first, and name the folder"));
        return None;
    }
    let local = LocalSource {
        root: folder.join(root),
        path: path.trim_matches('/').to_owned(),
    };
    match object.pointer_mut("/spec/source") {
        Some(Json::Object(fields)) => {
            fields.insert("bundle".to_owned(), json!(BUNDLE_TO_COME));
        }
        Some(text) => *text = json!({"bundle": BUNDLE_TO_COME}),
        None => {}
    }
    Some(local)
}

/// Whether this is the digest of an upload rather than a folder's name.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What one file held.
struct ReadFile {
    input: Input,
    manifests: Vec<Manifest>,
    findings: Vec<Diagnostic>,
    source: Option<Source>,
}

/// Reads documents of files and folders; all that is wrong with any of them is told at once. Files beneath a folder
/// that a Module uploads as its source belong to the module and are no documents, unless they are named themselves.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Manifests> {
    let checker = Checker::new();
    let mut each: Vec<ReadFile> = Vec::new();
    let mut loaded = Manifests::default();
    for input in inputs(paths)? {
        let (mut manifests, mut findings) = (Vec::new(), Vec::new());
        let source = match input.parse()? {
            Ok(parsed) => {
                findings.extend(parsed.warnings);
                for document in parsed.documents {
                    if is_score(&document) {
                        if input.found {
                            loaded.score_files.push(input.path.clone());
                        } else {
                            let problem = Problem::error(
                                ["apiVersion"].into_iter().collect(),
                                "this is a Score file, not an object",
                            );
                            let help = format!(
                                "deploy it: podium deploy {} -p PROJECT -e ENVIRONMENT",
                                input.path.display()
                            );
                            findings.push(document.locate(&problem.help(help)));
                        }
                        continue;
                    }
                    let (manifest, found) = checker.check(document, &input.folder());
                    manifests.extend(manifest);
                    findings.extend(found);
                }
                Some((*parsed.source).clone())
            }
            Err(diagnostics) => {
                findings.extend(diagnostics);
                source_of(&input.path)
            }
        };
        each.push(ReadFile {
            input,
            manifests,
            findings,
            source,
        });
    }
    let folders: Vec<PathBuf> = each
        .iter()
        .flat_map(|ReadFile { input, manifests, .. }| {
            let own = std::fs::canonicalize(input.folder()).unwrap_or_default();
            let sources = manifests.iter().filter_map(|manifest| manifest.source.as_ref());
            // A module described inside its own folder does not hide its own description.
            sources
                .filter_map(|source| std::fs::canonicalize(source.folder()).ok())
                .filter(move |folder| !own.starts_with(folder))
                .collect::<Vec<_>>()
        })
        .collect();
    let belongs_to_module = |path: &std::path::Path| {
        std::fs::canonicalize(path).is_ok_and(|path| folders.iter().any(|folder| path.starts_with(folder)))
    };
    each.retain(|ReadFile { input, .. }| !(input.found && belongs_to_module(&input.path)));
    loaded.score_files.retain(|path| !belongs_to_module(path));

    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for file in each {
        loaded.objects.extend(file.manifests);
        findings.extend(file.findings);
        sources.extend(file.source);
    }
    findings.extend(twice(&loaded.objects));
    let (errors, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(Diagnostic::is_error);
    loaded.warnings = warnings;
    if !errors.is_empty() {
        return Err(Refusal::new(&errors, &sources.iter().collect::<Vec<_>>()).into());
    }
    loaded.objects.sort_by_key(Manifest::rank);
    Ok(loaded)
}

/// Objects that are described twice.
fn twice(manifests: &[Manifest]) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    manifests
        .iter()
        .filter(|manifest| !seen.insert((manifest.kind.plural, &manifest.namespace, &manifest.name)))
        .map(|manifest| {
            let problem = Problem::error(
                ["metadata", "name"].into_iter().collect(),
                format!("{} `{}` is described twice", manifest.kind.kind, manifest.name),
            );
            manifest.document.locate(&problem)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use podium_model::kinds::definitions;

    use serde_json::json;

    use super::{Checker, load};

    #[test]
    fn every_kind_has_a_structural_schema() {
        let checker = Checker::new();
        for kind in definitions() {
            assert!(checker.schemas.contains_key(kind.plural), "{}", kind.kind);
        }
    }

    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    const MODULE: &str = "apiVersion: podium.dev/v1alpha1\nkind: Module\nmetadata: {name: db}\nspec:\n  type: postgres\n  driver: script\n  source: modules/db\n  script: {apply: [{name: make, command: [./make]}]}\n";

    #[test]
    fn objects_come_in_the_order_in_which_they_need_each_other() {
        let folder = written(&[
            ("a.yaml", MODULE),
            ("modules/db/values.yaml", "this: [is no document of ours]\n"),
            (
                "b.yaml",
                "apiVersion: podium.dev/v1alpha1\nkind: ModuleRule\nmetadata: {name: any}\nspec: {module: db}\n---\napiVersion: podium.dev/v1alpha1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n",
            ),
            (
                "score.yaml",
                "apiVersion: score.dev/v1b1\nmetadata: {name: notes}\n",
            ),
        ]);
        let loaded = load(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = loaded
            .objects
            .iter()
            .map(|manifest| manifest.name.as_str())
            .collect();
        assert_eq!(names, ["shop", "db", "any"]);
        assert_eq!(loaded.score_files.len(), 1);
        let module = &loaded.objects[1];
        assert_eq!(
            module.source.as_ref().unwrap().root,
            folder.path().join("modules/db")
        );
    }

    #[test]
    fn a_source_is_a_folder_a_root_with_a_folder_in_it_or_a_digest() {
        let module = |source: &str| {
            let folder = written(&[("a.yaml", &MODULE.replace("modules/db", source))]);
            let mut loaded = load(&[folder.path().join("a.yaml")])?;
            let module = loaded.objects.remove(0);
            let local = module.source.as_ref().map(|source| {
                let root = source.root.strip_prefix(folder.path()).unwrap();
                (root.display().to_string(), source.path.clone())
            });
            anyhow::Ok((module, local))
        };
        let digest = "a".repeat(64);
        let (mut inside, local) = module("{bundle: ./modules, path: db}").unwrap();
        assert_eq!(local, Some(("modules".to_owned(), "db".to_owned())));
        inside.set_bundle(&digest);
        assert_eq!(
            inside.object["spec"]["source"],
            json!({"bundle": digest, "path": "db"})
        );
        let (uploaded, local) = module(&format!("{{bundle: {digest}, path: db}}")).unwrap();
        assert_eq!(
            (local, &uploaded.object["spec"]["source"]["bundle"]),
            (None, &json!(digest))
        );
        let error = module("{bundle: 'https://example.com/db', path: db}").unwrap_err();
        assert!(
            format!("{error:?}").contains("a folder on this machine"),
            "{error:?}"
        );
        assert!(module("{root: modules, path: db}").is_err());
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_lines() {
        let folder = written(&[(
            "bad.yaml",
            "apiVersion: podium.dev/v1alpha1\nkind: Modul\nmetadata: {name: x}\n---\napiVersion: podium.dev/v1alpha1\nkind: Module\nmetadata:\n  name: Bad_Name\n  lables: {a: b}\nspec:\n  type: postgres\n  drivr: script\n  timeoutSeconds: soon\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\napiVersion: podium.dev/v1alpha1\nkind: Release\nmetadata: {name: x}\nspec: {}\n",
        )]);
        let error = load(&[folder.path().join("bad.yaml")]).unwrap_err();
        let text =
            crate::render::failure::render(&error).replace(&folder.path().display().to_string(), "FOLDER");
        insta::assert_snapshot!(text);
    }
}
