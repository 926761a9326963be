//! The process runner with real processes. This executable is also the binary that the runner starts as shim and as
//! confining process, and the server that is killed in `survival`; so it has its own main function.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "these are tests"
)]

mod confinement;
mod steps;
mod support;
mod survival;
mod workloads;

use std::os::unix::process::CommandExt;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

/// A test with its name.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["shim", "--dir", folder] => podium_runners::shim::main(Path::new(folder)),
        ["confine"] => podium_runners::confine::main(),
        ["server", data] => survival::server(Path::new(data)),
        ["say", text] => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        _ => run(&words),
    }
}

/// Runs the tests whose name holds the first plain argument, a few at a time.
fn run(arguments: &[&str]) -> ExitCode {
    let filter = arguments
        .iter()
        .find(|word| !word.starts_with('-'))
        .copied()
        .unwrap_or("");
    let tests: Vec<Test> = [
        confinement::TESTS,
        steps::TESTS,
        survival::TESTS,
        workloads::TESTS,
    ]
    .concat()
    .into_iter()
    .filter(|(name, _)| name.contains(filter))
    .collect();
    if arguments.contains(&"--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let count = tests.len();
    let waiting = Mutex::new(tests);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((name, test)) = waiting.lock().unwrap().pop() else {
                        return;
                    };
                    let began = Instant::now();
                    let passed = catch_unwind(test).is_ok();
                    println!(
                        "test {name} ... {} ({:.1} s)",
                        if passed { "ok" } else { "FAILED" },
                        began.elapsed().as_secs_f64()
                    );
                    if !passed {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "\ntest result: {} passed; {} failed {failed:?}",
        count - failed.len(),
        failed.len()
    );
    if failed.is_empty() && as_an_ordinary_user(arguments) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The same tests once more without root, where Landlock alone stands between processes and data folder. After the
/// others, because they look for processes by their arguments.
fn as_an_ordinary_user(arguments: &[&str]) -> bool {
    if !support::is_root() {
        return true;
    }
    println!("\nand as an ordinary user:");
    let bench = support::bench();
    let executable = bench.runner.podium_folder().unwrap().join("podium");
    let user = std::process::Command::new(executable)
        .args(arguments)
        .uid(podium_runners::RunAs::NOBODY.uid)
        .gid(podium_runners::RunAs::NOBODY.gid)
        .env("TMPDIR", "/tmp")
        .current_dir("/")
        .status();
    user.unwrap().success()
}
