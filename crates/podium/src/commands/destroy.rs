//! `podium destroy`: empties an environment through a plan, and keeps it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podium_model::api::{Consent, DeployResponse, DestroyRequest, PlanResponse};

use super::FormatArgs;
use super::consent::{YesArgs, obtain};
use super::outcome::{WaitArgs, wait};
use crate::cli::Context;
use crate::client::kinds;

/// Empty an environment, through a plan, and keep it.
#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// What to say about it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &DestroyArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let path = kinds::environment_verb(&target.namespace, "destroy");
    let mut request = DestroyRequest {
        plan_only: true,
        consent: Consent::default(),
        message: args.message.clone(),
    };
    // Of a plan alone there is no release or run to tell of.
    let planned: PlanResponse = client.post(&path, &request).await?;
    request.consent = obtain(context, &planned.plan, args.yes).await?;
    request.plan_only = false;
    let response: DeployResponse = client.post(&path, &request).await?;
    wait(context, &client, &target, &response, args.wait, args.format).await
}
