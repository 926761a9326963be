//! `podium serve`: the server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::cli::Context;
use crate::folders;

/// Run the server.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Data folder; default: $PODIUM_DATA, then the XDG data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen at; port 0 picks one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7443")]
    pub(crate) listen: String,
    /// Run steps and workloads also where the kernel cannot confine them
    #[arg(long)]
    pub(crate) allow_unconfined: bool,
}

impl ServeArgs {
    /// The data folder.
    pub(crate) fn data_folder(&self) -> Result<PathBuf> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => folders::data_folder(),
        }
    }
}

pub(crate) fn run(args: &ServeArgs, _context: &Context<'_>) -> Result<ExitCode> {
    bail!(
        "this build has no server, so nothing can serve {} at {}",
        args.data_folder()?.display(),
        args.listen
    )
}
