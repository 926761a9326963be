//! What the documentation shows is true: its commands are run in the order of the page, against a real server, and
//! answer what the page says.
//!
//! **How pages are written.**
//! - A block ` ```console ` is a terminal. A line that begins with `$ ` is a command, for `/bin/sh`; one that ends with
//!   a backslash goes on in the next line. The lines below it are what it prints, standard output and standard error as
//!   they come when nobody is at the terminal. A line `...` stands for any lines, `...` within a line for any text. A
//!   command with nothing below it must only succeed.
//! - A command must exit with 0, unless it ends with the comment `# exits N`.
//! - `podium up` and `podium serve` go on in the background; the lines below are the beginning of what they print. A line
//!   `^C` ends the one that runs, and what it prints after that stands below.
//! - `cargo run --release -- ` is this build's `podium`, and `podium up` takes any free port.
//! - A block ` ```sh ` holds commands without `$ ` and without answers.
//! - A block with `file=NAME` behind its language is written to that file.
//! - Other blocks, such as ` ```text `, are only read.
//!
//! Each page has a copy of `examples`, a home folder and a server of its own, which end with it, also when it fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs
)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const PODIUM: &str = env!("CARGO_BIN_EXE_podium");
/// How long one command may take, or a server until it has said what the page shows.
const PATIENCE: Duration = Duration::from_mins(1);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// One thing that a reader of a page does.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Runs a command.
    Run {
        line: usize,
        command: String,
        expected: Vec<String>,
    },
    /// Presses Ctrl-C where the server runs.
    Interrupt { line: usize, expected: Vec<String> },
    /// Writes a file.
    Write { name: String, text: String },
}

/// Takes a page apart.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((_, opening)) = lines.next() {
        let indent = opening.len() - opening.trim_start().len();
        let Some(information) = opening.trim_start().strip_prefix("```") else {
            continue;
        };
        let inside: Vec<(usize, String)> = lines
            .by_ref()
            .take_while(|(_, line)| line.trim() != "```")
            .map(|(at, line)| {
                (
                    at + 1,
                    line.get(indent..).unwrap_or_default().trim_end().to_owned(),
                )
            })
            .collect();
        let mut words = information.split_whitespace();
        let language = words.next().unwrap_or_default();
        if let Some(name) = words.find_map(|word| word.strip_prefix("file=")) {
            let mut text = String::new();
            for (_, line) in &inside {
                writeln!(text, "{line}").unwrap();
            }
            steps.push(Step::Write {
                name: name.to_owned(),
                text,
            });
        } else if language == "console" {
            steps.extend(terminal(&inside));
        } else if language == "sh" {
            let commands = inside.iter().map(|(at, line)| (*at, format!("$ {line}")));
            let commands: Vec<(usize, String)> = commands.filter(|(_, line)| line != "$ ").collect();
            steps.extend(terminal(&commands));
        }
    }
    steps
}

fn terminal(lines: &[(usize, String)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for (line, text) in lines {
        if goes_on {
            let Some(Step::Run { command, .. }) = steps.last_mut() else {
                unreachable!()
            };
            command.push('\n');
            command.push_str(text);
        } else if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step::Run {
                line: *line,
                command: command.to_owned(),
                expected: Vec::new(),
            });
        } else if text == "^C" {
            steps.push(Step::Interrupt {
                line: *line,
                expected: Vec::new(),
            });
            continue;
        } else {
            match steps.last_mut() {
                Some(Step::Run { expected, .. } | Step::Interrupt { expected, .. }) => {
                    expected.push(text.clone());
                    continue;
                }
                _ => panic!("line {line}: a block `console` begins with a command: {text}"),
            }
        }
        goes_on = text.ends_with('\\');
    }
    steps
}

/// Whether a line is as the page shows it, with `...` for any text.
fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether lines are as the page shows them, with a line `...` for any lines.
fn lines_match(pattern: &[String], lines: &[&str]) -> bool {
    match pattern.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=lines.len()).any(|skipped| lines_match(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

/// Lines without empty ones at both ends.
fn trimmed(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let first = lines
        .iter()
        .position(|line| !line.is_empty())
        .unwrap_or(lines.len());
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(first, |last| last + 1);
    lines[first..end].to_vec()
}

/// Whether output is as the page shows it; a page that shows nothing says nothing about it.
fn is_as_shown(expected: &[String], output: &str) -> bool {
    expected.is_empty() || lines_match(expected, &trimmed(output))
}

/// The exit code that a command must have.
fn wanted_code(command: &str) -> i32 {
    command.rsplit_once("# exits ").map_or(0, |(_, code)| {
        code.trim().parse().expect("`# exits N` names a number")
    })
}

/// A server that a page started.
struct Server {
    child: Child,
    output: PathBuf,
    /// Bytes of its output that the page has seen.
    seen: usize,
}

/// A reader with a machine of their own.
struct Reader {
    folder: tempfile::TempDir,
    server: Option<Server>,
    servers: usize,
    wrong: Vec<String>,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("podium-docs-").tempdir().unwrap();
        for name in ["bin", "home", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(PODIUM, folder.path().join("bin/podium")).unwrap();
        if let Some(kubectl) = std::env::var_os("PODIUM_TEST_KUBECTL") {
            std::os::unix::fs::symlink(kubectl, folder.path().join("bin/kubectl")).unwrap();
        }
        let reader = Self {
            folder,
            server: None,
            servers: 0,
            wrong: Vec::new(),
        };
        copy(&repository().join("examples"), &reader.work().join("examples"));
        reader
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A command in the reader's folder, with its output in a file.
    fn command(&self, text: &str, output: &Path) -> Command {
        let file = fs::File::create(output).unwrap();
        let home = self.folder.path().join("home");
        let mut path = self.folder.path().join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", text])
            .current_dir(self.work())
            .env("PATH", path)
            .env("HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("XDG_DATA_HOME")
            .env_remove("PODIUM_DATA")
            .env_remove("PODIUM_KUBECONFIG")
            .env_remove("PODIUM_MASTER_KEY")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0);
        command
    }

    fn follow(&mut self, page: &str, step: &Step) {
        match step {
            Step::Write { name, text } => {
                let path = self.work().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Step::Interrupt { line, expected } => self.interrupt(page, *line, expected),
            Step::Run {
                line,
                command,
                expected,
            } => {
                let command = command.replace("cargo run --release -- ", "podium ");
                let is_server = command.starts_with("podium up") || command.starts_with("podium serve");
                if is_server && wanted_code(&command) == 0 {
                    self.serve(page, *line, &command, expected);
                } else {
                    self.run(page, *line, &command, expected);
                }
            }
        }
    }

    fn run(&mut self, page: &str, line: usize, command: &str, expected: &[String]) {
        let file = self.folder.path().join("output");
        let mut child = self.command(command, &file).spawn().unwrap();
        let status = end_of(&mut child, || {
            // A command may tell the server to end, and wait for that.
            if let Some(server) = &mut self.server {
                let _ended = server.child.try_wait();
            }
        });
        let _gone = killpg(pid(&child), Signal::SIGKILL);
        let output = fs::read_to_string(file).unwrap();
        let Some(status) = status else {
            panic!("{page}:{line}: `{command}` has not ended within {PATIENCE:?}\n{output}");
        };
        let wanted = wanted_code(command);
        if status.code() != Some(wanted) {
            self.report();
            panic!("{page}:{line}: `{command}` ended with {status} and not with {wanted}\n{output}");
        }
        if !is_as_shown(expected, &output) {
            self.wrong
                .push(difference(page, line, command, expected, &output));
        }
    }

    fn serve(&mut self, page: &str, line: usize, command: &str, expected: &[String]) {
        if let Some(mut former) = self.server.take() {
            assert!(
                end_of(&mut former.child, || ()).is_some(),
                "{page}:{line}: another server still runs"
            );
        }
        self.servers += 1;
        let output = self.folder.path().join(format!("server-{}", self.servers));
        let command = match command.strip_prefix("podium up") {
            Some(rest) => format!("exec podium up --listen 127.0.0.1:0{rest}"),
            None => format!("exec {command}"),
        };
        let child = self.command(&command, &output).spawn().unwrap();
        let server = self.server.insert(Server {
            child,
            output,
            seen: 0,
        });
        let began = Instant::now();
        let shown = loop {
            let ended = server.child.try_wait().unwrap().is_some();
            let said = fs::read_to_string(&server.output).unwrap();
            let is_up = said.contains("Try next") || said.contains("serving on");
            // What is shown may come in several pieces.
            if is_up && is_as_shown(expected, &said) {
                server.seen = said.len();
                break None;
            }
            if ended || began.elapsed() > PATIENCE {
                break Some(said);
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if let Some(said) = shown {
            self.wrong.push(difference(page, line, &command, expected, &said));
        }
    }

    fn interrupt(&mut self, page: &str, line: usize, expected: &[String]) {
        let mut server = self.server.take().expect("Ctrl-C without a server");
        killpg(pid(&server.child), Signal::SIGINT).unwrap();
        let status = end_of(&mut server.child, || ());
        let said = fs::read_to_string(&server.output).unwrap();
        let rest = said.get(server.seen..).unwrap_or_default();
        assert!(
            status.is_some_and(|status| status.success()),
            "{page}:{line}: Ctrl-C did not end the server well: {status:?}\n{said}"
        );
        if !is_as_shown(expected, rest) {
            self.wrong.push(difference(page, line, "^C", expected, rest));
        }
    }

    fn report(&mut self) {
        for wrong in self.wrong.drain(..) {
            eprintln!("{wrong}");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take()
            && server.child.try_wait().is_ok_and(|ended| ended.is_none())
        {
            let _gone = killpg(pid(&server.child), Signal::SIGINT);
            if end_of(&mut server.child, || ()).is_none() {
                let _gone = server.child.kill();
            }
        }
        // What `serve` left running ends when its folder goes away. A server of root has volumes elsewhere.
        for data in [
            self.work().join("podium-data"),
            self.folder.path().join("home/.local/share/podium"),
        ] {
            if let Ok(elsewhere) = fs::read_link(data.join("runner/open")) {
                let _gone = fs::remove_dir_all(elsewhere);
            }
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// Waits for the end of a process; `None` when it takes too long.
fn end_of(child: &mut Child, mut meanwhile: impl FnMut()) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if began.elapsed() > PATIENCE {
            return None;
        }
        meanwhile();
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn difference(page: &str, line: usize, command: &str, expected: &[String], output: &str) -> String {
    let mut text =
        format!("{page}:{line}: `{command}` prints something else than the page shows\nthe page:\n");
    for line in expected {
        writeln!(text, "    {line}").unwrap();
    }
    writeln!(text, "the command:").unwrap();
    for line in trimmed(output) {
        writeln!(text, "    {line}").unwrap();
    }
    text
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            // With its mode: some of them are run.
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// One page at a time: servers side by side would give their workloads the same ports.
static TURN: Mutex<()> = Mutex::new(());

/// Does what a page says. `at_least` is how many commands it must have.
fn follow(page: &str, at_least: usize) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let steps = steps(&text);
    let commands = steps
        .iter()
        .filter(|step| matches!(step, Step::Run { .. }))
        .count();
    assert!(
        commands >= at_least,
        "{page} has {commands} commands, and had at least {at_least}"
    );
    let mut reader = Reader::new();
    for step in &steps {
        reader.follow(page, step);
    }
    let wrong = reader.wrong.len();
    reader.report();
    assert_eq!(wrong, 0, "{page} shows what is not so; see above");
}

#[test]
fn readme() {
    follow("README.md", 3);
}

#[test]
fn tutorial() {
    follow("docs/tutorial.md", 25);
}

#[test]
fn how_to_write_a_module() {
    follow("docs/how-to/write-a-module.md", 12);
}

#[test]
fn how_to_operate() {
    follow("docs/how-to/operate.md", 10);
}

#[test]
fn how_to_use_score() {
    follow("docs/how-to/score.md", 6);
}

#[test]
fn how_to_use_kubectl() {
    if std::env::var_os("PODIUM_TEST_KUBECTL").is_none() {
        eprintln!("not followed: PODIUM_TEST_KUBECTL names no kubectl (cargo xtask test brings one)");
        return;
    }
    follow("docs/how-to/use-kubectl-and-argocd.md", 8);
}

/// Every page of docs/how-to has a test above.
#[test]
fn no_page_is_forgotten() {
    let mut pages: Vec<String> = fs::read_dir(repository().join("docs/how-to"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(
        pages,
        [
            "operate.md",
            "score.md",
            "use-kubectl-and-argocd.md",
            "write-a-module.md"
        ]
    );
}

/// What pages link to is there.
#[test]
fn links_lead_somewhere() {
    let root = repository();
    let mut pages = vec![
        "README.md".into(),
        "CONTRIBUTING.md".into(),
        "CHANGELOG.md".into(),
    ];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut followed = 0;
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            followed += 1;
            if !root.join(&page).parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(followed > 20, "only {followed} links were found");
    assert_eq!(broken, Vec::<String>::new());
}

/// The names of tests that the architecture says hold a rule are names of tests.
#[test]
fn rules_are_held_by_tests_that_are_there() {
    let root = repository();
    let mut sources = String::new();
    let mut folders = vec![root.join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let mut named = 0;
    let mut missing = Vec::new();
    for held in page.split("*Held by*").skip(1) {
        let held = held
            .split(". ")
            .next()
            .unwrap_or_default()
            .split(".\n")
            .next()
            .unwrap_or_default();
        for name in held.split('`').skip(1).step_by(2) {
            named += 1;
            if !sources.contains(&format!("fn {name}(")) {
                missing.push(name);
            }
        }
    }
    assert!(named > 50, "only {named} tests are named");
    assert_eq!(missing, Vec::<&str>::new());
}

/// Which of our crates each of them may use, as docs/architecture.md has it; development dependencies aside.
#[test]
fn dependencies_go_one_way() {
    let allowed: &[(&str, &[&str])] = &[
        ("model", &[]),
        ("document", &[]),
        ("schema", &[]),
        ("store", &[]),
        ("expressions", &["model"]),
        ("runners", &["model"]),
        ("frontends", &["model", "document"]),
        ("planner", &["model", "schema", "document", "expressions"]),
        ("engine", &["model", "store"]),
        ("drivers", &["model", "document", "runners"]),
        ("apiserver", &["model", "schema", "document", "store"]),
        ("testkit", &["model", "store", "engine"]),
    ];
    for (name, allowed) in allowed {
        let manifest = repository().join("crates").join(name).join("Cargo.toml");
        let text = fs::read_to_string(manifest).unwrap();
        let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        let used: Vec<&str> = dependencies
            .lines()
            .filter_map(|line| line.strip_prefix("podium-")?.split(['.', ' ', '=']).next())
            .collect();
        let beyond: Vec<&&str> = used.iter().filter(|used| !allowed.contains(used)).collect();
        assert!(beyond.is_empty(), "crates/{name} uses {beyond:?}");
    }
}

/// Every reason that the page of operators explains is one that the server gives.
#[test]
fn reasons_are_those_of_the_server() {
    let root = repository();
    let mut sources = String::new();
    let mut folders = vec![root.join("crates/control/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let page = fs::read_to_string(root.join("docs/how-to/operate.md")).unwrap();
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| reason |"))
        .skip(2);
    let reasons: Vec<&str> = rows
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert!(reasons.len() > 15, "{reasons:?}");
    for reason in reasons {
        assert!(sources.contains(&format!("\"{reason}\"")), "{reason}");
    }
}

/// Exact text of the comparison itself: a page that shows something else is caught.
#[test]
fn what_is_not_so_is_seen() {
    let page = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let output = "\nfirst\n  port 4711 of 127.0.0.1\nlast\n";
    for shown in [
        &["first", "  port ... of 127.0.0.1", "last"][..],
        &["...", "last"],
        &["first", "..."],
        &["...", "...4711...", "..."],
        &[],
    ] {
        assert!(is_as_shown(&page(shown), output), "{shown:?}");
    }
    for shown in [
        &["first"][..],
        &["first", "last"],
        &["first", "  port ... of localhost", "last"],
        &["first", "port ... of 127.0.0.1", "last"],
        &["...", "first", "last"],
        &["first", "...", "last", "more"],
    ] {
        assert!(!is_as_shown(&page(shown), output), "{shown:?}");
    }
}

#[test]
fn pages_are_read_as_they_are_written() {
    let page = "text\n\n```yaml file=a/b.yaml\nx: 1\n  y: 2\n```\n\n```console\n$ one \\\n  two # exits 2\nanswer\n\n...\n^C\nbye\n```\n\
                \n- item\n  ```sh\n  three\n  ```\n\n```text\n$ four\n```\n";
    let texts = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        steps(page),
        [
            Step::Write {
                name: "a/b.yaml".to_owned(),
                text: "x: 1\n  y: 2\n".to_owned()
            },
            Step::Run {
                line: 9,
                command: "one \\\n  two # exits 2".to_owned(),
                expected: texts(&["answer", "", "..."]),
            },
            Step::Interrupt {
                line: 14,
                expected: texts(&["bye"])
            },
            Step::Run {
                line: 20,
                command: "three".to_owned(),
                expected: Vec::new()
            },
        ]
    );
    assert_eq!(wanted_code("one # exits 2"), 2);
    assert_eq!(wanted_code("one"), 0);
}
