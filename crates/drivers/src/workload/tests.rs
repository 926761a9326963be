use std::sync::Arc;
use std::time::Duration;

use podium_model::kinds::DriverKind;
use podium_model::secret::{Revealed, Secret};
use podium_model::value::Value as ModelValue;
use podium_runners::{
    BeforeCondition, ContainerState, ContainerStatus, Exit, FileContent, ProbeAction, RestartPolicy, Value,
    WorkloadSpec, WorkloadStatus,
};
use serde_json::{Value as Json, json};

use super::{DigestKey, WorkloadDriver, document, refusals, specification, warnings};
use crate::interface::{Driver, Operation, Outcome};
use crate::testing::{FakeRunner, operation as plain_operation};

fn shop() -> Json {
    json!({
        "metadata": {"name": "shop", "annotations": {"podium.dev/progress-deadline-seconds": "7"}},
        "service": {"ports": {"web": {"port": 80, "targetPort": 8080}, "admin": {"port": 9000, "protocol": "UDP"}}},
        "containers": {
            "main": {
                "image": "shop:1",
                "command": ["podium", "sample"],
                "args": ["--verbose"],
                "variables": {"DSN": "pg://hunter2@h", "LEVEL": "info"},
                "files": {
                    "/etc/shop.conf": {"content": "a=1\npassword=hunter2\n", "mode": "0600"},
                    "/icon": {"binaryContent": "AAE="}
                },
                "volumes": {"/data": {"source": "volume:shop-dev/data-1", "readOnly": true}},
                "readinessProbe": {"httpGet": {"port": 8080, "path": "/ready", "host": "shop.example"}},
                "livenessProbe": {"exec": {"command": ["check"]}},
            },
            "init": {"image": ".", "command": ["migrate"], "before": {"main": {"ready": "complete"}}},
        },
        "ports": {"web": 20001, "admin": 20002},
    })
}

fn operation(inputs: Json) -> Operation {
    let mut operation = plain_operation(DriverKind::Workload);
    operation.inputs = Revealed::new(inputs, vec![Secret::new("hunter2")]);
    operation
}

fn key() -> DigestKey {
    DigestKey::new(&[7; 32])
}

async fn built(inputs: Json) -> WorkloadSpec {
    let operation = operation(inputs);
    let document = document::read(operation.inputs.expose(), &operation.ports).unwrap();
    specification::build(&operation, &document, &FakeRunner::default(), &key())
        .await
        .unwrap()
}

fn problems(change: impl FnOnce(&mut Json)) -> String {
    let mut inputs = shop();
    change(&mut inputs);
    document::read(&inputs, &[].into()).unwrap_err().join("\n")
}

#[tokio::test]
async fn a_score_document_becomes_processes() {
    let spec = built(shop()).await;
    assert_eq!(spec.uid, "uid-1");
    assert!(spec.may_run_podium);
    let [init, main] = spec.containers.as_slice() else {
        panic!()
    };

    assert_eq!(
        (init.name.as_str(), init.restart),
        ("init", RestartPolicy::OnFailure)
    );
    assert_eq!(
        main.after,
        [("init".to_owned(), BeforeCondition::Complete)].into()
    );
    assert_eq!(main.argv, ["podium", "sample", "--verbose"]);

    let env = |name: &str| {
        main.env
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let plain = |text: &str| Some(Value::Plain(text.into()));
    assert_eq!(env("PORT"), plain("20002"), "admin is the first by name");
    assert_eq!(env("PORT_WEB"), plain("20001"));
    assert_eq!(env("HOST"), plain("127.0.0.1"));
    assert_eq!(env("PODIUM_ROOT"), plain("/roots/uid-1"));
    assert_eq!(env("PATH"), plain("/podium:/usr/bin:/bin"));
    assert_eq!(env("LEVEL"), plain("info"));
    assert_eq!(env("DSN"), Some(Value::Secret(Secret::new("pg://hunter2@h"))));

    let file = |path: &str| main.files.iter().find(|file| file.path == path).unwrap();
    assert_eq!(file("etc/shop.conf").mode, 0o600);
    assert_eq!(file("icon").content, FileContent::Bytes(vec![0, 1]));
    assert_eq!(main.volumes[0].source.to_str(), Some("/volumes/shop-dev/data-1"));
    assert!(main.volumes[0].read_only);

    let ProbeAction::HttpGet {
        host,
        port,
        path,
        headers,
        ..
    } = &main.readiness.as_ref().unwrap().action
    else {
        panic!()
    };
    assert_eq!(
        (host.as_str(), *port, path.as_str()),
        ("127.0.0.1", 20001, "/ready")
    );
    assert_eq!(headers, &[("Host".to_owned(), "shop.example".to_owned())]);
    assert!(
        matches!(&main.liveness.as_ref().unwrap().action, ProbeAction::Exec { argv } if argv == &["check"])
    );
}

#[tokio::test]
async fn the_digest_tells_what_runs_and_nothing_of_the_secrets() {
    let digest = built(shop()).await.digest;
    assert_eq!(built(shop()).await.digest, digest);
    let changed = async |change: fn(&mut Json)| {
        let mut inputs = shop();
        change(&mut inputs);
        built(inputs).await.digest != digest
    };
    assert!(!changed(|inputs| inputs["metadata"]["annotations"]["team"] = json!("a")).await);
    assert!(changed(|inputs| inputs["containers"]["main"]["variables"]["LEVEL"] = json!("debug")).await);
    assert!(changed(|inputs| inputs["ports"]["web"] = json!(20009)).await);
    assert!(
        changed(|inputs| inputs["containers"]["main"]["volumes"]["/data"]["readOnly"] = json!(false)).await
    );
    let operation = operation(shop());
    let document = document::read(operation.inputs.expose(), &operation.ports).unwrap();
    let other = DigestKey::new(&[8; 32]);
    let spec = specification::build(&operation, &document, &FakeRunner::default(), &other)
        .await
        .unwrap();
    assert_ne!(
        spec.digest, digest,
        "without the key it cannot be computed from a guess"
    );
}

#[test]
fn everything_that_processes_cannot_do_is_named_at_once() {
    let all = problems(|inputs| {
        let main = &mut inputs["containers"]["main"];
        main["command"] = json!([]);
        main["volumes"]["/data"]["path"] = json!("sub");
        main["files"]["/a"] = json!({"source": "x"});
        main["readinessProbe"]["httpGet"]["scheme"] = json!("HTTPS");
        inputs["containers"]["init"]["before"] =
            json!({"nobody": {"ready": "started"}, "init": {"ready": "started"}});
    });
    for expected in [
        "containers.main has no `command`",
        "containers.main.volumes./data has a `path`",
        "containers.main.files./a has no content",
        "containers.main.readinessProbe.httpGet asks by HTTPS",
        "containers.init.before.nobody names a container that does not exist",
        "containers.init.before.init names the container itself",
    ] {
        assert!(all.contains(expected), "{expected} is missing in:\n{all}");
    }
}

#[test]
fn other_mistakes_are_named_without_showing_texts() {
    type Change = fn(&mut Json);
    let cases: [(Change, &str); 9] = [
        (
            |inputs| inputs["ports"] = json!({"web": 1}),
            "service.ports.admin has no port allotted",
        ),
        (
            |inputs| inputs["ports"]["web"] = json!("hunter2"),
            "ports.web must be a port",
        ),
        (
            |inputs| inputs["containers"] = json!({}),
            "at least one container",
        ),
        (
            |inputs| inputs["containers"]["main"]["variables"] = json!("hunter2"),
            "variables must be a map",
        ),
        (
            |inputs| inputs["containers"]["main"]["variables"]["X"] = json!(["hunter2"]),
            "variables.X must be a text",
        ),
        (
            |inputs| inputs["containers"]["main"]["files"]["/icon"]["binaryContent"] = json!("hunter2!"),
            "base64",
        ),
        (
            |inputs| inputs["containers"]["main"]["readinessProbe"]["httpGet"]["path"] = json!("/a\r\nX: y"),
            "characters that HTTP does not allow",
        ),
        (
            |inputs| inputs["containers"]["init"]["files"] = json!({"etc/shop.conf": {"content": "hunter2"}}),
            "differs from that of container init",
        ),
        (
            |inputs| inputs["containers"]["init"]["before"]["main"]["ready"] = json!("healthy"),
            "no probe that tells",
        ),
    ];
    for (change, expected) in cases {
        let found = problems(change);
        assert!(found.contains(expected), "{expected}: {found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[tokio::test]
async fn volumes_of_other_environments_and_folders_are_refused() {
    for source in ["volume:shop-prod/data-1", "/etc", "../x"] {
        let mut inputs = shop();
        inputs["containers"]["main"]["volumes"]["/data"]["source"] = json!(source);
        let runner = Arc::new(FakeRunner::default());
        let driver = WorkloadDriver::new(runner.clone(), key());
        let outcome = driver.apply(&operation(inputs)).await;
        let Outcome::Failed {
            message,
            retriable: false,
            ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert!(
            message.contains("containers.main.volumes./data: source"),
            "{message}"
        );
        assert!(runner.started.lock().unwrap().is_empty());
    }
}

#[test]
fn the_plan_is_told_what_will_not_work() {
    let mut inputs = shop();
    inputs["containers"]["init"]["command"] = Json::Null;
    inputs["containers"]["main"]["resources"] = json!({"limits": {"memory": "1Gi"}});
    inputs["containers"]["main"]["variables"]["PORT"] = json!("8080");
    let value = ModelValue::from_json(&inputs);
    assert_eq!(refusals(&value).len(), 1);
    assert!(refusals(&value)[0].starts_with("containers.init has no `command`"));
    let warned = warnings(&value).join("\n");
    assert!(
        warned.contains("containers.main.resources") && warned.contains("variables.PORT"),
        "{warned}"
    );
    assert!(
        refusals(&ModelValue::from_json(&shop())).is_empty()
            && warnings(&ModelValue::from_json(&shop())).is_empty()
    );
}

fn container(name: &str, state: ContainerState) -> ContainerStatus {
    serde_json::from_value(json!({"name": name, "state": state})).unwrap()
}

fn status(digest: &str, ready: bool, containers: Vec<ContainerStatus>) -> WorkloadStatus {
    WorkloadStatus {
        digest: digest.to_owned(),
        ready,
        stopping: false,
        containers,
    }
}

async fn applied(statuses: Vec<WorkloadStatus>) -> Outcome {
    let runner = Arc::new(FakeRunner::default());
    *runner.statuses.lock().unwrap() = statuses;
    *runner.log.lock().unwrap() = vec!["2026-01-01T00:00:00.000Z main err cannot bind hunter2\n".into()];
    WorkloadDriver::new(runner, key()).apply(&operation(shop())).await
}

#[tokio::test(start_paused = true)]
async fn it_is_applied_once_what_was_asked_for_is_ready() {
    let digest = built(shop()).await.digest;
    let outcome = applied(vec![
        // What ran before, and is still being replaced.
        status("other", true, vec![]),
        status(&digest, false, vec![container("main", ContainerState::Starting)]),
        status(&digest, true, vec![container("main", ContainerState::Running)]),
    ])
    .await;
    let Outcome::Applied {
        outputs, sensitive, ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        outputs.expose(),
        &json!({
            "name": "shop", "host": "127.0.0.1", "ports": {"admin": 20002, "web": 20001},
            "urls": ["http://127.0.0.1:20001"]
        })
    );
    assert!(sensitive.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_progress_deadline_names_the_probe_and_its_last_failure() {
    let digest = built(shop()).await.digest;
    let mut main = container("main", ContainerState::Running);
    main.probe_failure = Some("connection refused".into());
    let began = tokio::time::Instant::now();
    let outcome = applied(vec![status(
        &digest,
        false,
        vec![container("init", ContainerState::Completed), main],
    )])
    .await;
    assert_eq!(began.elapsed(), Duration::from_secs(7));
    let Outcome::Failed {
        step,
        message,
        output_tail,
        retriable,
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!((step.as_str(), retriable), ("main", false));
    assert!(message.contains("progress deadline of 7 s"), "{message}");
    let probe = "the readiness probe (GET http://127.0.0.1:20001/ready) of container main failed last with: connection refused";
    assert!(message.contains(probe), "{message}");
    assert_eq!(output_tail, "cannot bind (secret)");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_gave_up_ends_the_waiting_and_one_that_waits_is_not_blamed() {
    let digest = built(shop()).await.digest;
    let mut failed = container("init", ContainerState::Failed);
    failed.last_exit = Some(Exit::Code(2));
    let outcome = applied(vec![status(&digest, false, vec![failed])]).await;
    let Outcome::Failed { step, message, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        step == "init" && message.contains("init ended with exit code 2 and is not started again"),
        "{message}"
    );

    let mut backoff = container("init", ContainerState::Backoff);
    backoff.last_exit = Some(Exit::Code(1));
    backoff.restarts = 3;
    let waiting = container("main", ContainerState::Waiting);
    let outcome = applied(vec![status(&digest, false, vec![waiting, backoff])]).await;
    let Outcome::Failed { step, message, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        step == "init" && message.contains("init ended with exit code 1, 3 restarts so far"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_can_be_stopped() {
    let driver = Arc::new(WorkloadDriver::new(Arc::new(FakeRunner::default()), key()));
    let operation = operation(shop());
    let step = operation.step.clone();
    let applying = tokio::spawn({
        let driver = Arc::clone(&driver);
        async move { driver.apply(&operation).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    driver.stop(&step).await;
    let outcome = applying.await.unwrap();
    let Outcome::Failed {
        message,
        retriable: false,
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(message.contains("told to stop"), "{message}");
    assert!(!driver.stops.tell(&step), "nobody listens any more");
}
