//! `podium shim`: one step or one workload in a session of its own, which outlives the server. Started by the server
//! only.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

/// Carry out one step, or watch over one workload.
#[derive(Debug, Args)]
pub(crate) struct ShimArgs {
    /// What the server says
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

pub(crate) fn run(args: &ShimArgs) -> Result<ExitCode> {
    bail!("this build has no shim ({} arguments)", args.arguments.len())
}
