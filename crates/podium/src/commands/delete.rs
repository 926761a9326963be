//! `podium delete`: deletes objects, after showing what goes with them.
//!
//! An environment takes all that runs in it along, and a project all its environments: what that is comes from the
//! same plan that `destroy` makes. On a terminal it is asked about; elsewhere it needs `--yes`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{ArgGroup, Args};
use podium_model::api::{Consent, DestroyRequest, PlanResponse};
use podium_model::kinds::{ENVIRONMENTS, KindDefinition, PROJECTS, WORKLOADS, Writes};
use serde_json::Value as Json;

use super::consent::YesArgs;
use super::get;
use super::outcome::WaitArgs;
use crate::cli::Context;
use crate::client::kinds::{self, find};
use crate::client::watch::Watch;
use crate::client::{Client, ClientError};
use crate::documents::manifest;
use crate::render::plan::{Mood, render};
use crate::render::text::harmless;

/// Delete objects.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["kind", "files"]))]
pub(crate) struct DeleteArgs {
    /// Kind: plural, singular or short name
    #[arg(requires = "names")]
    kind: Option<String>,
    /// Names
    names: Vec<String>,
    /// Delete what these files describe; `-` for standard input
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "FILE|DIR|-",
        conflicts_with = "names"
    )]
    files: Vec<PathBuf>,
    /// Do not fail when it is gone already
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    wait: WaitArgs,
}

/// One object to delete.
struct Victim {
    kind: KindDefinition,
    namespace: Option<String>,
    name: String,
}

pub(crate) async fn run(args: &DeleteArgs, context: &Context<'_>) -> Result<ExitCode> {
    let client = context.client()?;
    let victims = victims(args, context, &client).await?;
    for victim in &victims {
        if victim.kind.writes == Writes::Derived {
            bail!(
                "the server makes and removes each {} itself\nremove what asks for it, or empty the environment: podium destroy -p PROJECT -e ENVIRONMENT",
                victim.kind.kind
            );
        }
    }
    agree(args, context, &client, &victims).await?;
    for victim in &victims {
        delete(args, context, &client, victim).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn victims(args: &DeleteArgs, context: &Context<'_>, client: &Client) -> Result<Vec<Victim>> {
    let Some(kind) = &args.kind else {
        let loaded = manifest::load(&args.files)?;
        let mut victims = Vec::new();
        // What names others goes before what is named.
        for one in loaded.objects.into_iter().rev() {
            let namespace = match one.namespace {
                Some(namespace) => Some(namespace),
                None => get::namespace(context, client, &one.kind, false).await?,
            };
            victims.push(Victim {
                kind: one.kind,
                namespace,
                name: one.name,
            });
        }
        return Ok(victims);
    };
    let kind = find(kind)?;
    let namespace = get::namespace(context, client, &kind, false).await?;
    let victim = |name: &String| Victim {
        kind: kind.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
    };
    Ok(args.names.iter().map(victim).collect())
}

/// Shows what goes along and asks.
async fn agree(args: &DeleteArgs, context: &Context<'_>, client: &Client, victims: &[Victim]) -> Result<()> {
    let mut lost = 0;
    for victim in victims {
        lost += match victim.kind.plural {
            ENVIRONMENTS => content(context, client, &victim.name).await?,
            PROJECTS => {
                let mut sum = 0;
                let all: Json = client.get(&kinds::collection(ENVIRONMENTS, None), &[]).await?;
                for environment in all.get("items").and_then(Json::as_array).into_iter().flatten() {
                    let text = |pointer: &str| environment.pointer(pointer).and_then(Json::as_str);
                    if text("/spec/project") == Some(&victim.name) {
                        sum +=
                            1 + content(context, client, text("/metadata/name").unwrap_or_default()).await?;
                    }
                }
                sum
            }
            WORKLOADS => 1,
            _ => 0,
        };
    }
    if lost == 0 || args.yes.yes {
        return Ok(());
    }
    let named = victims
        .iter()
        .map(|victim| format!("{}/{}", victim.kind.singular, harmless(&victim.name)))
        .collect::<Vec<_>>()
        .join(", ");
    if !context.terminal.is_interactive() {
        bail!(
            "deleting {named} deletes what runs there, and nobody can be asked; nothing was changed\nagree with --yes"
        );
    }
    if context
        .terminal
        .ask(&format!("Delete {named} and all that belongs to it?"))
        .await
    {
        Ok(())
    } else {
        bail!("not agreed; nothing was changed")
    }
}

/// Shows what an environment holds, and counts it.
async fn content(context: &Context<'_>, client: &Client, namespace: &str) -> Result<usize> {
    let request = DestroyRequest {
        plan_only: true,
        consent: Consent::default(),
        message: String::new(),
    };
    let planned: Result<PlanResponse, ClientError> = client
        .post(&kinds::environment_verb(namespace, "destroy"), &request)
        .await;
    match planned {
        Ok(planned) => {
            let terminal = context.terminal;
            terminal.talk(&render(&planned.plan, Mood::Will, None, terminal.talk_paint()));
            Ok(planned.plan.effective().count())
        }
        Err(error) if error.is_not_found() => Ok(0),
        Err(error) => Err(error.into()),
    }
}

async fn delete(args: &DeleteArgs, context: &Context<'_>, client: &Client, victim: &Victim) -> Result<()> {
    let terminal = context.terminal;
    let path = kinds::object(victim.kind.plural, victim.namespace.as_deref(), &victim.name);
    let shown = format!("{}/{}", victim.kind.singular, victim.name);
    match client.delete(&path).await {
        Ok(_) => {}
        Err(error) if error.is_not_found() && args.ignore_not_found => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let still: Option<Json> = client.find(&path).await?;
    let Some(still) = still.filter(|_| !args.wait.detach) else {
        terminal.data(&format!("{shown} deleted"))?;
        return Ok(());
    };
    terminal.talk(&format!(
        "… {shown} is being deleted: what belongs to it goes first"
    ));
    let revision = still
        .pointer("/metadata/resourceVersion")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let collection = kinds::collection(victim.kind.plural, victim.namespace.as_deref());
    let mut watch = Watch::new(client, &collection, Some(&victim.name), revision);
    let gone = async {
        loop {
            let event = watch.next().await?;
            let name = event.object.pointer("/metadata/name").and_then(Json::as_str);
            if event.event_type == "DELETED" && name == Some(&victim.name) {
                return anyhow::Ok(());
            }
        }
    };
    let Ok(done) = tokio::time::timeout(args.wait.timeout, gone).await else {
        let waits = client
            .find::<Json>(&path)
            .await?
            .and_then(|object| {
                object
                    .pointer("/status/conditions/0/message")
                    .and_then(Json::as_str)
                    .map(harmless)
            })
            .unwrap_or_default();
        bail!(
            "{shown} is not gone yet, and the time of --timeout is up; its deletion goes on by itself: {waits}\nlook at it: podium describe {} {}",
            victim.kind.singular,
            victim.name
        );
    };
    done?;
    terminal.data(&format!("{shown} deleted"))?;
    Ok(())
}
