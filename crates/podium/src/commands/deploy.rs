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
use crate::client::target::{Selection, Target};
use crate::client::{Client, ClientError, kinds};
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
    let mut made = None;
    let target = match (&selection, args.create) {
        (Selection::Named { project, environment }, true) => {
            if let Some(target) = Target::look_for(&client, &selection).await? {
                target
            } else {
                let (target, new) = create::both(context, &client, project, environment).await?;
                made = Some(new);
                target
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
        check: true,
    };
    let released = release(context, &client, &target, &mut request, args.yes).await;
    let response = match released {
        Ok(response) => response,
        Err(error) => {
            if let Some(made) = made {
                made.take_back(context, &client).await;
            }
            return Err(match error.downcast::<ClientError>() {
                Ok(error) => problems::in_score(error, &loaded.located()),
                Err(error) => error,
            });
        }
    };
    wait(context, &client, &target, &response, args.wait, args.format).await
}

/// Shows the plan, asks where that is needed, and makes the release.
async fn release(
    context: &Context<'_>,
    client: &Client,
    target: &Target,
    request: &mut DeployRequest,
    yes: YesArgs,
) -> Result<DeployResponse> {
    let answer: PlanResponse = client
        .post(&kinds::environment_verb(&target.namespace, "plan"), request)
        .await?;
    request.consent = obtain(context, &answer.plan, yes).await?;
    Ok(client
        .post(&kinds::environment_verb(&target.namespace, "deploy"), request)
        .await?)
}
