//! `podium confine`: confines this process, then becomes the command. Started by the shim only.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

/// Confine this process, then become the command.
#[derive(Debug, Args)]
pub(crate) struct ConfineArgs {
    /// What the shim says
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

pub(crate) fn run(args: &ConfineArgs) -> Result<ExitCode> {
    bail!("this build cannot confine ({} arguments)", args.arguments.len())
}
