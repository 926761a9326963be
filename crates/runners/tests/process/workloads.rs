//! Workloads: order, probes, restarts, volumes, logs, their end.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use podium_model::secret::Secret;
use podium_runners::{
    BeforeCondition, ContainerState, Exit, Probe, ProbeAction, RestartPolicy, RootFile, Value, Volume,
    WorkloadPresence,
};
use tokio_stream::StreamExt as _;

use super::Test;
use super::support::{bench, container, eventually, is_named, runs, until, wait_for, workload};

pub(crate) const TESTS: &[Test] = &[
    (
        "workloads::restarts_with_longer_pauses",
        restarts_with_longer_pauses,
    ),
    (
        "workloads::restart_policies_and_order",
        restart_policies_and_order,
    ),
    (
        "workloads::readiness_shows_and_liveness_restarts",
        readiness_shows_and_liveness_restarts,
    ),
    (
        "workloads::exec_probes_run_in_the_container",
        exec_probes_run_in_the_container,
    ),
    ("workloads::one_shim_for_a_uid", one_shim_for_a_uid),
    (
        "workloads::volumes_outlive_the_workload",
        volumes_outlive_the_workload,
    ),
    (
        "workloads::stopping_ends_what_ignores_sigterm",
        stopping_ends_what_ignores_sigterm,
    ),
    (
        "workloads::removing_the_folder_stops_it",
        removing_the_folder_stops_it,
    ),
    (
        "workloads::logs_rotate_and_are_masked",
        logs_rotate_and_are_masked,
    ),
    (
        "workloads::a_wrong_specification_is_refused",
        a_wrong_specification_is_refused,
    ),
];

fn restarts_with_longer_pauses() {
    wait_for(async {
        let bench = bench();
        let spec = workload("w", vec![container("main", "exit 5")]);
        bench.runner.start_workload(&spec).await.unwrap();
        let mut pauses = Vec::new();
        for restarts in 0..3 {
            let status = until(&bench.runner, "w", |status| {
                status.containers[0].state == ContainerState::Backoff
                    && status.containers[0].restarts == restarts
            })
            .await;
            let container = &status.containers[0];
            assert_eq!(container.last_exit, Some(Exit::Code(5)));
            assert!(!status.ready);
            pauses.push(container.next_start_ms.unwrap() - container.since_ms);
        }
        assert_eq!(pauses, [200, 400, 800]);
        // Told to, it starts at once and begins with the first pause again.
        bench.runner.restart_workload("w").await.unwrap();
        let status = until(&bench.runner, "w", |status| {
            status.containers[0].restarts >= 3 && status.containers[0].state == ContainerState::Backoff
        })
        .await;
        let container = &status.containers[0];
        assert_eq!(container.next_start_ms.unwrap() - container.since_ms, 200);
        bench.runner.forget_workload("w").await.unwrap();
        assert!(bench.runner.restart_workload("w").await.is_err());
    });
}

fn restart_policies_and_order() {
    wait_for(async {
        let bench = bench();
        let mut init = container("init", "while [ ! -e go ]; do sleep 0.05; done; echo 1 >> order");
        init.restart = RestartPolicy::Always;
        let mut main = container("main", "echo 2 >> order; exec sleep 7701");
        main.after.insert("init".into(), BeforeCondition::Complete);
        main.readiness = Some(Probe {
            period_ms: 100,
            ..Probe::new(ProbeAction::Exec {
                argv: vec!["test".into(), "-e".into(), "ready".into()],
            })
        });
        let mut side = container("side", "echo 3 >> order; exit 4");
        side.after.insert("main".into(), BeforeCondition::Healthy);
        side.restart = RestartPolicy::Never;
        bench
            .runner
            .start_workload(&workload("w", vec![main, side, init]))
            .await
            .unwrap();
        let status = until(&bench.runner, "w", |status| {
            status.containers[2].state == ContainerState::Running
        })
        .await;
        assert_eq!(
            status.containers[0].reason.as_deref(),
            Some("waits for container init to complete")
        );
        let root = bench.runner.workload_root("w");
        std::fs::write(root.join("go"), "").unwrap();
        let status = until(&bench.runner, "w", |status| {
            status.containers[0].probe_failure.is_some()
        })
        .await;
        assert_eq!(status.containers[2].state, ContainerState::Completed);
        assert_eq!(status.containers[1].state, ContainerState::Waiting);
        assert!(!status.ready);
        std::fs::write(root.join("ready"), "").unwrap();
        let status = until(&bench.runner, "w", |status| {
            status.containers[1].state == ContainerState::Failed
        })
        .await;
        assert!(status.containers[0].ready);
        assert_eq!(status.containers[1].last_exit, Some(Exit::Code(4)));
        assert_eq!(std::fs::read_to_string(root.join("order")).unwrap(), "1\n2\n3\n");
        bench.runner.forget_workload("w").await.unwrap();
    });
}

/// Answers every request with the status that is set; 0 hangs up.
fn http_server() -> (u16, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let status = Arc::new(AtomicU16::new(503));
    let told = Arc::clone(&status);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0_u8; 1024];
            let count = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..count]).into_owned();
            let good = text.starts_with("GET /health?x=1 HTTP/1.1\r\n") && text.contains("X-Probe: yes\r\n");
            let code = if good { told.load(Ordering::SeqCst) } else { 400 };
            let _ = write!(stream, "HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (port, status)
}

fn readiness_shows_and_liveness_restarts() {
    wait_for(async {
        let bench = bench();
        let probe = |port| Probe {
            period_ms: 100,
            timeout_ms: 2000,
            failures: 2,
            action: ProbeAction::HttpGet {
                scheme: "HTTP".into(),
                host: "127.0.0.1".into(),
                port,
                path: "/health?x=1".into(),
                headers: vec![("X-Probe".into(), "yes".into())],
            },
        };
        let (ready_port, ready) = http_server();
        let (live_port, live) = http_server();
        live.store(200, Ordering::SeqCst);
        let mut main = container("main", "exec sleep 7711");
        main.readiness = Some(probe(ready_port));
        main.liveness = Some(probe(live_port));
        bench
            .runner
            .start_workload(&workload("w", vec![main]))
            .await
            .unwrap();
        let status = until(&bench.runner, "w", |status| {
            status.containers[0].probe_failure.is_some()
        })
        .await;
        let failure = status.containers[0].probe_failure.clone().unwrap();
        assert!(
            failure.contains("readiness probe: GET http://127.0.0.1:"),
            "{failure}"
        );
        assert!(failure.ends_with("/health?x=1 answered 503"), "{failure}");
        assert!(status.containers[0].next_probe_ms.is_some());
        ready.store(204, Ordering::SeqCst);
        let status = until(&bench.runner, "w", |status| status.ready).await;
        assert_eq!(status.containers[0].probe_failure, None);
        ready.store(500, Ordering::SeqCst);
        let status = until(&bench.runner, "w", |status| !status.ready).await;
        assert_eq!(
            (status.containers[0].restarts, status.containers[0].state),
            (0, ContainerState::Running)
        );
        ready.store(200, Ordering::SeqCst);
        let first = until(&bench.runner, "w", |status| status.ready).await.containers[0].pid;
        live.store(500, Ordering::SeqCst);
        until(&bench.runner, "w", |status| {
            status.containers[0].state == ContainerState::Backoff
        })
        .await;
        live.store(200, Ordering::SeqCst);
        let status = until(&bench.runner, "w", |status| status.ready).await;
        assert_eq!(status.containers[0].restarts, 1);
        assert_ne!(status.containers[0].pid, first);
        let log: Vec<_> = bench
            .runner
            .workload_logs("w", 50, false)
            .await
            .unwrap()
            .collect()
            .await;
        let log = String::from_utf8(log.concat()).unwrap();
        assert!(
            log.contains("it is restarted, because it failed 2 times in a row; liveness probe"),
            "{log}"
        );
        bench.runner.forget_workload("w").await.unwrap();
    });
}

fn exec_probes_run_in_the_container() {
    wait_for(async {
        let bench = bench();
        let mut main = container("main", "exec sleep 7721");
        main.env.push(("FLAG".into(), "set".into()));
        main.readiness = Some(Probe {
            period_ms: 100,
            timeout_ms: 500,
            failures: 1,
            action: ProbeAction::Exec {
                argv: super::support::shell("[ $FLAG = set ] || exit 9; [ -e slow ] && sleep 7722; exit 0"),
            },
        });
        bench
            .runner
            .start_workload(&workload("w", vec![main]))
            .await
            .unwrap();
        until(&bench.runner, "w", |status| status.ready).await;
        std::fs::write(bench.runner.workload_root("w").join("slow"), "").unwrap();
        let status = until(&bench.runner, "w", |status| !status.ready).await;
        let failure = status.containers[0].probe_failure.clone().unwrap();
        assert!(failure.contains("did not end within 500 ms"), "{failure}");
        bench.runner.forget_workload("w").await.unwrap();
        assert!(!runs("sleep 7722"));
    });
}

/// Starts a shim by hand with settings that are right, and returns what it answers.
fn second_shim(folder: &Path, root: &Path) -> String {
    let settings = serde_json::json!({
        "v": 1, "id": "w", "root": root, "seal_key": "", "folders": [], "files": [], "masked": [],
        "grace_ms": 100, "log_size": 10_000, "log_files": 1,
        "cage": {"run_as": null, "grants": [], "executables": [], "hidden": [], "allow_unconfined": false},
        "work": {"Workload": {
            "digest": "other", "containers": [],
            "backoff_first_ms": 1, "backoff_most_ms": 1, "backoff_reset_ms": 1,
        }},
    })
    .to_string();
    let mut shim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["shim", "--dir"])
        .arg(folder)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = shim.stdin.take().unwrap();
    stdin.write_all(&(settings.len() as u64).to_le_bytes()).unwrap();
    stdin.write_all(settings.as_bytes()).unwrap();
    drop(stdin);
    let output = shim.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn one_shim_for_a_uid() {
    wait_for(async {
        let bench = bench();
        let mut spec = workload("w", vec![container("main", "exec sleep 7731")]);
        let (one, two) = tokio::join!(
            bench.runner.start_workload(&spec),
            bench.runner.start_workload(&spec)
        );
        let mut found = [one.unwrap(), two.unwrap()];
        found.sort_by_key(|presence| format!("{presence:?}"));
        assert_eq!(found, [WorkloadPresence::Kept, WorkloadPresence::Started]);
        // Another runner on the same folder, as a second server would be.
        let other = super::support::runner_at(bench.folder.path(), super::support::settings());
        spec.digest = "digest-2".into();
        assert_eq!(
            other.start_workload(&spec).await.unwrap(),
            WorkloadPresence::Differs
        );
        // The shim itself refuses, whoever starts it, and touches nothing of the first one's.
        let root = bench.runner.workload_root("w");
        std::fs::write(root.join("kept"), "").unwrap();
        let answer = second_shim(&bench.workload_folder("w"), &root);
        assert!(
            answer.contains("\"held\":true") && answer.contains("another shim"),
            "{answer}"
        );
        assert!(root.join("kept").exists());
        let first = until(&bench.runner, "w", |status| status.ready).await.containers[0].pid;
        bench.runner.replace_workload(&spec).await.unwrap();
        let status = until(&bench.runner, "w", |status| status.ready).await;
        assert_eq!(status.digest, "digest-2");
        assert_ne!(status.containers[0].pid, first);
        assert_eq!(
            bench.runner.workload_digest("w").unwrap().as_deref(),
            Some("digest-2")
        );
        bench.runner.stop_workload("w").await.unwrap();
        assert!(bench.runner.workload_status("w").await.unwrap().is_none());
        assert!(!runs("sleep 7731"));
        assert!(!bench.runner.list_workloads().unwrap()[0].alive);
        bench.runner.forget_workload("w").await.unwrap();
        assert!(bench.runner.list_workloads().unwrap().is_empty());
    });
}

fn volumes_outlive_the_workload() {
    wait_for(async {
        let bench = bench();
        let source = bench.runner.ensure_volume("demo-dev", "data").unwrap();
        let fixed = bench.runner.ensure_volume("demo-dev", "fixed").unwrap();
        let mut main = container(
            "main",
            "echo row >> data/rows; wc -l < data/rows; cat etc/config; (echo x > fixed/x) 2>/dev/null && echo wrote; exec sleep 7741",
        );
        main.volumes = vec![
            Volume {
                target: "/data".into(),
                source: source.clone(),
                read_only: false,
            },
            Volume {
                target: "fixed".into(),
                source: fixed.clone(),
                read_only: true,
            },
        ];
        main.files = vec![RootFile::text("/etc/config", "configured\n", 0o400)];
        let spec = workload("w", vec![main]);
        for _ in 0..2 {
            bench.runner.start_workload(&spec).await.unwrap();
            eventually("it runs", || runs("sleep 7741")).await;
            bench.runner.forget_workload("w").await.unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(source.join("rows")).unwrap(),
            "row\nrow\n"
        );
        assert!(!fixed.join("x").exists());
        assert_eq!(bench.runner.ensure_volume("demo-dev", "data").unwrap(), source);
        bench.runner.remove_volume("demo-dev", "data").unwrap();
        bench.runner.remove_volume("demo-dev", "data").unwrap();
        assert!(!source.exists() && fixed.exists());
        assert!(bench.runner.ensure_volume("..", "x").is_err());
        let mut inside = container("main", "true");
        inside.volumes = vec![Volume {
            target: "/data".into(),
            source: fixed,
            read_only: false,
        }];
        inside.files = vec![RootFile::text("/data/x", "x", 0o400)];
        let error = bench
            .runner
            .start_workload(&workload("v", vec![inside]))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("lies inside a volume"), "{error}");
    });
}

fn stopping_ends_what_ignores_sigterm() {
    wait_for(async {
        let bench = bench();
        let stubborn = container(
            "stubborn",
            "trap '' TERM; setsid sleep 7751 & while :; do sleep 7752; done",
        );
        let polite = container(
            "polite",
            "trap 'echo bye; exit 0' TERM; while :; do sleep 0.1753; done",
        );
        bench
            .runner
            .start_workload(&workload("w", vec![stubborn, polite]))
            .await
            .unwrap();
        // The last of these is begun after the trap is set.
        eventually("they run", || {
            runs("sleep 7751") && runs("sleep 7752") && runs("sleep 0.1753")
        })
        .await;
        bench.runner.stop_workload("w").await.unwrap();
        assert!(!runs("sleep 7751") && !runs("sleep 7752"));
        let log: Vec<_> = bench
            .runner
            .workload_logs("w", 50, false)
            .await
            .unwrap()
            .collect()
            .await;
        assert!(
            String::from_utf8(log.concat())
                .unwrap()
                .contains("polite out bye")
        );
        bench.runner.forget_workload("w").await.unwrap();
    });
}

fn removing_the_folder_stops_it() {
    wait_for(async {
        let bench = bench();
        let spec = workload("w", vec![container("main", "exec sleep 7761")]);
        bench.runner.start_workload(&spec).await.unwrap();
        eventually("it runs", || runs("sleep 7761")).await;
        std::fs::remove_dir_all(bench.workload_folder("w")).unwrap();
        eventually("it is gone", || !runs("sleep 7761")).await;
        eventually("its shim is gone", || {
            !is_named(&bench.folder.path().display().to_string())
        })
        .await;
    });
}

fn logs_rotate_and_are_masked() {
    wait_for(async {
        let bench = bench();
        let mut main = container(
            "main",
            "for i in $(seq 2000); do echo \"line $i $TOKEN\"; done; printf %s $TOKEN | base64; exec sleep 7771",
        );
        main.env
            .push(("TOKEN".into(), Value::Secret(Secret::new("tok-swordfish-1234"))));
        let mut spec = workload("w", vec![main]);
        spec.log_size = 20_000;
        spec.log_files = 2;
        bench.runner.start_workload(&spec).await.unwrap();
        let log = bench.workload_folder("w").join("log");
        eventually("the last line is in", || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with("main out (secret)\n"))
        })
        .await;
        let lines: Vec<_> = bench
            .runner
            .workload_logs("w", 300, false)
            .await
            .unwrap()
            .collect()
            .await;
        assert_eq!(lines.len(), 300);
        assert!(lines[0].ends_with(b"(secret)\n"));
        for name in ["log", "log.1", "log.2"] {
            let text = std::fs::read_to_string(bench.workload_folder("w").join(name)).unwrap();
            assert!(text.len() <= 20_000 && !text.contains("swordfish") && !text.contains("c3dvcmRmaXNo"));
        }
        assert!(!bench.workload_folder("w").join("log.3").exists());
        bench.runner.forget_workload("w").await.unwrap();
    });
}

fn a_wrong_specification_is_refused() {
    wait_for(async {
        let bench = bench();
        let refused = async |containers| {
            let spec = workload("w", containers);
            bench.runner.start_workload(&spec).await.unwrap_err().to_string()
        };
        let mut one = container("one", "true");
        one.after.insert("two".into(), BeforeCondition::Started);
        let mut two = container("two", "true");
        two.after.insert("one".into(), BeforeCondition::Started);
        assert!(
            refused(vec![one.clone()])
                .await
                .contains("container two, which does not exist")
        );
        assert!(
            refused(vec![one, two])
                .await
                .contains("one, two wait for each other")
        );
        assert!(
            refused(vec![container("a", "true"), container("a", "true")])
                .await
                .contains("two containers")
        );
        let mut secure = container("a", "true");
        secure.readiness = Some(Probe::new(ProbeAction::HttpGet {
            scheme: "HTTPS".into(),
            host: "localhost".into(),
            port: 1,
            path: "/".into(),
            headers: Vec::new(),
        }));
        assert!(refused(vec![secure]).await.contains("use HTTP"));
        let mut empty = container("a", "true");
        empty.argv = Vec::new();
        assert!(refused(vec![empty]).await.contains("has no command"));
    });
}
