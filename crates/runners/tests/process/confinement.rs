//! What a confined process cannot do.

use std::os::unix::fs::PermissionsExt;

use podium_runners::{Limits, ResultFile, RootFile, RunAs, RunnerSettings, StepEnd, StepSpec};

use super::Test;
use super::support::{Bench, bench, is_root, path, refusal_at, settings, step, wait_for};

pub(crate) const TESTS: &[Test] = &[
    (
        "confinement::reaches_nothing_of_others",
        reaches_nothing_of_others,
    ),
    (
        "confinement::root_is_refused_as_a_user",
        root_is_refused_as_a_user,
    ),
    (
        "confinement::environment_is_exactly_what_was_given",
        environment_is_exactly_what_was_given,
    ),
    (
        "confinement::what_cannot_be_executed_is_named",
        what_cannot_be_executed_is_named,
    ),
    (
        "confinement::podium_runs_where_it_was_granted",
        podium_runs_where_it_was_granted,
    ),
    (
        "confinement::closed_data_folder_moves_the_roots",
        closed_data_folder_moves_the_roots,
    ),
    ("confinement::limits_hold", limits_hold),
];

/// Each line of `tries` must fail within the process; what succeeded is listed in `done`.
async fn tries(bench: &Bench, id: &str, tries: &[String]) -> String {
    let mut script = String::from("touch done\n");
    for (index, attempt) in tries.iter().enumerate() {
        script.push_str(&format!(
            "if ({attempt}) >/dev/null 2>&1; then echo {index} >> done; fi\n"
        ));
    }
    // The way of trying works: an allowed one succeeds.
    script.push_str(
        "if (cat /etc/passwd && ls /usr && echo x > here) >/dev/null; then echo allowed >> done; fi\n",
    );
    let mut spec = step(id, &script);
    spec.results = vec![ResultFile {
        path: "done".into(),
        limit: 1000,
    }];
    let outcome = bench.run(&spec).await;
    assert_eq!(outcome.end, StepEnd::Succeeded, "{:?}", outcome.log);
    String::from_utf8(outcome.result("done").unwrap().to_vec()).unwrap()
}

async fn nothing_is_reached(bench: &Bench) {
    let data = bench.folder.path();
    std::fs::write(data.join("store.db"), "secret").unwrap();
    let mut other = step("other", "echo mine > mine; sleep 20");
    other.files = vec![RootFile::text("kratix/input/object.yaml", "x", 0o644)];
    let other = bench.runner.start_step(&other).await.unwrap();
    let root = bench.runner.step_root("other");
    let server = std::process::id();
    let attempts = [
        format!("cat {}/store.db", data.display()),
        format!("ls {}", data.display()),
        format!("ls {}/runner/steps", data.display()),
        format!("cat {}/kratix/input/object.yaml", root.display()),
        format!("ls {}", root.display()),
        format!("echo x > {}/new", root.display()),
        "ls /root".to_owned(),
        "ls /tmp".to_owned(),
        "ls /".to_owned(),
        "echo x > /tmp/podium-escape".to_owned(),
        "echo x > /dev/shm/podium-escape".to_owned(),
        "echo x > /etc/podium-escape".to_owned(),
        format!("cat /proc/{server}/environ"),
        format!("ls /proc/{server}/root/"),
        format!("kill -0 {server}"),
        "test -r /run/docker.sock".to_owned(),
        format!("ln {}/store.db stolen", data.display()),
        format!("ln -s {}/store.db away && cat away", data.display()),
        "mknod disk b 8 0".to_owned(),
    ];
    assert_eq!(tries(bench, "tries", &attempts).await, "allowed\n");
    other.stop().await.unwrap();
    other.wait().await.unwrap();
}

fn reaches_nothing_of_others() {
    wait_for(async {
        let bench = bench();
        nothing_is_reached(&bench).await;
        if is_root() {
            let mut spec = step(
                "who",
                "id -u; id -G; grep -E 'NoNewPrivs|CapEff' /proc/self/status; umask",
            );
            spec.grants = Vec::new();
            let log = bench.run(&spec).await.log.join("\n");
            for part in [
                "out 65534",
                "NoNewPrivs:\t1",
                "CapEff:\t0000000000000000",
                "out 0077",
            ] {
                assert!(log.contains(part), "{part} is not in {log}");
            }
            assert!(!log.contains("out 0\n"), "{log}");
        }
    });
}

fn root_is_refused_as_a_user() {
    if is_root() {
        let folder = tempfile::tempdir().unwrap();
        let run_as = RunAs { uid: 0, gid: 0 };
        let error = refusal_at(folder.path(), RunnerSettings { run_as, ..settings() });
        assert!(error.contains("processes would run as root"), "{error}");
    }
}

fn environment_is_exactly_what_was_given() {
    wait_for(async {
        let bench = bench();
        let mut spec = StepSpec::new("env", vec![]);
        let mut command = super::support::command("main", "");
        command.argv = vec!["env".into()];
        command.env = vec![path(), ("ONLY".into(), "this".into())];
        spec.commands.push(command);
        let outcome = bench.run(&spec).await;
        let mut lines: Vec<&str> = outcome
            .log
            .iter()
            .filter_map(|line| line.split_once(" out ").map(|(_, text)| text))
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, ["ONLY=this", "PATH=/usr/bin:/bin"]);
    });
}

fn what_cannot_be_executed_is_named() {
    wait_for(async {
        let bench = bench();
        for (argv, expected) in [
            (
                "no-such-tool",
                "command `no-such-tool` was not found in PATH (/usr/bin:/bin)",
            ),
            (
                "/no/such/tool",
                "command `/no/such/tool` cannot be reached by user",
            ),
            ("./plain", "may not be executed"),
            ("./script", "interpreter"),
        ] {
            let mut spec = step(&format!("x{}", argv.len()), "");
            spec.files = vec![
                RootFile::text("plain", "text", 0o600),
                RootFile::text("script", "#!/no/interpreter\n", 0o700),
            ];
            spec.commands[0].argv = vec![argv.to_owned()];
            match bench.run(&spec).await.end {
                StepEnd::NotStarted { command, reason } => {
                    assert_eq!(command, "main");
                    assert!(reason.contains(expected), "{reason}");
                }
                other => panic!("{argv}: {other:?}"),
            }
        }
    });
}

fn podium_runs_where_it_was_granted() {
    wait_for(async {
        let bench = bench();
        let folder = bench.runner.podium_folder().unwrap();
        let mut spec = step("granted", "podium say hello");
        spec.commands[0].env = vec![(
            "PATH".into(),
            format!("{}:/usr/bin:/bin", folder.display()).into(),
        )];
        spec.may_run_podium = true;
        let outcome = bench.run(&spec).await;
        assert!(
            outcome.log.iter().any(|line| line.ends_with("out hello")),
            "{outcome:?}"
        );
        spec.id = "refused".into();
        spec.may_run_podium = false;
        assert!(matches!(bench.run(&spec).await.end, StepEnd::Failed { .. }));
    });
}

fn closed_data_folder_moves_the_roots() {
    if !is_root() {
        return;
    }
    wait_for(async {
        let outer = tempfile::tempdir().unwrap();
        std::fs::set_permissions(outer.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let open = super::support::bench();
        let place = open.folder.path().join("elsewhere");
        let runner = super::support::runner_at(
            outer.path(),
            RunnerSettings {
                open_folder: Some(place.clone()),
                ..settings()
            },
        );
        assert!(runner.step_root("a").starts_with(&place));
        let spec = step("a", "pwd");
        let handle = runner.start_step(&spec).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().end, StepEnd::Succeeded);
        runner.forget_step("a").await.unwrap();
        let error = refusal_at(
            outer.path(),
            RunnerSettings {
                open_folder: Some(outer.path().join("inside")),
                ..settings()
            },
        );
        assert!(error.contains("cannot reach this folder"), "{error}");
    });
}

fn limits_hold() {
    wait_for(async {
        let bench = bench();
        let mut spec = step(
            "limits",
            "ulimit -n; ulimit -c; head -c 5000 /dev/zero > big; wc -c < big",
        );
        spec.limits = Limits {
            open_files: 77,
            file_size: Some(4096),
            ..Limits::default()
        };
        let log = bench.run(&spec).await.log.join("\n");
        for part in ["out 77", "out 0", "out 4096"] {
            assert!(log.contains(part), "{part} is not in {log}");
        }
    });
}
