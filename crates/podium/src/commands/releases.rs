//! `podium releases`: what was deployed, when, by whom, and what became of it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podium_model::api::HistoryResponse;

use super::{FormatArgs, now};
use crate::cli::Context;
use crate::client::kinds;
use crate::render::{history, structured};

/// Show the releases of an environment.
#[derive(Debug, Args)]
pub(crate) struct ReleasesArgs {
    /// Most releases to show
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &ReleasesArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let path = kinds::environment_verb(&target.namespace, "history");
    let history: HistoryResponse = client.get(&path, &[("limit", args.limit.to_string())]).await?;
    let terminal = context.terminal;
    structured::write(terminal, args.format.format, &history, |history| {
        history::render(history, now(), terminal.paint())
    })?;
    Ok(ExitCode::SUCCESS)
}
