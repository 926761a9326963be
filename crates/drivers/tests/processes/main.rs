//! The drivers on the real process runner. This executable is also the binary that the runner starts as shim and as
//! confining process, and the program of a workload; so it has its own main function.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests"
)]

mod scripts;
mod support;
mod workloads;

use std::io::{Read, Write};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

/// A test with its name.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["shim", "--dir", folder] => podium_runners::shim::main(Path::new(folder)),
        ["confine"] => podium_runners::confine::main(),
        ["answer"] => answer(),
        _ => run(&words),
    }
}

/// A small HTTP server: answers with the content of `data/greeting` beneath its root.
fn answer() -> ExitCode {
    let address = format!(
        "{}:{}",
        std::env::var("HOST").unwrap(),
        std::env::var("PORT").unwrap()
    );
    let listener = std::net::TcpListener::bind(address).unwrap();
    println!("listening with {}", std::env::var("TOKEN").unwrap_or_default());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let root = std::env::var("PODIUM_ROOT").unwrap();
        let body = std::fs::read_to_string(Path::new(&root).join("data/greeting")).unwrap_or_default();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    ExitCode::SUCCESS
}

/// Runs the tests whose name holds the first plain argument, a few at a time.
fn run(arguments: &[&str]) -> ExitCode {
    let filter = arguments
        .iter()
        .find(|word| !word.starts_with('-'))
        .copied()
        .unwrap_or("");
    let tests: Vec<Test> = [scripts::TESTS, workloads::TESTS]
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
                    let passed = catch_unwind(test).is_ok();
                    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
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
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
