//! `podium confine`: confines this process, then becomes the command. Started by the shim only.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Confine this process, then become the command.
#[derive(Debug, Args)]
pub(crate) struct ConfineArgs {}

#[expect(clippy::unnecessary_wraps, reason = "every command answers so")]
pub(crate) fn run(_args: &ConfineArgs) -> Result<ExitCode> {
    Ok(podium_runners::confine::main())
}
