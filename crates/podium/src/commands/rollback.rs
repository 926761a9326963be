//! `podium rollback`: brings an earlier release back and pins it, or lifts the pin.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgGroup, Args};
use podium_model::api::{Consent, DeployResponse, PlanResponse, RollbackRequest};

use super::FormatArgs;
use super::consent::{YesArgs, obtain};
use super::outcome::{WaitArgs, wait};
use crate::cli::Context;
use crate::client::kinds;

/// Bring an earlier release back and pin it, or lift the pin.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["release", "lift"]))]
pub(crate) struct RollbackArgs {
    /// Number of the release whose content comes back
    #[arg(value_name = "RELEASE")]
    release: Option<u64>,
    /// Lift the pin: the environment follows its documents again
    #[arg(long)]
    lift: bool,
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

pub(crate) async fn run(args: &RollbackArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let path = kinds::environment_verb(&target.namespace, "rollback");
    let mut request = RollbackRequest {
        release: args.release,
        lift: args.lift,
        plan_only: true,
        consent: Consent::default(),
        message: args.message.clone(),
    };
    // Of a plan alone there is no release or run to tell of.
    let planned: PlanResponse = client.post(&path, &request).await?;
    request.consent = obtain(context, &planned.plan, args.yes).await?;
    request.plan_only = false;
    let response: DeployResponse = client.post(&path, &request).await?;
    if let Some(release) = args.release {
        context.terminal.talk(&format!(
            "pinned to the content of release {release}; follow the documents again: podium rollback --lift {}",
            target.options()
        ));
    }
    wait(context, &client, &target, &response, args.wait, args.format).await
}
