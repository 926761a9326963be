//! `cargo xtask ci`: what a change must pass.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::test::TestArguments;
use crate::{command, docs, test, tools, workspace};

/// How to check.
#[derive(Args)]
pub(crate) struct CiArguments {
    /// Leave the tests out
    #[arg(long)]
    without_tests: bool,
    #[command(flatten)]
    test: TestArguments,
}

/// One check. The cheap ones come first; the rest run even when one has failed, so that all failures are seen at once.
type Check<'a> = (&'static str, Box<dyn Fn() -> Result<()> + 'a>);

pub(crate) fn run(arguments: &CiArguments) -> Result<()> {
    let mut checks: Vec<Check<'_>> = vec![
        ("format", Box::new(|| cargo(&["fmt", "--all", "--check"], &[]))),
        (
            "lints",
            Box::new(|| {
                let flags = [
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--locked",
                    "--",
                    "--deny",
                    "warnings",
                ];
                cargo(&flags, &[])
            }),
        ),
        ("licences", Box::new(licences)),
        (
            "rustdoc",
            Box::new(|| {
                let flags = [
                    "doc",
                    "--workspace",
                    "--no-deps",
                    "--document-private-items",
                    "--locked",
                ];
                cargo(&flags, &[("RUSTDOCFLAGS", "-D warnings")])
            }),
        ),
        (
            "reference",
            Box::new(|| docs::run(&docs::DocsArguments { check: true })),
        ),
    ];
    if !arguments.without_tests {
        checks.push(("tests", Box::new(|| test::run(&arguments.test))));
    }

    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("\n== {name}");
        if let Err(error) = check() {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        println!("\nall checks passed");
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let mut cargo = workspace::cargo()?;
    cargo.args(arguments).envs(variables.iter().copied());
    command::run(&mut cargo)
}

/// The database of advisories needs GitHub, which CI cannot reach: it is checked where it can be, not here.
fn licences() -> Result<()> {
    let program = tools::cargo_deny()?;
    command::run(Command::new(program).current_dir(workspace::root()?).args([
        "--locked",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}
