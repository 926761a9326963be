//! `cargo xtask soak`: what takes hours, in rounds.
//!
//! A soak test is an ignored test whose name begins with `soak_`. It reads the round's number from `PODIUM_SOAK_SEED`
//! and derives everything random from it. Progress is kept in the build folder after each round, so that a soak can
//! be stopped with Ctrl-C and continued; a round that fails is tried no second time but named, with the command that
//! replays it. What was reached is added to docs/reliability.md.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value as Json, json};

use crate::tools::RealComponents;
use crate::{command, test, workspace};

const REPORT: &str = "docs/reliability.md";
const REPLAY: &str = "cargo test --release --workspace -- --ignored soak_";

/// How long to go on.
#[derive(Args)]
pub(crate) struct SoakArguments {
    /// Rounds to run now
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    rounds: u64,
    /// Minutes to run now; the round under way is finished
    #[arg(long)]
    minutes: Option<u64>,
    /// Begin again with round 1
    #[arg(long)]
    restart: bool,
    /// Take kubectl from PATH instead of building the pinned version
    #[arg(long)]
    use_path_tools: bool,
}

/// What was reached in all runs so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Progress {
    rounds: u64,
    tests: u64,
    seconds: u64,
    failed: Vec<u64>,
}

impl Progress {
    fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Self::parse(&text)
            .with_context(|| format!("{} is damaged: begin again with --restart", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let json: Json = serde_json::from_str(text).ok()?;
        Some(Self {
            rounds: json["rounds"].as_u64()?,
            tests: json["tests"].as_u64()?,
            seconds: json["seconds"].as_u64()?,
            failed: json["failed"]
                .as_array()?
                .iter()
                .map(Json::as_u64)
                .collect::<Option<_>>()?,
        })
    }

    fn text(&self) -> String {
        json!({"rounds": self.rounds, "tests": self.tests, "seconds": self.seconds, "failed": self.failed})
            .to_string()
    }

    /// Written beside, then moved: a kill leaves the old or the new one.
    fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("progress has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(self.text().as_bytes())?;
        beside
            .persist(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }
}

static STOP: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(arguments: &SoakArguments) -> Result<()> {
    let path = workspace::Metadata::read()?.target()?.join("soak/progress.json");
    let mut progress = if arguments.restart {
        Progress::default()
    } else {
        Progress::read(&path)?
    };
    let components = RealComponents::prepare(arguments.use_path_tools)?;
    stop_after_the_round()?;

    let began = Instant::now();
    let first = progress.rounds + 1;
    let limit = arguments.minutes.map(|minutes| Duration::from_secs(minutes * 60));
    for _ in 0..arguments.rounds {
        if STOP.load(Ordering::Relaxed) || limit.is_some_and(|limit| began.elapsed() >= limit) {
            break;
        }
        let seed = progress.rounds + 1;
        let round = Instant::now();
        let mut tests = 0;
        let mut cargo = workspace::cargo()?;
        cargo
            .args([
                "test",
                "--release",
                "--workspace",
                "--locked",
                "--no-fail-fast",
                "--",
                "--ignored",
                "soak_",
            ])
            .env("PODIUM_SOAK_SEED", seed.to_string());
        for (name, tool) in components.variables() {
            cargo.env(name, tool);
        }
        // In a process group of its own, so that Ctrl-C ends the soak after the round and not in its midst.
        std::os::unix::process::CommandExt::process_group(&mut cargo, 0);
        let succeeded = command::watch(&mut cargo, |line| tests += u64::from(is_result(line)))?;
        if tests == 0 {
            bail!(
                "no soak test was run: is there an ignored test whose name begins with `soak_`, and does it build?"
            );
        }
        progress.rounds = seed;
        progress.tests += tests;
        progress.seconds += round.elapsed().as_secs();
        if !succeeded {
            progress.failed.push(seed);
            eprintln!("round {seed} failed; replay it with\n  PODIUM_SOAK_SEED={seed} {REPLAY}");
        }
        progress.write(&path)?;
    }
    if progress.rounds < first {
        bail!("stopped before the first round ended");
    }
    append_report(first, &progress, &components)?;
    if progress.failed.iter().any(|seed| *seed >= first) {
        bail!("rounds failed: {:?}", progress.failed);
    }
    Ok(())
}

/// Whether a line is the result of one test that ran.
fn is_result(line: &str) -> bool {
    line.starts_with("test ") && (line.ends_with("... ok") || line.ends_with("... FAILED"))
}

/// Ctrl-C and SIGTERM end the soak when the round under way has ended.
fn stop_after_the_round() -> Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGTERM);
    set.thread_block().context("cannot hold signals back")?;
    // Every thread made from here on inherits the mask; commands begin with an empty one.
    std::thread::spawn(move || {
        if set.wait().is_ok() {
            STOP.store(true, Ordering::Relaxed);
            eprintln!("\nstopping when this round has ended");
        }
    });
    Ok(())
}

/// Adds one line of what was reached.
fn append_report(first: u64, progress: &Progress, components: &RealComponents) -> Result<()> {
    let path = workspace::root()?.join(REPORT);
    let mut text = fs::read_to_string(&path).unwrap_or_else(|_| {
        "# Reliability\n\nWhat `cargo xtask soak` has run, one line for each time it ran.\n\n\
         | date | commit | rounds | failed | tests in all rounds | hours in all | with |\n|---|---|---|---|---|---|---|\n"
            .to_owned()
    });
    let commit = command::capture(Command::new("git").current_dir(workspace::root()?).args([
        "rev-parse",
        "--short",
        "HEAD",
    ]))?;
    let date = command::capture(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
    let failed: Vec<String> = progress
        .failed
        .iter()
        .filter(|seed| **seed >= first)
        .map(u64::to_string)
        .collect();
    let with: Vec<String> = test::machine()?
        .into_iter()
        .chain(components.versions()?)
        .filter(|(name, _)| ["rustc", "kernel", "postgres"].contains(&name.as_str()))
        .map(|(_, version)| version.split("  (").next().unwrap_or_default().to_owned())
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "hours with one digit")]
    let hours = progress.seconds as f64 / 3600.0;
    writeln!(
        text,
        "| {date} | {commit} | {first} to {} | {} | {} | {hours:.1} | {} |",
        progress.rounds,
        if failed.is_empty() {
            "none".to_owned()
        } else {
            failed.join(", ")
        },
        progress.tests,
        with.join("; ")
    )?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {REPORT}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Progress, is_result};

    #[test]
    fn progress_survives_being_written() {
        let progress = Progress {
            rounds: 7,
            tests: 21,
            seconds: 90,
            failed: vec![3],
        };
        assert_eq!(Progress::parse(&progress.text()), Some(progress));
        assert_eq!(Progress::parse("{}"), None);
    }

    #[test]
    fn only_tests_that_ran_count() {
        assert!(is_result("test kills::soak_server ... ok"));
        assert!(is_result("test kills::soak_server ... FAILED"));
        assert!(!is_result("test result: ok. 0 passed; 0 failed"));
        assert!(!is_result("test soak_x ... ignored"));
    }
}
