//! `podium apply`: creates or updates objects from files.
//!
//! All documents are read and checked before the first is sent; when any is wrong nothing is. Objects are sent in
//! the order in which they need each other, each merged as `kubectl apply` merges (see [`crate::documents::merge`]).

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value as Json;

use crate::cli::Context;
use crate::client::target::{Selection, Target};
use crate::client::{Client, ClientError, kinds};
use crate::documents::bundle::LocalSource;
use crate::documents::manifest::{Manifest, load};
use crate::documents::{merge, problems};
use crate::render::failure::{Refusal, findings};
use crate::render::text::counted;

/// Tries when others write the same object at the same time.
const TRIES: usize = 5;

/// Create or update objects from files.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// File or folder; `-` for standard input
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is new.
    Created,
    /// It was changed.
    Configured,
    /// It was so already.
    Unchanged,
}

impl Applied {
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

pub(crate) async fn run(args: &ApplyArgs, context: &Context<'_>) -> Result<ExitCode> {
    let client = context.client()?;
    let default = default_namespace(context, &client).await?;
    apply(context, &client, &args.files, default.as_deref()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Applies files without a word of what was applied, for `podium up`.
pub(crate) async fn apply_quietly(context: &Context<'_>, client: &Client, files: &[PathBuf]) -> Result<()> {
    apply_with(context, client, files, None, false).await
}

/// Applies files; `default` is the namespace of namespaced objects that name none.
pub(crate) async fn apply(
    context: &Context<'_>,
    client: &Client,
    files: &[PathBuf],
    default: Option<&str>,
) -> Result<()> {
    apply_with(context, client, files, default, true).await
}

async fn apply_with(
    context: &Context<'_>,
    client: &Client,
    files: &[PathBuf],
    default: Option<&str>,
    tells: bool,
) -> Result<()> {
    let terminal = context.terminal;
    let mut loaded = load(files)?;
    if !loaded.warnings.is_empty() {
        let sources: Vec<_> = loaded
            .objects
            .iter()
            .map(|manifest| manifest.document.source())
            .collect();
        terminal.talk(&findings(&loaded.warnings, &sources));
    }
    for file in &loaded.score_files {
        terminal.talk(&format!(
            "left out {}: a Score file, which is deployed: podium deploy {}",
            file.display(),
            file.display()
        ));
    }
    if loaded.objects.is_empty() {
        bail!("there is nothing to apply");
    }
    for manifest in &loaded.objects {
        namespace_of(manifest, default)?;
    }
    // Folders are packed before the first object is sent, since they too may be wrong.
    let mut bundles = Vec::new();
    for manifest in &loaded.objects {
        let packed = manifest.source.as_ref().map(LocalSource::pack).transpose();
        bundles.push(packed.with_context(|| {
            format!(
                "{}: the source of module `{}` cannot be uploaded; nothing was changed",
                manifest.document.source().file(),
                manifest.name
            )
        })?);
    }
    let total = loaded.objects.len();
    for (done, (manifest, bundle)) in loaded.objects.iter_mut().zip(bundles).enumerate() {
        if let Some(bundle) = bundle {
            let digest = client.upload(bundle).await?;
            manifest.set_bundle(&digest);
        }
        let namespace = namespace_of(manifest, default)?;
        match apply_one(client, manifest, namespace.as_deref()).await {
            Ok(applied) if tells => terminal.data(&format!(
                "{}/{} {}",
                manifest.kind.singular,
                manifest.name,
                applied.word()
            ))?,
            Ok(_) => {}
            Err(error) => {
                let so_far = if done == 0 {
                    "nothing was changed".to_owned()
                } else {
                    format!(
                        "{} of {} were applied before it, and stay",
                        done,
                        counted(total, "object")
                    )
                };
                terminal.talk(&format!(
                    "{} `{}` was refused; {so_far}",
                    manifest.kind.kind, manifest.name
                ));
                let error = problems::in_objects(error, &[&manifest.document]);
                return Err(match error.downcast::<Refusal>() {
                    Ok(refusal) if done > 0 => refusal.after_others().into(),
                    Ok(refusal) => refusal.into(),
                    Err(error) => error,
                });
            }
        }
    }
    Ok(())
}

async fn apply_one(
    client: &Client,
    manifest: &Manifest,
    namespace: Option<&str>,
) -> Result<Applied, ClientError> {
    let mut wanted = manifest.object.clone();
    if let Some(namespace) = namespace {
        wanted["metadata"]["namespace"] = Json::String(namespace.to_owned());
    }
    let path = kinds::object(manifest.kind.plural, namespace, &manifest.name);
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = match client.find::<Json>(&path).await? {
            None => {
                let collection = kinds::collection(manifest.kind.plural, namespace);
                client
                    .post::<_, Json>(&collection, &merge::annotated(&wanted))
                    .await
                    .map(|_| Applied::Created)
            }
            Some(live) => match merge::patch(&live, &wanted) {
                None => return Ok(Applied::Unchanged),
                Some(patch) => client
                    .merge_patch(&path, &patch)
                    .await
                    .map(|_| Applied::Configured),
            },
        };
        match outcome {
            // Somebody wrote in between: what they wrote is merged with.
            Err(error) if error.code() == Some(409) && tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

fn namespace_of(manifest: &Manifest, default: Option<&str>) -> Result<Option<String>> {
    if !manifest.kind.namespaced {
        return Ok(None);
    }
    match manifest.namespace.as_deref().or(default) {
        Some(namespace) => Ok(Some(namespace.to_owned())),
        None => bail!(
            "{} `{}` names no namespace; nothing was changed\nsay it with -p PROJECT -e ENVIRONMENT, with -n NAMESPACE, or as `metadata.namespace`",
            manifest.kind.kind,
            manifest.name
        ),
    }
}

/// The namespace that the options name, if they do. It need not exist yet: the same files may make it.
async fn default_namespace(context: &Context<'_>, client: &Client) -> Result<Option<String>> {
    let global = &context.global;
    if global.project.is_none() && global.environment.is_none() {
        let namespace = global.namespace.as_deref().or_else(|| client.default_namespace());
        return Ok(namespace.map(str::to_owned));
    }
    let selection = context.selection(client)?;
    match (Target::look_for(client, &selection).await?, selection) {
        (Some(target), _) => Ok(Some(target.namespace)),
        (None, Selection::Named { project, environment }) => Ok(Some(format!("{project}-{environment}"))),
        (None, Selection::Namespace(namespace)) => Ok(Some(namespace)),
    }
}
