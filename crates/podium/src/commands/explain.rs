//! `podium explain`: which rule chose which module and why the others lost, and what a resource waits for.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use podium_model::api::ExplainResponse;

use super::FormatArgs;
use crate::cli::Context;
use crate::client::kinds;
use crate::render::{explain, structured};

/// Tell which rule chose which module and why, and what a resource waits for.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// One resource: its id, or TYPE.CLASS#ID
    resource: Option<String>,
    /// One resource type, also one that nothing asks for yet
    #[arg(long = "type", value_name = "TYPE")]
    resource_type: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &ExplainArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let mut query = Vec::new();
    if let Some(resource) = &args.resource {
        query.push(("resource", resource.clone()));
    }
    if let Some(resource_type) = &args.resource_type {
        query.push(("type", resource_type.clone()));
    }
    let answer: ExplainResponse = client
        .get(&kinds::environment_verb(&target.namespace, "explain"), &query)
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
        explain::render(answer, terminal.paint())
    })?;
    Ok(ExitCode::SUCCESS)
}
