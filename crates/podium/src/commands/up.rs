//! `podium up`: server, platform and sample on one's own machine, until Ctrl-C.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::serve::ServeArgs;
use crate::cli::Context;

/// Start a server on this machine, and stop all that it started with Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Load the sample platform and deploy its sample workload
    #[arg(long)]
    pub(crate) demo: bool,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

pub(crate) fn run(args: &UpArgs, _context: &Context<'_>) -> Result<ExitCode> {
    let what = if args.demo { "the demo" } else { "a server" };
    bail!(
        "this build has no server, so {what} cannot be started in {}",
        args.serve.data_folder()?.display()
    )
}
