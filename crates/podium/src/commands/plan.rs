//! `podium plan`: what Score files would change. It changes nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podium_model::api::{Consent, DeployRequest, PlanResponse};
use podium_model::clock::{Clock as _, SystemClock};

use super::FormatArgs;
use crate::cli::Context;
use crate::client::kinds;
use crate::documents::score::{OverrideArgs, load};
use crate::documents::{problems, upload};
use crate::render::plan::{Mood, render};
use crate::render::structured;

/// Show what Score files would change; changes nothing.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Score files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Remove workloads that are not named
    #[arg(long)]
    prune: bool,
    /// Exit with 2 when something would change
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &PlanArgs, context: &Context<'_>) -> Result<ExitCode> {
    let loaded = load(&args.files, &args.overrides)?;
    let terminal = context.terminal;
    if !loaded.warnings.is_empty() {
        terminal.talk(&loaded.warnings());
    }
    let (client, target) = context.target().await?;
    let began = SystemClock.now_ms();
    let request = DeployRequest {
        workloads: upload::workloads(&client, &loaded).await?,
        prune: args.prune,
        consent: Consent::default(),
        message: String::new(),
        check: false,
    };
    let path = kinds::environment_verb(&target.namespace, "plan");
    let answer: PlanResponse = client
        .post(&path, &request)
        .await
        .map_err(|error| problems::in_score(error, &loaded.located()))?;
    let elapsed = SystemClock.now_ms() - began;
    structured::write(terminal, args.format.format, &answer.plan, |plan| {
        render(plan, Mood::Would, Some(elapsed), terminal.paint())
    })?;
    let changed = args.detailed_exitcode && !answer.plan.is_empty();
    Ok(if changed {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}
