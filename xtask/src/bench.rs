//! `cargo xtask bench`: figures, with the machine they were measured on.
//!
//! It runs every benchmark target of the workspace, then measures the release binary from outside: time from start
//! to the line `serving on …`, on a new and on an existing data folder, and memory when idle. With `--build` also the
//! time of clean and incremental builds. `--write` puts the figures into docs/performance.md between two marks.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{command, test, workspace};

const REPORT: &str = "docs/performance.md";
const BEGIN: &str = "<!-- Figures: written by `cargo xtask bench --write` -->";
const END: &str = "<!-- End of figures -->";
/// Starts of which the median is taken.
const STARTS: usize = 11;
/// How long a start may take before the measurement is given up.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);
/// The goals of the project.
const START_GOAL: Duration = Duration::from_millis(200);
const MEMORY_GOAL: u64 = 60;
const BUILD_GOAL: Duration = Duration::from_mins(10);

/// What to measure.
#[derive(Args)]
pub(crate) struct BenchArguments {
    /// Measure clean and incremental builds as well; takes many minutes
    #[arg(long)]
    build: bool,
    /// Write the figures to docs/performance.md
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    let mut figures = Figures::default();
    let target = workspace::Metadata::read()?.target()?;
    if arguments.build {
        measure_builds(&target, &mut figures)?;
    }
    run_benchmarks(&mut figures)?;
    let mut cargo = workspace::cargo()?;
    command::run(cargo.args(["build", "--release", "--package", "podium", "--locked"]))?;
    measure_server(&target.join("release/podium"), &mut figures)?;

    let text = figures.text()?;
    println!("\n{text}");
    if arguments.write {
        let path = workspace::root()?.join(REPORT);
        let page = fs::read_to_string(&path).unwrap_or_else(|_| "# Performance\n".to_owned());
        fs::write(&path, replaced(&page, &text))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {REPORT}");
    }
    Ok(())
}

/// What was measured.
#[derive(Default)]
struct Figures {
    rows: Vec<[String; 3]>,
    benchmarks: Vec<(String, String)>,
}

impl Figures {
    fn add(&mut self, what: &str, value: String, goal: Option<(String, bool)>) {
        let goal = match goal {
            Some((goal, true)) => format!("{goal}: met"),
            Some((goal, false)) => format!("{goal}: **missed**"),
            None => String::new(),
        };
        self.rows.push([what.to_owned(), value, goal]);
    }

    fn text(&self) -> Result<String> {
        let mut text = String::from("| what | figure | goal |\n|---|---|---|\n");
        for [what, value, goal] in &self.rows {
            writeln!(text, "| {what} | {value} | {goal} |")?;
        }
        for (name, output) in &self.benchmarks {
            writeln!(text, "\n{name}:\n\n```text\n{}\n```", output.trim())?;
        }
        let machine: Vec<String> = test::machine()?.into_iter().map(|(_, version)| version).collect();
        let date = command::capture(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
        writeln!(text, "\nMeasured on {date}: {}.", machine.join("; "))?;
        Ok(text)
    }
}

/// The page with its figures replaced, or added at its end.
fn replaced(page: &str, figures: &str) -> String {
    let (before, after) = match (page.find(BEGIN), page.find(END)) {
        (Some(begin), Some(end)) if begin < end => (&page[..begin], &page[end + END.len()..]),
        _ => (page, "\n"),
    };
    format!("{}\n\n{BEGIN}\n{figures}{END}{after}", before.trim_end())
}

fn run_benchmarks(figures: &mut Figures) -> Result<()> {
    for (package, name) in workspace::Metadata::read()?.targets("bench") {
        let mut cargo = workspace::cargo()?;
        cargo.args(["bench", "--locked", "--package", &package, "--bench", &name]);
        let mut output = String::new();
        let succeeded = command::watch(&mut cargo, |line| {
            output.push_str(line);
            output.push('\n');
        })?;
        if !succeeded {
            bail!("the benchmark {name} of {package} failed");
        }
        figures
            .benchmarks
            .push((format!("`{package}`, benchmark `{name}`"), output));
    }
    Ok(())
}

fn measure_builds(target: &Path, figures: &mut Figures) -> Result<()> {
    let folder = target.join("bench-build");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let mut fetch = workspace::cargo()?;
    command::run(fetch.args(["fetch", "--locked"]))?;
    let clean = build(&folder, true)?;
    figures.add(
        "clean release build",
        format!("{:.0} s", clean.as_secs_f64()),
        Some((format!("{} s", BUILD_GOAL.as_secs()), clean <= BUILD_GOAL)),
    );
    let development = build(&folder, false)?;
    figures.add(
        "clean development build",
        format!("{:.0} s", development.as_secs_f64()),
        None,
    );
    for touched in [
        "crates/podium/src/main.rs",
        "crates/planner/src/lib.rs",
        "crates/model/src/lib.rs",
    ] {
        let path = workspace::root()?.join(touched);
        let file = fs::File::options()
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        file.set_modified(std::time::SystemTime::now())
            .with_context(|| format!("cannot touch {}", path.display()))?;
        let took = build(&folder, false)?;
        figures.add(
            &format!("development build after a change in {touched}"),
            format!("{:.1} s", took.as_secs_f64()),
            None,
        );
    }
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

fn build(folder: &Path, release: bool) -> Result<Duration> {
    let mut cargo = workspace::cargo()?;
    cargo
        .args(["build", "--package", "podium", "--locked", "--target-dir"])
        .arg(folder);
    if release {
        cargo.arg("--release");
    }
    let began = Instant::now();
    command::run(&mut cargo)?;
    Ok(began.elapsed())
}

/// A server under measurement; ended when dropped, whatever happens.
struct Server(Child);

impl Server {
    /// Starts it and tells how long it took until it could answer.
    fn start(program: &Path, data: &Path) -> Result<(Self, Duration)> {
        let began = Instant::now();
        let mut child = Command::new(program)
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take();
        let server = Self(child);
        let output = output.context("its output is not there")?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.starts_with("serving on https://") {
                    let _receiver_may_be_gone = sender.send(began.elapsed());
                }
            }
        });
        let took = receiver
            .recv_timeout(START_LIMIT)
            .with_context(|| format!("`{} serve` did not say that it serves", program.display()))?;
        Ok((server, took))
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(
            i32::try_from(self.0.id()).context("a process number fits")?,
        ))
    }

    /// Resident memory in KiB.
    fn resident(&self) -> Result<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.0.id()));
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmRSS:")?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .with_context(|| format!("{} has no VmRSS", path.display()))
    }

    fn stop(mut self) -> Result<()> {
        kill(self.pid()?, Signal::SIGTERM).context("cannot stop the server")?;
        let status = self.0.wait().context("cannot wait for the server")?;
        if !status.success() {
            bail!("the server did not end cleanly: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is just as well.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn measure_server(program: &Path, figures: &mut Figures) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let data = folder.path().join("data");
    let (server, first) = Server::start(program, &data)?;
    server.stop()?;
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let (server, took) = Server::start(program, &data)?;
        server.stop()?;
        starts.push(took);
    }
    starts.sort();
    let median = starts[STARTS / 2];
    figures.add(
        "start to serving, new data folder",
        format!("{} ms", first.as_millis()),
        None,
    );
    figures.add(
        &format!("start to serving, median of {STARTS}"),
        format!("{} ms", median.as_millis()),
        Some((format!("{} ms", START_GOAL.as_millis()), median <= START_GOAL)),
    );

    let (server, _) = Server::start(program, &data)?;
    // A measurement of idleness has nothing to wait for but time.
    std::thread::sleep(IDLE);
    let megabytes = server.resident()? / 1024;
    server.stop()?;
    figures.add(
        &format!("resident memory after {} s idle", IDLE.as_secs()),
        format!("{megabytes} MB"),
        Some((format!("{MEMORY_GOAL} MB"), megabytes <= MEMORY_GOAL)),
    );
    let size = fs::metadata(program)
        .with_context(|| format!("cannot read {}", program.display()))?
        .len();
    figures.add(
        "size of the release binary",
        format!("{} MB", size / 1_000_000),
        None,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replaced};

    #[test]
    fn figures_are_replaced_and_the_rest_stays() {
        let once = replaced("# Performance\n\nText.\n", "one\n");
        assert_eq!(once, format!("# Performance\n\nText.\n\n{BEGIN}\none\n{END}\n"));
        let page = format!("{once}\nAfter.\n");
        assert_eq!(replaced(&page, "two\n"), page.replace("one", "two"));
    }
}
