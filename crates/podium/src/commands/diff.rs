//! `podium diff`: what differs between two releases.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podium_model::api::DiffResponse;

use super::FormatArgs;
use crate::cli::Context;
use crate::client::kinds;
use crate::render::{diff, structured};

/// Show what differs between two releases.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier release; default: the one before the later
    from: Option<u64>,
    /// The later release; default: the newest
    to: Option<u64>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &DiffArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let mut query = Vec::new();
    if let Some(from) = args.from {
        query.push(("from", from.to_string()));
    }
    if let Some(to) = args.to {
        query.push(("to", to.to_string()));
    }
    let answer: DiffResponse = client
        .get(&kinds::environment_verb(&target.namespace, "diff"), &query)
        .await?;
    let terminal = context.terminal;
    let place = format!("{}/{}", target.project, target.environment);
    structured::write(terminal, args.format.format, &answer, |answer| {
        diff::render(&place, answer, terminal.paint())
    })?;
    Ok(ExitCode::SUCCESS)
}
