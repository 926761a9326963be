//! Steps: results, limits, secrets.

use std::time::{Duration, Instant};

use podium_model::secret::Secret;
use podium_runners::{Exit, LogVisibility, ResultContent, ResultFile, RootFile, StateFolder, StepEnd, Value};
use tokio_stream::StreamExt as _;

use super::Test;
use super::support::{bench, command, eventually, runs, step, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("steps::results_and_state_come_back", results_and_state_come_back),
    (
        "steps::commands_run_in_order_until_one_fails",
        commands_run_in_order_until_one_fails,
    ),
    (
        "steps::tricks_in_results_are_refused",
        tricks_in_results_are_refused,
    ),
    (
        "steps::time_limit_ends_every_descendant",
        time_limit_ends_every_descendant,
    ),
    (
        "steps::lease_ends_what_ignores_sigterm",
        lease_ends_what_ignores_sigterm,
    ),
    (
        "steps::nothing_outlives_a_step_that_succeeded",
        nothing_outlives_a_step_that_succeeded,
    ),
    ("steps::output_is_bounded", output_is_bounded),
    (
        "steps::secrets_are_masked_and_never_on_disk",
        secrets_are_masked_and_never_on_disk,
    ),
    (
        "steps::withheld_lines_are_only_in_the_result",
        withheld_lines_are_only_in_the_result,
    ),
    (
        "steps::start_is_idempotent_and_forget_wipes",
        start_is_idempotent_and_forget_wipes,
    ),
    (
        "steps::logs_are_followed_to_the_end",
        logs_are_followed_to_the_end,
    ),
    (
        "steps::a_wrong_specification_is_refused",
        a_wrong_specification_is_refused,
    ),
];

fn results_and_state_come_back() {
    wait_for(async {
        let bench = bench();
        let script = "set -e; cat kratix/input/object.yaml > kratix/output/copy; mkdir -p state/a; echo 1 > state/a/b; \
                      chmod 700 state/a/b; stat -c %a kratix/input/object.yaml; cat state/old > state/new";
        let mut spec = step("results", script);
        spec.folders = vec!["kratix/output".into(), "kratix/metadata".into()];
        spec.files = vec![
            RootFile::text("/kratix/input/object.yaml", "kind: X\n", 0o640),
            RootFile::bytes("state/old", vec![0_u8, 255], 0o600),
        ];
        spec.results = vec![
            ResultFile {
                path: "kratix/output/copy".into(),
                limit: 100,
            },
            ResultFile {
                path: "kratix/metadata/none".into(),
                limit: 100,
            },
        ];
        spec.state = Some(StateFolder {
            path: "state".into(),
            limit: 1000,
            files: 10,
        });
        let outcome = bench.run(&spec).await;
        assert_eq!(outcome.end, StepEnd::Succeeded, "{:?}", outcome.log);
        assert_eq!(
            outcome.result("kratix/output/copy"),
            Some(b"kind: X\n".as_slice())
        );
        assert_eq!(outcome.results[1].1, ResultContent::Absent);
        let archive = outcome.state.unwrap().unwrap();
        let found: Vec<_> = archive
            .entries
            .iter()
            .map(|entry| (entry.path.as_str(), entry.mode, entry.content.as_slice()))
            .collect();
        assert_eq!(
            found,
            [
                ("a/b", 0o700, b"1\n".as_slice()),
                ("new", 0o600, &[0, 255]),
                ("old", 0o600, &[0, 255])
            ]
        );
        assert!(outcome.log[0].ends_with("main out 640"));
        assert!(outcome.ended_ms >= outcome.started_ms && outcome.started_ms > 0);
    });
}

fn commands_run_in_order_until_one_fails() {
    wait_for(async {
        let bench = bench();
        let mut spec = step("order", "");
        spec.commands = vec![
            command("one", "echo first > file"),
            command("two", "cat file; exit 3"),
            command("three", "touch third"),
        ];
        spec.results = vec![ResultFile {
            path: "third".into(),
            limit: 1,
        }];
        let outcome = bench.run(&spec).await;
        assert_eq!(
            outcome.end,
            StepEnd::Failed {
                command: "two".into(),
                exit: Exit::Code(3)
            }
        );
        assert!(outcome.log.iter().any(|line| line.ends_with("two out first")));
        assert_eq!(outcome.results[0].1, ResultContent::Absent);

        let killed = bench.run(&step("killed", "kill -9 $$")).await;
        assert_eq!(
            killed.end,
            StepEnd::Failed {
                command: "main".into(),
                exit: Exit::Signal(9)
            }
        );
    });
}

fn tricks_in_results_are_refused() {
    wait_for(async {
        let bench = bench();
        let outside = bench.folder.path().join("secret");
        std::fs::write(&outside, "secret").unwrap();
        let mut spec = step(
            "tricks",
            &format!(
                "ln -s {0} link; ln -s {1} folder; mkfifo pipe; head -c 20 /dev/zero > large; mkdir state; ln -s {0} state/x",
                outside.display(),
                bench.folder.path().display()
            ),
        );
        let names = ["link", "folder/secret", "pipe", "large"];
        spec.results = names
            .iter()
            .map(|name| ResultFile {
                path: (*name).into(),
                limit: 10,
            })
            .collect();
        spec.state = Some(StateFolder {
            path: "state".into(),
            limit: 1000,
            files: 10,
        });
        let outcome = bench.run(&spec).await;
        for (name, content) in &outcome.results {
            assert!(
                matches!(content, ResultContent::Refused(_)),
                "{name}: {content:?}"
            );
        }
        assert!(outcome.state.unwrap().unwrap_err().contains("symbolic link"));
        for path in ["../secret", "a/../../secret"] {
            let mut spec = step("dots", "true");
            spec.results = vec![ResultFile {
                path: path.into(),
                limit: 10,
            }];
            assert!(bench.runner.start_step(&spec).await.is_err());
            let mut spec = step("dots", "true");
            spec.files = vec![RootFile::text(path, "x", 0o600)];
            assert!(bench.runner.start_step(&spec).await.is_err());
        }
    });
}

fn time_limit_ends_every_descendant() {
    wait_for(async {
        let bench = bench();
        let mut spec = step(
            "limit",
            "sleep 7101 & setsid sleep 7102 & (setsid setsid sleep 7103 &) ; sleep 7104",
        );
        spec.time_limit = Duration::from_millis(700);
        let handle = bench.runner.start_step(&spec).await.unwrap();
        eventually("the sleepers run", || {
            ["7101", "7102", "7103", "7104"]
                .iter()
                .all(|time| runs(&format!("sleep {time}")))
        })
        .await;
        let outcome = handle.wait().await.unwrap();
        assert_eq!(
            outcome.end,
            StepEnd::TimedOut {
                command: "main".into(),
                seconds: 1
            }
        );
        for time in ["7101", "7102", "7103", "7104"] {
            assert!(!runs(&format!("sleep {time}")), "sleep {time} lives");
        }
    });
}

fn lease_ends_what_ignores_sigterm() {
    wait_for(async {
        let bench = bench();
        let mut spec = step("lease", "trap '' TERM; while :; do sleep 7201; done");
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        spec.lease_deadline_ms = Some(i64::try_from(now.as_millis()).unwrap() + 2500);
        spec.grace = Duration::from_secs(1);
        let began = Instant::now();
        let outcome = bench.run(&spec).await;
        assert!(matches!(outcome.end, StepEnd::TimedOut { .. }), "{outcome:?}");
        assert!(
            began.elapsed() < Duration::from_millis(2500),
            "{:?}",
            began.elapsed()
        );
        assert!(outcome.ended_ms < spec.lease_deadline_ms.unwrap());
        assert!(!runs("sleep 7201"));
    });
}

fn nothing_outlives_a_step_that_succeeded() {
    wait_for(async {
        let bench = bench();
        let began = Instant::now();
        let outcome = bench
            .run(&step("leave", "setsid sleep 7301 & sleep 7302 & echo done"))
            .await;
        assert_eq!(outcome.end, StepEnd::Succeeded);
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(!runs("sleep 7301") && !runs("sleep 7302"));
    });
}

fn output_is_bounded() {
    wait_for(async {
        let bench = bench();
        let mut spec = step(
            "flood",
            "head -c 30000000 /dev/zero | tr '\\0' x | fold -w 100; echo; echo end",
        );
        spec.output_limit = 100_000;
        let outcome = bench.run(&spec).await;
        assert_eq!(outcome.end, StepEnd::Succeeded);
        assert!(outcome.output_truncated);
        let size = std::fs::metadata(bench.step_folder("flood").join("log"))
            .unwrap()
            .len();
        assert!(size < 200_000, "{size}");
        assert!(
            outcome.log.iter().any(|line| line.contains("output limit")),
            "{:?}",
            outcome.log
        );

        let endless = bench
            .run(&step("endless", "head -c 30000000 /dev/zero | tr '\\0' x"))
            .await;
        assert!(endless.log[0].ends_with("(line cut)"), "{}", endless.log.len());
    });
}

fn secrets_are_masked_and_never_on_disk() {
    wait_for(async {
        let bench = bench();
        let mut spec = step(
            "secrets",
            "echo \"plain $PASSWORD\"; printf %s \"user:$PASSWORD\" | base64; echo 'url a%2Fb%3Fc-swordfish-77' >&2; \
             cat file; cp file result; printf 'no newline %s' \"$PASSWORD\"",
        );
        let password = "a/b?c-swordfish-77";
        spec.commands[0]
            .env
            .push(("PASSWORD".into(), Value::Secret(Secret::new(password))));
        spec.files = vec![RootFile::text(
            "file",
            Secret::new("file-secret-88\nsecond-line-99"),
            0o600,
        )];
        spec.results = vec![ResultFile {
            path: "result".into(),
            limit: 1000,
        }];
        let outcome = bench.run(&spec).await;
        assert_eq!(outcome.end, StepEnd::Succeeded);
        assert_eq!(
            outcome.result("result"),
            Some(b"file-secret-88\nsecond-line-99".as_slice())
        );
        let log = outcome.log.join("\n");
        assert_eq!(log.matches("(secret)").count(), 6, "{log}");
        let folder = bench.step_folder("secrets");
        for item in std::fs::read_dir(&folder).unwrap().flatten() {
            if item.file_type().unwrap().is_file() {
                let bytes = std::fs::read(item.path()).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                for part in [
                    "swordfish",
                    "file-secret",
                    "second-line",
                    "c3dvcmRmaXNo",
                    "zd29yZGZpc2",
                ] {
                    assert!(!text.contains(part), "{part} is in {}", item.path().display());
                }
            }
        }
        bench.runner.forget_step("secrets").await.unwrap();
        assert!(!folder.exists() && !bench.runner.step_root("secrets").exists());
    });
}

fn withheld_lines_are_only_in_the_result() {
    wait_for(async {
        let bench = bench();
        let mut spec = step("withheld", "for i in $(seq 200); do echo generated-$i; done");
        spec.log = LogVisibility::Withheld;
        let outcome = bench.run(&spec).await;
        assert_eq!(outcome.log.len(), 200);
        let log = std::fs::read_to_string(bench.step_folder("withheld").join("log")).unwrap();
        assert!(
            !log.contains("generated-") && log.contains("once its result is in"),
            "{log}"
        );
    });
}

fn start_is_idempotent_and_forget_wipes() {
    wait_for(async {
        let bench = bench();
        let spec = step("same", "echo once >> count; sleep 0.3; wc -l < count");
        let (one, two) = tokio::join!(bench.runner.start_step(&spec), bench.runner.start_step(&spec));
        assert!(matches!(
            bench.runner.forget_step("same").await,
            Err(podium_runners::RunnerError::Held { .. })
        ));
        let (one, two) = (
            one.unwrap().wait().await.unwrap(),
            two.unwrap().wait().await.unwrap(),
        );
        assert_eq!(one, two);
        assert!(one.log[0].ends_with("out 1"));
        let again = bench
            .runner
            .start_step(&spec)
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(again, one);
        assert_eq!(bench.runner.list_steps().unwrap().len(), 1);
        eventually("the shim is gone", || {
            !bench.runner.list_steps().unwrap()[0].alive
        })
        .await;
        bench.runner.forget_step("same").await.unwrap();
        assert!(bench.runner.attach_step("same").await.unwrap().is_none());
        assert!(bench.runner.list_steps().unwrap().is_empty());
    });
}

fn logs_are_followed_to_the_end() {
    wait_for(async {
        let bench = bench();
        let spec = step(
            "follow",
            "echo early; while [ ! -e go ]; do sleep 0.05; done; echo late",
        );
        let handle = bench.runner.start_step(&spec).await.unwrap();
        let mut lines = bench.runner.step_logs("follow", 10, true).await.unwrap();
        let first = lines.next().await.unwrap();
        assert!(first.ends_with(b"main out early\n"), "{first:?}");
        std::fs::write(bench.runner.step_root("follow").join("go"), "").unwrap();
        let second = lines.next().await.unwrap();
        assert!(second.ends_with(b"main out late\n"), "{second:?}");
        assert!(lines.next().await.is_none());
        handle.wait().await.unwrap();
        let last: Vec<_> = bench
            .runner
            .step_logs("follow", 1, false)
            .await
            .unwrap()
            .collect()
            .await;
        assert_eq!(last, [second]);
    });
}

fn a_wrong_specification_is_refused() {
    wait_for(async {
        let bench = bench();
        for id in ["", "../x", "a/b", ".hidden"] {
            assert!(bench.runner.start_step(&step(id, "true")).await.is_err(), "{id}");
            assert!(bench.runner.attach_step(id).await.is_err(), "{id}");
        }
        let mut spec = step("twice", "true");
        spec.files = vec![RootFile::text("a", "1", 0o600), RootFile::text("/a", "2", 0o600)];
        let error = bench.runner.start_step(&spec).await.err().unwrap().to_string();
        assert!(error.contains("file /a is there already"), "{error}");
        assert!(bench.runner.list_steps().unwrap().is_empty());
        assert!(!bench.runner.step_root("twice").exists());
    });
}
