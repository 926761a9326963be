//! Sample workloads inside the binary, so that the demo runs something real without an image or a download.
//!
//! **What it guarantees.** A sample is an ordinary program: it takes its settings from environment variables, as
//! any workload does, and knows nothing of the server. It uses each resource that it is given.
//!
//! **Rejected.** A second binary: `cargo run -- up --demo` would have to build and find it.

mod notes;

use clap::{Args, Subcommand};

/// Arguments of `podium sample`.
#[derive(Debug, Args)]
pub(crate) struct SampleArguments {
    #[command(subcommand)]
    sample: Sample,
}

/// The samples there are.
#[derive(Debug, Subcommand)]
enum Sample {
    /// A page where notes are entered and listed, kept in a SQLite file
    ///
    /// Listens on 127.0.0.1:$PORT. $DATABASE names the SQLite file, $DATABASE_MEGABYTES the largest size that it may
    /// reach (16 when unset), $TITLE the page's title, and $COOKIE_KEY (16 characters or more) signs the cookie that
    /// remembers a visitor's name. When the database is new, each line of the file `$DATABASE.seed`, if there is one,
    /// becomes a note. Ends cleanly on SIGTERM and SIGINT.
    Notes,
}

/// Runs a sample until it is told to stop.
pub(crate) async fn run(args: SampleArguments) -> anyhow::Result<()> {
    match args.sample {
        Sample::Notes => {
            notes::run(notes::Settings::from_environment(|name| {
                std::env::var(name).ok()
            })?)
            .await
        }
    }
}
