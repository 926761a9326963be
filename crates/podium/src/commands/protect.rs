//! `podium protect`: a resource that must not be lost is neither replaced nor deleted, until that is lifted.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podium_model::api::Protection;

use super::{FormatArgs, logs};
use crate::cli::Context;
use crate::render::structured;

/// Refuse that a resource is replaced or deleted, until that is lifted.
#[derive(Debug, Args)]
pub(crate) struct ProtectArgs {
    /// The resource: its id, TYPE.CLASS#ID, or its object's name
    name: String,
    /// Allow both again
    #[arg(long)]
    lift: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: &ProtectArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let name = logs::resource_object(&client, &target, &args.name).await?;
    let wanted = Protection { protect: !args.lift };
    let answer: Protection = client.post(&format!("{name}/protect"), &wanted).await?;
    structured::write(context.terminal, args.format.format, &answer, |answer| {
        let name = &args.name;
        if answer.protect {
            format!("{name} is protected: it is neither replaced nor deleted until --lift")
        } else {
            format!("{name} is not protected any more")
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
