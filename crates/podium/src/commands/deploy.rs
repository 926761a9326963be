//! `podium deploy`: Score files to an environment, in one transaction, and wait until they are ready.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use podium_model::api::{Consent, DeployRequest, DeployResponse, PlanResponse};

use super::FormatArgs;
use super::consent::{YesArgs, obtain};
use super::create;
use super::outcome::{WaitArgs, wait};
use crate::cli::Context;
use crate::client::kinds;
use crate::client::target::{Selection, Target};
use crate::documents::score::{OverrideArgs, load};
use crate::documents::{problems, upload};

/// Deploy Score files to an environment and wait until they are ready.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// Score files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Remove workloads that are not named
    #[arg(long)]
    prune: bool,
    /// Make the project and the environment when they do not exist
    #[arg(long)]
    create: bool,
    /// What to say about the change
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &DeployArgs, context: &Context<'_>) -> Result<ExitCode> {
    let loaded = load(&args.files, &args.overrides)?;
    let terminal = context.terminal;
    if !loaded.warnings.is_empty() {
        terminal.talk(&loaded.warnings());
    }
    let client = context.client()?;
    let selection = context.selection(&client)?;
    // Files are read and uploaded first: a file that is missing must not leave a new environment behind.
    let workloads = upload::workloads(&client, &loaded).await?;
    let target = match (&selection, args.create) {
        (Selection::Named { project, environment }, true) => {
            match Target::look_for(&client, &selection).await? {
                Some(target) => target,
                None => create::both(context, &client, project, environment).await?,
            }
        }
        (Selection::Namespace(_), true) => bail!("--create needs to know both: -p PROJECT -e ENVIRONMENT"),
        (_, false) => Target::find(&client, &selection).await?,
    };
    let mut request = DeployRequest {
        workloads,
        prune: args.prune,
        consent: Consent::default(),
        message: args.message.clone(),
    };
    let path = kinds::environment_verb(&target.namespace, "plan");
    let answer: PlanResponse = client
        .post(&path, &request)
        .await
        .map_err(|error| problems::in_score(error, &loaded.located()))?;
    request.consent = obtain(context, &answer.plan, args.yes).await?;
    let path = kinds::environment_verb(&target.namespace, "deploy");
    let response: DeployResponse = client
        .post(&path, &request)
        .await
        .map_err(|error| problems::in_score(error, &loaded.located()))?;
    wait(context, &client, &target, &response, args.wait, args.format).await
}
