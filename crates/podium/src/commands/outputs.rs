//! `podium outputs`: what resources offer. Secrets are masked unless revealed, which is recorded.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use podium_model::api::OutputsResponse;

use super::FormatArgs;
use crate::cli::Context;
use crate::client::kinds;
use crate::render::{outputs, structured};

/// Show what resources offer: hosts, ports, names.
#[derive(Debug, Args)]
pub(crate) struct OutputsArgs {
    /// One resource: its id, or TYPE.CLASS#ID
    resource: Option<String>,
    /// Show secrets; that is recorded
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &OutputsArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let mut query = Vec::new();
    if let Some(resource) = &args.resource {
        query.push(("resource", resource.clone()));
    }
    if args.reveal {
        query.push(("reveal", "true".to_owned()));
    }
    let answer: OutputsResponse = client
        .get(&kinds::environment_verb(&target.namespace, "outputs"), &query)
        .await?;
    if let Some(resource) = args.resource.as_deref().filter(|_| answer.resources.is_empty()) {
        bail!(
            "there is no resource `{resource}` in {}/{}\nthey are listed by: podium status {}",
            target.project,
            target.environment,
            target.options()
        );
    }
    let terminal = context.terminal;
    structured::write(terminal, args.format.format, &answer, |answer| {
        outputs::render(answer, terminal.paint())
    })?;
    Ok(ExitCode::SUCCESS)
}
