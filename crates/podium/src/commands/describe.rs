//! `podium describe`: all of one object, for people.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value as Json;

use super::{get, now};
use crate::cli::Context;
use crate::client::kinds::{self, find};
use crate::render::describe;

/// Show all of one object, for people.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Kind: plural, singular or short name
    kind: String,
    /// Names
    #[arg(required = true)]
    names: Vec<String>,
}

pub(crate) async fn run(args: &DescribeArgs, context: &Context<'_>) -> Result<ExitCode> {
    let kind = find(&args.kind)?;
    let client = context.client()?;
    let namespace = get::namespace(context, &client, &kind, false).await?;
    let terminal = context.terminal;
    for (at, name) in args.names.iter().enumerate() {
        let object: Json = client
            .get(&kinds::object(kind.plural, namespace.as_deref(), name), &[])
            .await?;
        if at > 0 {
            terminal.data("\n")?;
        }
        terminal.data(&describe::render(&object, now(), terminal.paint())?)?;
    }
    Ok(ExitCode::SUCCESS)
}
