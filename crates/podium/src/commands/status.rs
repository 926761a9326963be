//! `podium status`: how an environment is, what waits and why.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podium_model::api::Overview;

use super::{FormatArgs, now};
use crate::cli::Context;
use crate::client::kinds;
use crate::render::{status, structured};

/// Show how an environment is.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show also what is well, however much it is
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &StatusArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let overview: Overview = client
        .get(&kinds::environment_verb(&target.namespace, "overview"), &[])
        .await?;
    let terminal = context.terminal;
    structured::write(terminal, args.format.format, &overview, |overview| {
        status::render(overview, now(), args.all, terminal.paint())
    })?;
    Ok(ExitCode::SUCCESS)
}
