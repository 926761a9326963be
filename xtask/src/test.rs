//! `cargo xtask test`: all tests, with real components.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::tools::RealComponents;
use crate::{command, workspace};

/// How to test.
#[derive(Args, Default)]
pub(crate) struct TestArguments {
    /// Take kubectl from PATH instead of building the pinned version
    #[arg(long)]
    pub(crate) use_path_tools: bool,
    /// Only install and build what the tests need
    #[arg(long)]
    pub(crate) prepare_only: bool,
}

/// What the lines `test result: …` add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    suites: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    fn see(&mut self, line: &str) {
        let Some(counts) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        self.suites += 1;
        for part in counts.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

pub(crate) fn run(arguments: &TestArguments) -> Result<()> {
    let began = Instant::now();
    let components = RealComponents::prepare(arguments.use_path_tools)?;
    let versions = components.versions()?;
    let prepared = began.elapsed();
    if arguments.prepare_only {
        report(&versions)?;
        println!("  prepared in {:.0} s; no test was run", prepared.as_secs_f64());
        return Ok(());
    }

    let mut tally = Tally::default();
    let mut cargo = workspace::cargo()?;
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    for (name, path) in components.variables() {
        cargo.env(name, path);
    }
    let succeeded = command::watch(&mut cargo, |line| tally.see(line))?;

    report(&versions)?;
    println!(
        "  {} passed, {} failed, {} ignored in {} suites; prepared in {:.0} s, built and tested in {:.0} s",
        tally.passed,
        tally.failed,
        tally.ignored,
        tally.suites,
        prepared.as_secs_f64(),
        (began.elapsed().saturating_sub(prepared)).as_secs_f64()
    );
    if !succeeded {
        bail!("the tests failed: the lines above that begin with `failures:` name them");
    }
    if tally.passed == 0 {
        bail!("no test was run");
    }
    Ok(())
}

/// What the tests ran with.
fn report(components: &[(String, String)]) -> Result<()> {
    println!("\nRan with");
    for (name, version) in machine()?.iter().chain(components) {
        println!("  {name:<14} {version}");
    }
    Ok(())
}

/// The toolchain and the machine.
pub(crate) fn machine() -> Result<Vec<(String, String)>> {
    let mut cargo = workspace::cargo()?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or("unknown", |name| name.trim_matches('"'));
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |name| name.trim_start_matches([':', '\t', ' ']))
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(vec![
        (
            "rustc".to_owned(),
            command::capture(Command::new(rustc).arg("--version"))?,
        ),
        ("cargo".to_owned(), command::capture(cargo.arg("--version"))?),
        ("system".to_owned(), system.to_owned()),
        (
            "kernel".to_owned(),
            command::capture(Command::new("uname").arg("-sr"))?,
        ),
        ("processor".to_owned(), format!("{processor}, {cores} cores")),
    ])
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_add_up() {
        let mut tally = Tally::default();
        tally.see(
            "test result: ok. 9 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.21s",
        );
        tally.see("test one ... ok");
        tally.see(
            "test result: FAILED. 8 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        );
        assert_eq!(
            tally,
            Tally {
                suites: 2,
                passed: 17,
                failed: 1,
                ignored: 2
            }
        );
    }
}
