//! `podium serve`: the server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokio::sync::oneshot;

use crate::cli::Context;
use crate::folders;
use crate::server::{self, End, Server, Setup};

/// Where a server listens unless told otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:7443";

/// Run the server.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Data folder; default: $PODIUM_DATA, then the XDG data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen at; port 0 picks one
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_LISTEN)]
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

pub(crate) fn run(args: &ServeArgs, context: &Context<'_>) -> Result<ExitCode> {
    let data = args.data_folder()?;
    server::log_to(None)?;
    server::runtime()?.block_on(async {
        let setup = Setup {
            data,
            listen: args.listen.clone(),
            allow_unconfined: args.allow_unconfined,
        };
        let server = Server::open(setup).await?;
        for gap in &server.gaps {
            tracing::warn!(gap, "processes are not fully confined");
        }
        let (serving, address) = oneshot::channel();
        let announce = async {
            match address.await {
                Ok(address) => context.terminal.data(&format!("serving on https://{address}")),
                // It never served; the error tells why.
                Err(_) => Ok(()),
            }
        };
        let end = async {
            server::told_to_end().await;
            End::ServerAlone
        };
        let (served, announced) = tokio::join!(server.serve(serving, end), announce);
        served?;
        announced?;
        Ok(ExitCode::SUCCESS)
    })
}
