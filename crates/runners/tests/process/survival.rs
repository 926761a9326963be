//! The server dies, the shim dies: what stays and what goes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podium_runners::{StepEnd, StepOutcome, WorkloadPresence};

use super::Test;
use super::support::{
    bench, container, eventually, runner_at, runs, settings, step, until, wait_for, workload,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "survival::work_goes_on_when_the_server_is_killed",
        work_goes_on_when_the_server_is_killed,
    ),
    (
        "survival::a_killed_shim_takes_its_step_along",
        a_killed_shim_takes_its_step_along,
    ),
    (
        "survival::a_killed_shim_takes_its_workload_along",
        a_killed_shim_takes_its_workload_along,
    ),
    (
        "survival::a_step_of_an_earlier_boot_is_lost",
        a_step_of_an_earlier_boot_is_lost,
    ),
];

/// A server that starts a step and a workload and then hangs until it is killed.
pub(crate) fn server(data: &Path) -> ExitCode {
    let runner = runner_at(data, settings());
    wait_for(async {
        let spec = step(
            "survivor",
            "while [ ! -e go ]; do sleep 0.05; done; echo went on; echo value > result",
        );
        let mut spec = spec;
        spec.results = vec![podium_runners::ResultFile {
            path: "result".into(),
            limit: 100,
        }];
        runner.start_step(&spec).await.unwrap();
        runner
            .start_workload(&workload("w1", vec![container("main", "exec sleep 7401")]))
            .await
            .unwrap();
        println!("started");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

fn work_goes_on_when_the_server_is_killed() {
    wait_for(async {
        let bench = bench();
        let mut server = Command::new(std::env::current_exe().unwrap())
            .arg("server")
            .arg(bench.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "started\n");
        let before = until(&bench.runner, "w1", |status| status.ready).await;
        server.kill().unwrap();
        server.wait().unwrap();

        let handle = bench.runner.attach_step("survivor").await.unwrap().unwrap();
        assert_eq!(handle.progress().await.unwrap().unwrap().command, "main");
        assert!(handle.result().unwrap().is_none());
        std::fs::write(bench.runner.step_root("survivor").join("go"), "").unwrap();
        let outcome = handle.wait().await.unwrap();
        assert_eq!(outcome.end, StepEnd::Succeeded);
        assert_eq!(outcome.result("result"), Some(b"value\n".as_slice()));

        let after = bench.runner.workload_status("w1").await.unwrap().unwrap();
        assert_eq!(after, before);
        let spec = workload("w1", vec![container("main", "exec sleep 7401")]);
        assert_eq!(
            bench.runner.start_workload(&spec).await.unwrap(),
            WorkloadPresence::Kept
        );
        bench.runner.forget_workload("w1").await.unwrap();
        assert!(!runs("sleep 7401"));
    });
}

fn shim_of(folder: &Path) -> Pid {
    let boot: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("boot")).unwrap()).unwrap();
    Pid::from_raw(i32::try_from(boot["pid"].as_i64().unwrap()).unwrap())
}

fn a_killed_shim_takes_its_step_along() {
    wait_for(async {
        let bench = bench();
        let spec = step("orphan", "setsid sleep 7501 & sleep 7502");
        let handle = bench.runner.start_step(&spec).await.unwrap();
        eventually("the sleepers run", || runs("sleep 7501") && runs("sleep 7502")).await;
        kill(shim_of(&bench.step_folder("orphan")), Signal::SIGKILL).unwrap();
        assert_eq!(handle.wait().await.unwrap(), StepOutcome::lost());
        assert!(!runs("sleep 7501") && !runs("sleep 7502"));
        assert!(!bench.runner.list_steps().unwrap()[0].alive);
        // What is lost stays lost, and is not begun again under the same id.
        let again = bench.runner.start_step(&spec).await.unwrap();
        assert_eq!(again.wait().await.unwrap(), StepOutcome::lost());
        bench.runner.forget_step("orphan").await.unwrap();
    });
}

fn a_killed_shim_takes_its_workload_along() {
    wait_for(async {
        let bench = bench();
        let spec = workload(
            "w2",
            vec![container("main", "setsid sleep 7601 & exec sleep 7602")],
        );
        bench.runner.start_workload(&spec).await.unwrap();
        eventually("the sleepers run", || runs("sleep 7601") && runs("sleep 7602")).await;
        kill(shim_of(&bench.workload_folder("w2")), Signal::SIGKILL).unwrap();
        eventually("the main process is gone", || !runs("sleep 7602")).await;
        assert!(bench.runner.workload_status("w2").await.unwrap().is_none());
        // The next start ends what escaped before it begins.
        assert_eq!(
            bench.runner.start_workload(&spec).await.unwrap(),
            WorkloadPresence::Started
        );
        let status = until(&bench.runner, "w2", |status| status.ready).await;
        assert_eq!(status.containers[0].restarts, 0);
        bench.runner.forget_workload("w2").await.unwrap();
        assert!(!runs("sleep 7601") && !runs("sleep 7602"));
    });
}

fn a_step_of_an_earlier_boot_is_lost() {
    wait_for(async {
        let bench = bench();
        let folder = bench.step_folder("old");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("lock"), "").unwrap();
        std::fs::write(folder.join("boot"), r#"{"bootId":"other","pid":1,"root":"/"}"#).unwrap();
        let handle = bench.runner.attach_step("old").await.unwrap().unwrap();
        assert_eq!(handle.wait().await.unwrap().end, StepEnd::Lost);
        // A folder without a beginning is no step.
        std::fs::create_dir_all(bench.step_folder("never")).unwrap();
        assert!(bench.runner.attach_step("never").await.unwrap().is_none());
        assert!(!bench.step_folder("never").exists());
    });
}
