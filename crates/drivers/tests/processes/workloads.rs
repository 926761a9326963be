//! Workloads that really run.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use podium_drivers::{Operation, Outcome};
use podium_model::kinds::DriverKind;
use podium_model::secret::{Revealed, Secret};
use serde_json::{Value as Json, json};

use crate::Test;
use crate::support::{Bench, drivers_at, failure, made, operation, wait_for};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_workload_answers_is_kept_replaced_and_removed",
        a_workload_answers_is_kept_replaced_and_removed,
    ),
    (
        "one_that_never_answers_names_its_probe",
        one_that_never_answers_names_its_probe,
    ),
    (
        "a_command_that_does_not_exist_is_named",
        a_command_that_does_not_exist_is_named,
    ),
];

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn workload(step: &str, port: u16, command: &[&str], variables: &Json) -> Operation {
    let mut operation = operation(step, json!({"type": "workload", "driver": "workload"}));
    let inputs = json!({
        "metadata": {"name": "shop", "annotations": {"podium.dev/progress-deadline-seconds": "20"}},
        "service": {"ports": {"web": {"port": 80}}},
        "ports": {"web": port},
        "containers": {"main": {
            "image": ".", "command": command, "variables": variables,
            "volumes": {"/data": {"source": "volume:shop-dev/data-1"}},
            "readinessProbe": {"httpGet": {"port": 80, "path": "/"}},
        }},
    });
    operation.inputs = Revealed::new(inputs, vec![Secret::new("hunter2")]);
    operation
}

fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.rsplit("\r\n").next()?.to_owned())
}

fn logged(bench: &Bench) -> String {
    std::fs::read_to_string(bench.folder.path().join("runner/workloads/uid-1/log")).unwrap_or_default()
}

fn a_workload_answers_is_kept_replaced_and_removed() {
    let bench = Bench::new();
    let driver = bench.drivers.get(DriverKind::Workload);
    let port = free_port();
    let first = workload(
        "apply-1",
        port,
        &["podium", "answer"],
        &json!({"TOKEN": "hunter2"}),
    );
    let volume = bench.folder.path().join("runner/volumes/shop-dev/data-1");
    wait_for(async {
        let outputs = made(driver.apply(&first).await).outputs;
        assert_eq!(
            outputs.expose(),
            &json!({"name": "shop", "host": "127.0.0.1", "ports": {"web": port}, "urls": [format!("http://127.0.0.1:{port}")]})
        );
        std::fs::write(volume.join("greeting"), "hello").unwrap();
        std::os::unix::fs::chown(volume.join("greeting"), owner(&volume).0, owner(&volume).1).unwrap();
        assert_eq!(get(port).as_deref(), Some("hello"));
        assert_eq!(driver.observe(&first).await.healthy, Some(true));
        assert!(
            logged(&bench).contains("listening with (secret)"),
            "{}",
            logged(&bench)
        );

        // The same again, by a later server: nothing is started anew.
        let later = drivers_at(bench.folder.path()).get(DriverKind::Workload);
        made(later.recover(&first, false).await);
        assert_eq!(logged(&bench).matches("listening").count(), 1);

        let second = workload("apply-2", port, &["podium", "answer"], &json!({"TOKEN": "two"}));
        made(later.apply(&second).await);
        assert!(
            logged(&bench).contains("listening with two"),
            "{}",
            logged(&bench)
        );
        assert_eq!(get(port).as_deref(), Some("hello"), "the volume is kept");

        for _ in 0..2 {
            assert!(matches!(driver.destroy(&second).await, Outcome::Destroyed));
        }
        assert_eq!(get(port), None);
        assert_eq!(driver.observe(&second).await.healthy, Some(false));
        assert!(volume.exists(), "a volume is a resource of its own");
    });
}

fn owner(path: &std::path::Path) -> (Option<u32>, Option<u32>) {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata().unwrap();
    (Some(metadata.uid()), Some(metadata.gid()))
}

fn one_that_never_answers_names_its_probe() {
    let bench = Bench::new();
    let port = free_port();
    let mut operation = workload(
        "apply-1",
        port,
        &["sh", "-c", "echo no listener, but $TOKEN; sleep 60"],
        &json!({"TOKEN": "hunter2"}),
    );
    let mut inputs = operation.inputs.expose().clone();
    inputs["metadata"]["annotations"]["podium.dev/progress-deadline-seconds"] = json!("3");
    operation.inputs = Revealed::new(inputs, operation.inputs.secrets().to_vec());
    let driver = bench.drivers.get(DriverKind::Workload);
    let (step, message, output) = failure(wait_for(driver.apply(&operation)));
    assert_eq!(step, "main");
    assert!(
        message.contains(&format!("GET http://127.0.0.1:{port}/")) && message.contains("deadline of 3 s"),
        "{message}"
    );
    assert_eq!(output, "no listener, but (secret)");
    assert!(matches!(wait_for(driver.destroy(&operation)), Outcome::Destroyed));
}

fn a_command_that_does_not_exist_is_named() {
    let bench = Bench::new();
    let mut operation = workload("apply-1", free_port(), &["no-such-command"], &json!({}));
    let mut inputs = operation.inputs.expose().clone();
    inputs["metadata"]["annotations"]["podium.dev/progress-deadline-seconds"] = json!("3");
    operation.inputs = Revealed::new(inputs, Vec::new());
    let driver = bench.drivers.get(DriverKind::Workload);
    let (step, message, _) = failure(wait_for(driver.apply(&operation)));
    assert!(step == "main" && message.contains("no-such-command"), "{message}");
}
