//! Podium: the platform orchestrator, as one binary.
//!
//! **What it guarantees.** Standard output carries data and nothing else, so that it can be piped; everything said
//! to people goes to standard error. Commands of the client reach the server only through its HTTPS API: they hold
//! no key to the store and read no file of the server but the kubeconfig. An error says what, where and what to do,
//! and ends with exit code 1.
//!
//! **Parts.** [`commands`] has one command a file; [`client`] speaks to the API; [`documents`] reads what developers
//! wrote; [`render`] turns answers into text and does nothing else, so that every picture has a test.

mod cli;
mod client;
mod commands;
mod documents;
mod folders;
mod render;
mod sample;
mod server;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _unheard = error.print();
            // Not clap's own 2, which `plan --detailed-exitcode` gives another meaning.
            return if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let terminal = render::terminal::Terminal::detect();
    match cli::dispatch(cli, &terminal) {
        Ok(code) => code,
        Err(error) => {
            if is_closed_pipe(&error) {
                // The reader has seen enough: `podium get modules | head -1` is no failure.
                return ExitCode::SUCCESS;
            }
            terminal.talk(&render::failure::render(&error));
            ExitCode::FAILURE
        }
    }
}

/// Whether standard output was closed by its reader.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<render::terminal::OutputError>()
        .is_some_and(|error| error.source.kind() == std::io::ErrorKind::BrokenPipe)
}
