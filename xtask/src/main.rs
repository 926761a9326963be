//! The project's tasks: `cargo xtask test|ci|bench|soak|docs`.
//!
//! **What it guarantees.** On a fresh Debian machine with a Rust toolchain, `cargo xtask test` installs what the
//! tests need and runs them. Nothing depends on a tool that merely lies on `PATH`: what Debian's packages do not have
//! is built at a pinned version.
//!
//! **What it refuses.** Shell strings: every command is an argument vector, and is shown before it runs.
//!
//! **Rejected.** Make and shell scripts: they would need their own tools, and cannot be checked.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal: what it prints is its answer"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "tasks measure real time, on a real machine"
)]

mod bench;
mod ci;
mod command;
mod docs;
mod picture;
mod soak;
mod test;
mod tools;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Tasks of the project
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the tests need, and runs all of them with real components
    Test(test::TestArguments),
    /// Everything that a change must pass: format, lints, tests, documentation, licences
    Ci(ci::CiArguments),
    /// Measures: benchmarks of the crates, start to serving, idle memory, build time
    Bench(bench::BenchArguments),
    /// Runs what takes hours, round after round; can be stopped and continued
    Soak(soak::SoakArguments),
    /// Writes what is generated of the documentation (docs/reference, docs/images), or checks that it is current
    Docs(docs::DocsArguments),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Ci(arguments) => ci::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Docs(arguments) => docs::run(&arguments),
    }
}
