//! `podium shim`: one step or one workload in a session of its own, which outlives the server. Started by the server
//! only.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Carry out one step, or watch over one workload.
#[derive(Debug, Args)]
pub(crate) struct ShimArgs {
    /// The folder of the step or workload
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

#[expect(clippy::unnecessary_wraps, reason = "every command answers so")]
pub(crate) fn run(args: &ShimArgs) -> Result<ExitCode> {
    Ok(podium_runners::shim::main(&args.dir))
}
