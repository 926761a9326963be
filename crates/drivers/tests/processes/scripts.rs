//! Scripts that really run.

use std::sync::Arc;

use bytes::Bytes;
use podium_drivers::Outcome;
use podium_model::kinds::{DriverKind, Recovery};
use podium_model::secret::Secret;
use serde_json::json;

use crate::Test;
use crate::support::{Bench, drivers_at, failure, made, operation, previous, script, wait_for};

pub(crate) const TESTS: &[Test] = &[
    (
        "outputs_are_read_and_secrets_marked",
        outputs_are_read_and_secrets_marked,
    ),
    (
        "the_failing_step_is_named_and_its_output_masked",
        the_failing_step_is_named_and_its_output_masked,
    ),
    ("a_hang_ends_at_the_limit", a_hang_ends_at_the_limit),
    ("a_step_can_be_stopped", a_step_can_be_stopped),
    (
        "state_and_former_outputs_are_there_the_next_time",
        state_and_former_outputs_are_there_the_next_time,
    ),
    ("hostile_outputs_are_refused", hostile_outputs_are_refused),
    (
        "the_module_and_volumes_are_where_they_should_be",
        the_module_and_volumes_are_where_they_should_be,
    ),
    (
        "the_same_step_runs_once_also_for_a_later_server",
        the_same_step_runs_once_also_for_a_later_server,
    ),
    ("what_may_not_be_repeated_is_not", what_may_not_be_repeated_is_not),
    (
        "observing_tells_health_and_keeps_nothing",
        observing_tells_health_and_keeps_nothing,
    ),
];

fn outputs_are_read_and_secrets_marked() {
    let bench = Bench::new();
    let operation = script(
        "apply-1",
        &[
            (
                "first",
                "echo \"size: $INPUT_SIZE\" >> \"$PODIUM_OUTPUT/outputs.yaml\"",
            ),
            (
                "second",
                "cd /; test \"$PWD\" = /\n\
                 echo \"password=p w '$INPUT_SIZE'\" >> \"$KRATIX_OUTPUT/outputs.env\"\n\
                 echo \"url=x://$INPUT_PASSWORD@h\" >> \"$PODIUM_OUTPUT/outputs.env\"\n\
                 echo '- password' > \"$PODIUM_METADATA/sensitive.yaml\"\n\
                 grep -q '\"id\": \"db\"' \"$PODIUM_INPUT/object.yaml\"\n\
                 echo \"made with p w '3' and $INPUT_PASSWORD\"\n",
            ),
        ],
        &[],
    );
    let made = made(wait_for(bench.script().apply(&operation)));
    assert_eq!(
        made.outputs.expose(),
        &json!({"size": 3, "password": "p w '3'", "url": "x://hunter2@h"})
    );
    assert_eq!(made.sensitive, [["password"], ["url"]]);
    assert!(made.outputs.secrets().contains(&Secret::new("p w '3'")));
    assert_eq!(made.log, "made with (secret) and (secret)");
    wait_for(bench.script().forget("apply-1"));
    let left = std::fs::read_dir(bench.folder.path().join("runner/steps"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
}

fn the_failing_step_is_named_and_its_output_masked() {
    let bench = Bench::new();
    let operation = script(
        "apply-1",
        &[
            ("prepare", "echo fine > \"$PODIUM_STATE/made\""),
            (
                "make it",
                "echo \"cannot log in with $INPUT_PASSWORD\" >&2; exit 3",
            ),
            ("never", "echo never > \"$PODIUM_STATE/never\""),
        ],
        &[],
    );
    let outcome = wait_for(bench.script().apply(&operation));
    let Outcome::Failed {
        state: Some(state),
        retriable: true,
        ..
    } = &outcome
    else {
        panic!("{outcome:?}")
    };
    let archive = podium_runners::archive::Archive::decode(state.expose()).unwrap();
    let kept: Vec<&str> = archive.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(
        kept,
        ["made"],
        "what was made is kept, and the step after the failure did not run"
    );
    let (step, message, output) = failure(outcome);
    assert_eq!(step, "make it");
    assert_eq!(
        message,
        "step `make it` ended with exit code 3; ask team-data, who owns module thing-maker-v3"
    );
    assert_eq!(output, "cannot log in with (secret)");
}

fn a_hang_ends_at_the_limit() {
    let bench = Bench::new();
    let mut operation = script("apply-1", &[("hang", "echo waiting; sleep 600 & sleep 600")], &[]);
    Arc::make_mut(&mut operation.content).timeout_seconds = 1;
    let (step, message, output) = failure(wait_for(bench.script().apply(&operation)));
    assert_eq!((step.as_str(), output.as_str()), ("hang", "waiting"));
    assert!(message.contains("time limit of 1 s passed"), "{message}");
}

fn a_step_can_be_stopped() {
    let bench = Bench::new();
    let operation = script(
        "apply-1",
        &[("hang", "echo begun > \"$PODIUM_ROOT/begun\"; sleep 600")],
        &[],
    );
    let message = wait_for(async {
        let driver = bench.script();
        let applying = tokio::spawn(async move { driver.apply(&operation).await });
        // It is told again until it has begun: there is nothing to stop before.
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(50));
        while !applying.is_finished() {
            pause.tick().await;
            bench.script().stop("apply-1").await;
        }
        failure(applying.await.unwrap()).1
    });
    assert!(message.contains("was told to stop"), "{message}");
}

fn state_and_former_outputs_are_there_the_next_time() {
    let bench = Bench::new();
    let count = "number=$(cat \"$PODIUM_STATE/deep/count\" 2>/dev/null || echo 0)\n\
                 mkdir -p \"$PODIUM_STATE/deep\"; echo $((number + 1)) > \"$PODIUM_STATE/deep/count\"\n\
                 echo \"count=$number\" > \"$PODIUM_OUTPUT/outputs.env\"\n";
    let remove = "test \"$PODIUM_ACTION\" = destroy; test \"$KRATIX_WORKFLOW_ACTION\" = delete\n\
                  test \"$OUTPUT_COUNT\" = 1; test \"$(cat \"$PODIUM_STATE/deep/count\")\" = 2\n\
                  grep -q '\"count\": \"1\"' \"$PODIUM_INPUT/object.yaml\"\n";
    let mut operation = script("apply-1", &[("count", count)], &[("remove", remove)]);
    let first = made(wait_for(bench.script().apply(&operation)));
    assert_eq!(first.outputs.expose(), &json!({"count": "0"}));
    operation.step = "apply-2".into();
    operation.state.clone_from(&first.state);
    operation.previous = Some(previous(&first));
    let second = made(wait_for(bench.script().apply(&operation)));
    assert_eq!(second.outputs.expose(), &json!({"count": "1"}));
    operation.step = "destroy-3".into();
    operation.state.clone_from(&second.state);
    operation.previous = Some(previous(&second));
    let outcome = wait_for(bench.script().destroy(&operation));
    assert!(matches!(outcome, Outcome::Destroyed), "{outcome:?}");
}

fn hostile_outputs_are_refused() {
    let bench = Bench::new();
    let cases = [
        (
            "link",
            "ln -s /etc/passwd \"$PODIUM_OUTPUT/outputs.yaml\"",
            "outputs.yaml is refused",
        ),
        (
            "folder",
            "rmdir \"$PODIUM_OUTPUT\"; ln -s /etc \"$PODIUM_OUTPUT\"",
            "is refused",
        ),
        (
            "large",
            "head -c 10000000 /dev/zero > \"$PODIUM_OUTPUT/outputs.json\"",
            "larger than the 1048576 bytes",
        ),
        (
            "deep",
            "head -c 100000 /dev/zero | tr '\\0' '[' > \"$PODIUM_OUTPUT/outputs.json\"",
            "outputs.json:1:",
        ),
        (
            "pipe",
            "mkfifo \"$PODIUM_OUTPUT/outputs.env\"",
            "outputs.env is refused",
        ),
        (
            "state",
            "ln -s /etc \"$PODIUM_STATE/away\"",
            "$PODIUM_STATE cannot be kept",
        ),
    ];
    for (name, run, expected) in cases {
        let (step, message, _) = failure(wait_for(bench.script().apply(&script(
            name,
            &[("evil", run)],
            &[],
        ))));
        assert_eq!(step, "outputs");
        assert!(
            message.contains(expected) && message.contains("team-data"),
            "{name}: {message}"
        );
    }
}

fn the_module_and_volumes_are_where_they_should_be() {
    let bench = Bench::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &str, mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    };
    add(
        "db/make",
        "#!/bin/sh\n. ../shared/lib\nprintf '%s' \"$1 $greeting\" > \"$PODIUM_ROOT/volumes/data/greeting\"\n",
        0o755,
    );
    add("shared/lib", "greeting='hello $HOME'\n", 0o644);
    let bundle = Bytes::from(builder.into_inner().unwrap());

    let volume = operation("volume-1", json!({"type": "volume", "driver": "volume"}));
    let volume_driver = bench.drivers.get(DriverKind::Volume);
    let made_volume = made(wait_for(volume_driver.apply(&volume)));
    let source = made_volume.outputs.expose()["source"]
        .as_str()
        .unwrap()
        .to_owned();

    let mut operation = operation(
        "apply-1",
        json!({
            "type": "thing", "driver": "script", "source": {"bundle": "00", "path": "db"},
            "script": {"apply": [
                {"name": "make", "command": ["./make", "$(id) ;"]},
                {"name": "read", "run": "test \"$PWD\" = \"$PODIUM_MODULE\"; echo \"greeting=$(cat \"$PODIUM_ROOT/volumes/data/greeting\")\" > \"$PODIUM_OUTPUT/outputs.env\""},
            ]},
        }),
    );
    operation.bundle = Some(bundle);
    operation.script.volumes.insert("data".into(), source);
    let first = made(wait_for(bench.script().apply(&operation)));
    assert_eq!(
        first.outputs.expose(),
        &json!({"greeting": "$(id) ; hello $HOME"})
    );

    let volume_folder = bench.folder.path().join("runner/volumes/shop-dev/db-1");
    assert!(volume_folder.join("greeting").exists(), "it outlives the step");
    assert!(matches!(
        wait_for(volume_driver.destroy(&volume)),
        Outcome::Destroyed
    ));
    assert!(!volume_folder.exists());
}

fn the_same_step_runs_once_also_for_a_later_server() {
    let bench = Bench::new();
    let run = "number=$(cat \"$PODIUM_ROOT/volumes/data/count\" 2>/dev/null || echo 0)\n\
               echo $((number + 1)) > \"$PODIUM_ROOT/volumes/data/count\"; sleep 1\n\
               echo \"count=$(cat \"$PODIUM_ROOT/volumes/data/count\")\" > \"$PODIUM_OUTPUT/outputs.env\"\n";
    let mut operation = script("apply-1", &[("count", run)], &[]);
    operation
        .script
        .volumes
        .insert("data".into(), "volume:shop-dev/db-1".into());
    wait_for(async {
        // The server ends while the step runs.
        let driver = bench.script();
        let cut_off =
            tokio::time::timeout(std::time::Duration::from_millis(600), driver.apply(&operation)).await;
        assert!(cut_off.is_err());
        let later = drivers_at(bench.folder.path()).get(DriverKind::Script);
        for _ in 0..2 {
            let made = made(later.recover(&operation, false).await);
            assert_eq!(made.outputs.expose(), &json!({"count": "1"}));
        }
        let again = made(later.apply(&operation).await);
        assert_eq!(
            again.outputs.expose(),
            &json!({"count": "1"}),
            "the same id is the same step"
        );
    });
}

fn what_may_not_be_repeated_is_not() {
    let bench = Bench::new();
    let run = "echo $PPID > \"$PODIUM_ROOT/volumes/data/pid\"; sleep 30";
    let mut operation = script("apply-1", &[("hang", run)], &[]);
    Arc::make_mut(&mut operation.content).recovery = Recovery::Indeterminate;
    operation
        .script
        .volumes
        .insert("data".into(), "volume:shop-dev/db-1".into());
    wait_for(async {
        let driver = bench.script();
        let pid_file = bench.folder.path().join("runner/volumes/shop-dev/db-1/pid");
        let outcome = {
            let applying = driver.apply(&operation);
            tokio::pin!(applying);
            let mut pause = tokio::time::interval(std::time::Duration::from_millis(50));
            let mut killed = false;
            loop {
                tokio::select! {
                    outcome = &mut applying => break outcome,
                    _ = pause.tick() => {
                        let pid = std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok());
                        if let Some(pid) = pid.filter(|_| !killed) {
                            killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success();
                        }
                    }
                }
            }
        };
        assert!(matches!(outcome, Outcome::Indeterminate { .. }), "{outcome:?}");
        std::fs::remove_file(&pid_file).unwrap();
        let outcome = drivers_at(bench.folder.path())
            .get(DriverKind::Script)
            .recover(&operation, false)
            .await;
        let Outcome::Indeterminate { known } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(known.contains("thing-maker-v3"), "{known}");
        assert!(!pid_file.exists(), "it did not run again");
    });
}

fn observing_tells_health_and_keeps_nothing() {
    let bench = Bench::new();
    let content = |run: &str| json!({"type": "thing", "driver": "script", "script": {"apply": [], "observe": [{"name": "look", "run": run}]}});
    let well = wait_for(
        bench
            .script()
            .observe(&operation("observe-1", content("test $PODIUM_ACTION = observe"))),
    );
    assert_eq!((well.healthy, well.message.as_str()), (Some(true), ""));
    let ill = operation(
        "observe-2",
        content("echo \"$INPUT_PASSWORD is refused\"; exit 1"),
    );
    let ill = wait_for(bench.script().observe(&ill));
    assert_eq!(ill.healthy, Some(false));
    assert_eq!(
        ill.message,
        "step `look` ended with exit code 1: (secret) is refused"
    );
    assert_eq!(
        std::fs::read_dir(bench.folder.path().join("runner/steps"))
            .unwrap()
            .count(),
        0
    );
}
