//! `podium sample`: the sample application of the quickstart, a small server inside the binary.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

/// The sample application of the quickstart.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// Its own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

pub(crate) fn run(args: &SampleArgs) -> Result<ExitCode> {
    bail!(
        "this build has no sample application ({} arguments)",
        args.arguments.len()
    )
}
