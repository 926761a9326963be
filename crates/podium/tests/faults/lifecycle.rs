//! What outlives a server and what ends with it: `serve` leaves workloads running, `up` stops all that it started.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value as Json;

use super::processes::{below, runs, shims, signal, workload_shims};
use super::support::{PATIENCE, PODIUM, World, http_get};

const WORKLOAD: &str = "apiVersion: score.dev/v1b1
metadata: {name: app}
containers:
  main:
    image: app
    command: [/bin/sh, -c]
    args:
      - |
        echo \"started\"
        touch ready
        while :; do sleep 1; done
    readinessProbe: {exec: {command: [test, -e, ready]}}
";

fn deployed() -> World {
    let world = World::start();
    world.bring("examples/platform", "platform");
    world.ok("apply -f platform/10-workload.yaml");
    world.ok("create project life");
    world.ok("create environment -p life -e dev");
    world.write("score.yaml", WORKLOAD);
    world.ok("deploy score.yaml -n life-dev --yes");
    world
}

fn phase(world: &World) -> String {
    let status = world.json("status -n life-dev");
    status["workloads"][0]["phase"].as_str().unwrap().to_owned()
}

/// The one shim of the world's one workload, and the processes below it that last: a shell's `sleep` comes and goes.
fn running(world: &World) -> (u32, u32) {
    world.until("one workload that runs", || {
        let shims = workload_shims(&world.data());
        let shim = *shims.first()?;
        assert_eq!(shims.len(), 1, "{shims:?}");
        let shell = below(shim).into_iter().find(|pid| {
            super::processes::arguments(*pid)
                .first()
                .is_some_and(|word| word == "/bin/sh")
        })?;
        Some((shim, shell))
    })
}

#[test]
fn workloads_outlive_the_server_and_are_taken_over() {
    let mut world = deployed();
    let before = running(&world);

    world.stop();
    assert!(
        runs(before.0) && runs(before.1),
        "SIGTERM to the server ended the workload"
    );
    world.serve();
    assert_eq!(phase(&world), "Ready");
    assert_eq!(running(&world), before);

    world.kill();
    assert!(
        runs(before.0) && runs(before.1),
        "SIGKILL of the server ended the workload"
    );
    world.serve();
    assert_eq!(phase(&world), "Ready");
    assert_eq!(running(&world), before);
    let logs = world.ok("logs app -n life-dev").stdout;
    assert_eq!(logs.matches("main out started").count(), 1, "{logs}");

    // Killed by hand: its shim starts it again, and that is shown.
    signal(before.1, Signal::SIGKILL);
    world.until("the workload to be shown as degraded", || {
        (phase(&world) == "Degraded").then_some(())
    });
    world.until("the workload to be ready again", || {
        (phase(&world) == "Ready").then_some(())
    });
    let after = running(&world);
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1);
    let logs = world.ok("logs app -n life-dev").stdout;
    assert_eq!(logs.matches("main out started").count(), 2, "{logs}");
    assert!(
        logs.contains("it ended with signal 9") || logs.contains("SIGKILL"),
        "{logs}"
    );

    // The shim itself: what it kept ends with it, and the server starts both again.
    signal(after.0, Signal::SIGKILL);
    world.until("the end of what the shim kept", || (!runs(after.1)).then_some(()));
    world.until("another shim", || {
        workload_shims(&world.data())
            .first()
            .filter(|pid| **pid != after.0)
            .copied()
    });
    world.until("the workload to be ready again", || {
        (phase(&world) == "Ready").then_some(())
    });
    let again = running(&world);
    assert!(again.0 != after.0 && again.1 != after.1);

    // And while no server watches: the next one starts it.
    world.kill();
    signal(again.0, Signal::SIGKILL);
    let begin = Instant::now();
    while runs(again.1) {
        assert!(begin.elapsed() < PATIENCE, "the workload outlives its shim");
        std::thread::sleep(Duration::from_millis(20));
    }
    world.serve();
    world.until("the workload to run and be ready", || {
        (phase(&world) == "Ready" && !workload_shims(&world.data()).is_empty()).then_some(())
    });

    world.ok("destroy -n life-dev --yes");
    assert_eq!(shims(&world.data()), Vec::<u32>::new());
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let world = deployed();
    let before = running(&world);
    for command in ["serve", "up"] {
        let second = Command::new(PODIUM)
            .args([command, "--listen", "127.0.0.1:0", "--data"])
            .arg(world.data())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(second.stderr).unwrap();
        assert_eq!(second.status.code(), Some(1), "podium {command}: {said}");
        let pid = world.pid().to_string();
        assert!(
            said.contains("another server") && said.contains(&pid),
            "podium {command}: {said}"
        );
        assert_eq!(second.stdout, b"", "podium {command}");
    }
    assert_eq!(phase(&world), "Ready");
    assert_eq!(running(&world), before);
}

#[test]
fn a_taken_address_is_told_with_a_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let refused = Command::new(PODIUM)
        .args(["serve", "--listen", &address, "--data"])
        .arg(folder.path().join("data"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

const SLOW: &str = "apiVersion: podium.dev/v1alpha1
kind: ResourceType
metadata: {name: slow}
spec: {type: slow, params: {type: object}, outputs: {type: object}}
---
apiVersion: podium.dev/v1alpha1
kind: Module
metadata: {name: slow}
spec:
  type: slow
  driver: script
  owner: platform
  script: {apply: [{name: sleep, run: sleep 300}]}
---
apiVersion: podium.dev/v1alpha1
kind: ModuleRule
metadata: {name: any-slow}
spec: {module: slow}
";

const SLOW_SCORE: &str = "apiVersion: score.dev/v1b1
metadata: {name: waits}
containers: {main: {image: x, command: [sleep, \"300\"]}}
resources: {slow: {type: slow}}
";

/// `podium up --demo` in a folder without examples, with nothing of a terminal.
struct Up {
    process: Child,
    talk: String,
    data: BufReader<std::process::ChildStdout>,
}

impl Up {
    fn begin(folder: &Path) -> Self {
        let mut process = Command::new(PODIUM)
            .args(["up", "--demo", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let data = BufReader::new(process.stdout.take().unwrap());
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let mut talk = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "podium up ended: {talk}");
            talk.push_str(&line);
            if line.contains("podium destroy") || line.contains(" destroy -p demo") {
                break;
            }
        }
        std::thread::spawn(move || {
            let mut rest = String::new();
            let _ended = lines.read_to_string(&mut rest);
        });
        Self { process, talk, data }
    }

    fn stop(mut self, with: Signal) {
        signal(self.process.id(), with);
        assert!(self.process.wait().unwrap().success(), "{}", self.talk);
    }
}

fn command(folder: &Path, line: &str) -> String {
    let answer = Command::new(PODIUM)
        .args(line.split(' '))
        .current_dir(folder)
        .arg("--kubeconfig")
        .arg(folder.join("data/kubeconfig"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(answer.stdout).unwrap(),
        String::from_utf8(answer.stderr).unwrap(),
    );
    assert!(answer.status.success(), "podium {line}: {out}{err}");
    out
}

fn client(folder: &Path, line: &str) -> Json {
    serde_json::from_str(&command(folder, line)).unwrap()
}

fn url(folder: &Path) -> String {
    let status = client(folder, "status -p demo -e dev -o json");
    assert_eq!(status["workloads"][0]["phase"], "Ready", "{status:#}");
    status["workloads"][0]["urls"][0].as_str().unwrap().to_owned()
}

fn post(url: &str, path: &str, body: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn up_stops_all_that_it_started_and_brings_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut first = Up::begin(folder.path());
    let place = url(folder.path());
    let mut told = String::new();
    first.data.read_line(&mut told).unwrap();
    assert!(told.contains(&place), "{told:?} is no line with {place}");
    assert!(
        !first.talk.contains('\u{1b}'),
        "no terminal, no escape sequences: {:?}",
        first.talk
    );
    let answer = post(&place, "/notes", "text=remember+this");
    assert!(
        answer.starts_with("HTTP/1.0 303") || answer.starts_with("HTTP/1.0 200"),
        "{answer}"
    );
    assert!(http_get(&place, "/").contains("remember this"));
    let started: Vec<u32> = shims(&data)
        .into_iter()
        .flat_map(|shim| [vec![shim], below(shim)].concat())
        .collect();
    assert!(started.len() >= 2, "{started:?}");

    first.stop(Signal::SIGINT);
    assert!(
        started.iter().all(|pid| !runs(*pid)),
        "something of {started:?} still runs"
    );
    assert_eq!(shims(&data), Vec::<u32>::new());

    let second = Up::begin(folder.path());
    let place = url(folder.path());
    assert!(
        http_get(&place, "/").contains("remember this"),
        "the note is gone"
    );
    // The sample of the binary itself, since this folder has none.
    assert!(data.join("quickstart/score.yaml").is_file());
    // A step that would go on for long is ended too.
    std::fs::write(folder.path().join("slow.yaml"), SLOW).unwrap();
    command(folder.path(), "apply -f slow.yaml");
    std::fs::write(folder.path().join("slow-score.yaml"), SLOW_SCORE).unwrap();
    client(
        folder.path(),
        "deploy slow-score.yaml -p demo -e dev --yes --detach -o json",
    );
    let begin = Instant::now();
    while shims(&data).len() < 2 {
        assert!(begin.elapsed() < PATIENCE, "the slow step does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    second.stop(Signal::SIGTERM);
    assert_eq!(shims(&data), Vec::<u32>::new());
    let elsewhere = std::fs::read_link(data.join("runner/open"));
    drop(folder);
    if let Ok(elsewhere) = elsewhere {
        std::fs::remove_dir_all(elsewhere).unwrap();
    }
}
