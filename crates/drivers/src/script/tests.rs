use std::sync::Arc;

use bytes::Bytes;
use podium_model::kinds::{DriverKind, Recovery};
use podium_model::secret::{Revealed, Secret};
use podium_runners::archive::{Archive, Entry};
use podium_runners::{
    Exit, FileContent, LogVisibility, ResultContent, RunnerError, StepEnd, StepOutcome, StepSpec, Value,
};
use serde_json::{Value as Json, json};

use super::{ScriptDriver, missing_tools};
use crate::interface::{Driver, KeptState, Operation, Outcome, Previous};
use crate::testing::{FakeRunner, operation as plain_operation};

fn operation() -> Operation {
    let mut operation = plain_operation(DriverKind::Script);
    let content = Arc::make_mut(&mut operation.content);
    content.script = Some(
        serde_json::from_value(json!({
            "apply": [{"name": "make it", "run": "echo"}, {"name": "check", "command": ["./check", "--all"]}],
            "destroy": [{"name": "remove", "run": "echo"}],
            "observe": [{"name": "look", "run": "echo"}],
        }))
        .unwrap(),
    );
    operation
}

fn ended(end: StepEnd) -> StepOutcome {
    StepOutcome {
        end,
        ..StepOutcome::lost()
    }
}

fn left(files: &[(&str, &str)]) -> StepOutcome {
    let mut outcome = ended(StepEnd::Succeeded);
    outcome.results = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), ResultContent::Bytes(text.as_bytes().to_vec())))
        .collect();
    outcome
}

fn bench(next: StepOutcome) -> (Arc<FakeRunner>, ScriptDriver) {
    let runner = Arc::new(FakeRunner::default());
    *runner.next.lock().unwrap() = Some(next);
    (runner.clone(), ScriptDriver::new(runner))
}

async fn begun(operation: &Operation) -> StepSpec {
    let (runner, driver) = bench(ended(StepEnd::Succeeded));
    let outcome = driver.apply(operation).await;
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    runner.begun.lock().unwrap().pop().unwrap()
}

async fn outcome_of(operation: &Operation, next: StepOutcome) -> Outcome {
    bench(next).1.apply(operation).await
}

async fn refusal_of(operation: &Operation, next: StepOutcome) -> String {
    match outcome_of(operation, next).await {
        Outcome::Failed {
            step,
            message,
            retriable: false,
            ..
        } => format!("{step}: {message}"),
        other => panic!("{other:?}"),
    }
}

fn variable<'a>(spec: &'a StepSpec, command: usize, name: &str) -> Option<&'a Value> {
    spec.commands[command]
        .env
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

fn document(spec: &StepSpec, path: &str) -> Json {
    let file = spec.files.iter().find(|file| file.path == path).unwrap();
    let FileContent::Bytes(bytes) = &file.content else {
        panic!()
    };
    assert_eq!(file.mode, 0o600);
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn a_step_finds_its_inputs_in_files_and_variables() {
    let mut operation = operation();
    let inputs = json!({
        "size": 3, "name": "a b", "tls": true, "password": "hunter2", "nested": {"x": 1}, "a-b": "1", "a_b": "2"
    });
    operation.inputs = Revealed::new(inputs.clone(), vec![Secret::new("hunter2")]);
    operation.previous = Some(Previous {
        inputs: Revealed::new(json!({"size": 2}), Vec::new()),
        outputs: Revealed::new(
            json!({"url": "pg://old-secret@h"}),
            vec![Secret::new("old-secret")],
        ),
    });
    operation.ports.insert("http-1".into(), 20_001);
    operation.script.apply = vec![
        Revealed::default(),
        Revealed::new(json!({"URL": "x://hunter2", "LANG": "de"}), Vec::new()),
    ];
    operation.deadline_ms = 77;
    let spec = begun(&operation).await;

    assert_eq!(spec.id, operation.step);
    assert_eq!(spec.lease_deadline_ms, Some(77));
    assert_eq!(spec.time_limit.as_secs(), 600);
    assert_eq!(document(&spec, "kratix/input/inputs.json"), inputs);
    let object = document(&spec, "kratix/input/object.yaml");
    assert_eq!(object["kind"], "Resource");
    assert_eq!(object["spec"]["params"], inputs);
    assert_eq!(object["status"]["outputs"]["url"], "pg://old-secret@h");
    assert_eq!(document(&spec, "kratix/input/previous.json")["inputs"]["size"], 2);

    let plain = |name: &str, text: &str| {
        assert_eq!(
            variable(&spec, 0, name),
            Some(&Value::Plain(text.into())),
            "{name}"
        );
    };
    plain("INPUT_SIZE", "3");
    plain("INPUT_NAME", "a b");
    plain("INPUT_TLS", "true");
    plain("PODIUM_ACTION", "apply");
    plain("PODIUM_RESOURCE_ID", "db");
    plain("PODIUM_NAMESPACE", "shop-dev");
    plain("PODIUM_PORT_HTTP_1", "20001");
    plain("PODIUM_OUTPUT", "/roots/run-1.db-1.apply.1/kratix/output");
    plain("KRATIX_WORKFLOW_ACTION", "configure");
    for absent in ["INPUT_NESTED", "INPUT_A_B", "URL"] {
        assert_eq!(variable(&spec, 0, absent), None, "{absent}");
    }
    for (command, name) in [(0, "INPUT_PASSWORD"), (0, "OUTPUT_URL"), (1, "URL")] {
        assert!(
            matches!(variable(&spec, command, name), Some(Value::Secret(_))),
            "{name}"
        );
    }
    assert_eq!(variable(&spec, 1, "LANG"), Some(&Value::Plain("de".into())));
    let masked: Vec<&str> = spec.masked.iter().map(Secret::expose).collect();
    assert_eq!(masked, ["hunter2", "old-secret"]);
}

#[tokio::test]
async fn scripts_are_files_and_nothing_is_put_into_a_command_line() {
    let mut operation = operation();
    operation.inputs = Revealed::new(json!({"name": "$(reboot)"}), Vec::new());
    let spec = begun(&operation).await;
    let root = "/roots/run-1.db-1.apply.1";
    assert_eq!(
        spec.commands[0].argv,
        ["/bin/sh", "-e", &format!("{root}/run/make-it.sh")]
    );
    assert_eq!(spec.commands[1].argv, ["./check", "--all"]);
    assert!(
        spec.commands
            .iter()
            .all(|command| command.argv.iter().all(|word| !word.contains("reboot")))
    );
    assert_eq!(
        spec.commands[0].folder, None,
        "without a source it begins in the root"
    );
}

#[tokio::test]
async fn the_module_is_unpacked_and_steps_begin_in_its_folder() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o755);
    header.set_cksum();
    builder.append_data(&mut header, "db/check", &b"ok"[..]).unwrap();
    let mut operation = operation();
    operation.bundle = Some(Bytes::from(builder.into_inner().unwrap()));
    let content = Arc::make_mut(&mut operation.content);
    content.source = Some(serde_json::from_value(json!({"bundle": "00", "path": "db"})).unwrap());
    content.tools = vec!["podium".into()];
    let spec = begun(&operation).await;
    assert_eq!(spec.commands[1].folder.as_deref(), Some("module/db"));
    assert!(
        spec.files
            .iter()
            .any(|file| file.path == "module/db/check" && file.mode == 0o700)
    );
    assert!(spec.may_run_podium);
    assert_eq!(
        variable(&spec, 0, "PATH"),
        Some(&Value::Plain("/podium:/usr/bin:/bin".into()))
    );

    operation.bundle = Some(Bytes::from_static(
        b"no tar at all, but long enough to be read as the header of one?",
    ));
    let refused = refusal_of(&operation, ended(StepEnd::Succeeded)).await;
    assert!(
        refused.contains("cannot be read as a tar") && refused.contains("team-data"),
        "{refused}"
    );
}

#[tokio::test]
async fn volumes_of_the_environment_are_linked_and_no_others() {
    let mut operation = operation();
    operation
        .script
        .volumes
        .insert("data".into(), "volume:shop-dev/data-1".into());
    let spec = begun(&operation).await;
    assert_eq!(spec.commands.len(), 3);
    let link = "/roots/run-1.db-1.apply.1/volumes/data";
    assert_eq!(
        spec.commands[0].argv,
        ["ln", "-s", "--", "/volumes/shop-dev/data-1", link]
    );
    assert!(spec.grants.len() == 1 && spec.grants[0].write);
    for (name, source) in [
        ("data", "volume:shop-prod/data-1"),
        ("data", "/etc"),
        ("../x", "volume:shop-dev/data-1"),
    ] {
        operation.script.volumes = [(name.to_owned(), source.to_owned())].into();
        let refused = refusal_of(&operation, ended(StepEnd::Succeeded)).await;
        assert!(refused.contains(&format!("volume `{name}`")), "{refused}");
    }
}

#[tokio::test]
async fn outputs_come_from_three_files_with_what_is_secret_in_them() {
    let mut operation = operation();
    operation.inputs = Revealed::new(json!({}), vec![Secret::new("given-secret")]);
    let next = left(&[
        (
            "kratix/output/outputs.json",
            r#"{"admin": {"user": "root", "password": "p1"}}"#,
        ),
        (
            "kratix/output/outputs.yaml",
            "port: 5432\nurl: x://given-secret@h\n",
        ),
        ("kratix/output/outputs.env", "password=a=b \"c\"\nhost=h\n"),
        ("kratix/metadata/sensitive.yaml", "- password\n- admin.password\n"),
    ]);
    let outcome = outcome_of(&operation, next).await;
    let Outcome::Applied {
        outputs, sensitive, ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        outputs.expose(),
        &json!({
            "admin": {"user": "root", "password": "p1"}, "port": 5432, "url": "x://given-secret@h",
            "password": "a=b \"c\"", "host": "h"
        })
    );
    let mut paths: Vec<String> = sensitive.iter().map(|path| path.join(".")).collect();
    paths.sort();
    assert_eq!(paths, ["admin.password", "password", "url"]);
    let mut secrets: Vec<&str> = outputs.secrets().iter().map(Secret::expose).collect();
    secrets.sort_unstable();
    assert_eq!(secrets, ["a=b \"c\"", "p1", "x://given-secret@h"]);
}

#[tokio::test]
async fn hostile_and_broken_results_are_refused_by_name() {
    let json_file = "kratix/output/outputs.json";
    let yaml_file = "kratix/output/outputs.yaml";
    let env_file = "kratix/output/outputs.env";
    let sensitive = "kratix/metadata/sensitive.yaml";
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bomb = "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[(json_file, &deep)], "outputs.json:1:"),
        (&[(yaml_file, bomb)], "outputs.yaml:"),
        (&[(json_file, "[1]")], "must be a map"),
        (
            &[(json_file, "{\"a\": 1}"), (env_file, "a=2")],
            "sets output `a` again",
        ),
        (&[(env_file, "a=1\nsecret line")], "outputs.env:2 has no `=`"),
        (&[(env_file, "a b=1")], "cannot name an output"),
        (&[(yaml_file, "a: 1\n---\nb: 1\n")], "must be one document"),
        (
            &[(json_file, "{}"), (sensitive, "- pasword")],
            "names `pasword`, which is no output",
        ),
        (&[(sensitive, "password: true")], "must be a list"),
    ];
    for (files, expected) in cases {
        let refused = refusal_of(&operation(), left(files)).await;
        assert!(refused.starts_with("outputs: "), "{refused}");
        assert!(
            refused.contains(expected) && refused.contains("team-data"),
            "{expected}: {refused}"
        );
        assert!(!refused.contains("secret line"), "{refused}");
    }
    let mut refused = ended(StepEnd::Succeeded);
    refused.results = vec![(
        json_file.into(),
        ResultContent::Refused("leads through a symbolic link".into()),
    )];
    assert!(
        refusal_of(&operation(), refused)
            .await
            .contains("outputs.json is refused: leads through")
    );

    let mut operation = operation();
    operation.sensitive_outputs = true;
    let refused = refusal_of(&operation, left(&[(yaml_file, "pin: 0644\n")])).await;
    assert!(
        refused.contains("outputs.yaml:1:6 cannot be read") && !refused.contains("0644"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_failure_names_step_end_owner_and_shows_the_masked_output() {
    let mut operation = operation();
    operation.sensitive_outputs = true;
    let mut next = ended(StepEnd::Failed {
        command: "make-it".into(),
        exit: Exit::Code(3),
    });
    next.log = [
        "make-it out made new-password\n",
        "make-it err kept-secret is taken\n",
        "check out no\n",
    ]
    .map(|line| format!("2026-01-01T00:00:00.000Z {line}"))
    .to_vec();
    next.results = vec![(
        "kratix/output/outputs.env".into(),
        ResultContent::Bytes(b"password=new-password".to_vec()),
    )];
    let archive = Archive {
        entries: vec![Entry {
            path: "p".into(),
            mode: 0o600,
            content: b"kept-secret\n".to_vec(),
        }],
    };
    next.state = Some(Ok(archive.clone()));
    let (runner, driver) = bench(next);
    let outcome = driver.apply(&operation).await;
    let Outcome::Failed {
        step,
        message,
        output_tail,
        retriable,
        state,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(step, "make it");
    assert_eq!(
        message,
        "step `make it` ended with exit code 3; ask team-data, who owns module thing-maker-v3"
    );
    assert_eq!(output_tail, "made (secret)\n(secret) is taken");
    assert!(retriable);
    assert_eq!(
        Archive::decode(state.unwrap().expose()).unwrap(),
        archive,
        "what it left is not lost"
    );
    assert_eq!(runner.begun.lock().unwrap()[0].log, LogVisibility::Withheld);
}

#[tokio::test]
async fn each_end_has_its_words_and_says_whether_to_try_again() {
    let command = || "check".to_owned();
    for (end, words, again) in [
        (
            StepEnd::Failed {
                command: command(),
                exit: Exit::Signal(9),
            },
            "ended with signal SIGKILL",
            true,
        ),
        (
            StepEnd::TimedOut {
                command: command(),
                seconds: 600,
            },
            "the time limit of 600 s",
            true,
        ),
        (
            StepEnd::NotStarted {
                command: command(),
                reason: "not found".into(),
            },
            "not found",
            false,
        ),
        (StepEnd::Stopped { command: command() }, "was told to stop", false),
    ] {
        let outcome = outcome_of(&operation(), ended(end)).await;
        let Outcome::Failed {
            step,
            message,
            retriable,
            ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(step, "check");
        assert!(message.contains(words), "{message}");
        assert_eq!(retriable, again, "{message}");
    }
}

#[tokio::test]
async fn the_kept_folder_comes_back_the_next_time() {
    let archive = Archive {
        entries: vec![Entry {
            path: "a/b".into(),
            mode: 0o640,
            content: vec![0, 1],
        }],
    };
    let mut next = ended(StepEnd::Succeeded);
    next.state = Some(Ok(archive));
    let mut operation = operation();
    let outcome = outcome_of(&operation, next.clone()).await;
    let Outcome::Applied { state, .. } = outcome else {
        panic!("{outcome:?}")
    };
    operation.state = state;
    let spec = begun(&operation).await;
    let file = spec.files.iter().find(|file| file.path == "state/a/b").unwrap();
    assert_eq!(
        (&file.content, file.mode),
        (&FileContent::Bytes(vec![0, 1]), 0o640)
    );

    next.state = Some(Err("`state/x` leads through a symbolic link".into()));
    assert!(
        refusal_of(&operation, next)
            .await
            .contains("$PODIUM_STATE cannot be kept")
    );
    operation.state = Some(KeptState::new(&b"damaged"[..]));
    assert!(
        refusal_of(&operation, ended(StepEnd::Succeeded))
            .await
            .contains("cannot be read")
    );
}

#[tokio::test]
async fn recovery_takes_what_is_there_and_repeats_only_what_may_be() {
    let named = operation();
    let mut indeterminate = operation();
    Arc::make_mut(&mut indeterminate.content).recovery = Recovery::Indeterminate;
    let begun = |runner: &FakeRunner| runner.begun.lock().unwrap().len();

    // It ended meanwhile: its result is taken, nothing runs again.
    let (runner, driver) = bench(left(&[]));
    runner
        .steps
        .lock()
        .unwrap()
        .insert(named.step.clone(), left(&[("kratix/output/outputs.env", "a=1")]));
    let outcome = driver.recover(&named, false).await;
    let Outcome::Applied { outputs, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((outputs.expose(), begun(&runner)), (&json!({"a": "1"}), 0));

    // It is lost.
    for (operation, repeated) in [(&named, 1), (&indeterminate, 0)] {
        let (runner, driver) = bench(left(&[]));
        runner
            .steps
            .lock()
            .unwrap()
            .insert(operation.step.clone(), ended(StepEnd::Lost));
        let outcome = driver.recover(operation, false).await;
        assert_eq!(begun(&runner), repeated);
        assert_eq!(
            matches!(outcome, Outcome::Indeterminate { .. }),
            repeated == 0,
            "{outcome:?}"
        );
    }

    // It never began, which is proven: it begins.
    let (runner, driver) = bench(left(&[]));
    assert!(matches!(
        driver.recover(&indeterminate, true).await,
        Outcome::Destroyed
    ));
    assert_eq!(begun(&runner), 1);
}

#[tokio::test]
async fn a_result_that_cannot_be_had_is_judged_by_what_the_module_says() {
    let mut operation = operation();
    let unreadable = || RunnerError::Unsealed {
        id: "run-1.db-1.apply.1".into(),
    };
    let (runner, driver) = bench(ended(StepEnd::Succeeded));
    *runner.error.lock().unwrap() = Some(unreadable());
    let outcome = driver.apply(&operation).await;
    assert!(
        matches!(outcome, Outcome::Failed { retriable: true, .. }),
        "{outcome:?}"
    );
    Arc::make_mut(&mut operation.content).recovery = Recovery::Indeterminate;
    for recovered in [false, true] {
        *runner.error.lock().unwrap() = Some(unreadable());
        let outcome = if recovered {
            driver.recover(&operation, false).await
        } else {
            driver.apply(&operation).await
        };
        assert!(matches!(outcome, Outcome::Indeterminate { .. }), "{outcome:?}");
    }
    let unconfined = RunnerError::Unconfined {
        gaps: "no Landlock".into(),
    };
    *runner.error.lock().unwrap() = Some(unconfined);
    let outcome = driver.apply(&operation).await;
    assert!(
        matches!(outcome, Outcome::Failed { retriable: false, .. }),
        "nothing ran: {outcome:?}"
    );
}

#[tokio::test]
async fn without_destroy_there_is_nothing_to_remove_and_without_observe_nothing_to_see() {
    let mut operation = operation();
    let (runner, driver) = bench(ended(StepEnd::Failed {
        command: "look".into(),
        exit: Exit::Code(1),
    }));
    let observed = driver.observe(&operation).await;
    assert_eq!(observed.healthy, Some(false));
    assert!(
        observed.message.starts_with("step `look` ended with exit code 1"),
        "{}",
        observed.message
    );
    assert!(
        runner.steps.lock().unwrap().is_empty(),
        "nothing is kept of looking"
    );

    let script = Arc::make_mut(&mut operation.content).script.as_mut().unwrap();
    script.destroy.clear();
    script.observe.clear();
    assert!(matches!(driver.destroy(&operation).await, Outcome::Destroyed));
    assert_eq!(driver.observe(&operation).await.healthy, None);
    assert_eq!(runner.begun.lock().unwrap().len(), 1);
}

#[test]
fn tools_that_are_not_there_are_named() {
    let mut operation = operation();
    Arc::make_mut(&mut operation.content).tools = vec!["sh".into(), "psql".into(), "terraform".into()];
    assert_eq!(missing_tools(&operation.content, ["psql", "sh"]), ["terraform"]);
}
