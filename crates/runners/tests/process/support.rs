//! What the tests share.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podium_runners::{
    Container, ProcessRunner, RunnerSettings, SealKey, StepCommand, StepOutcome, StepSpec, Value,
    WorkloadSpec, WorkloadStatus,
};
use tokio_stream::StreamExt as _;

/// A runner with a data folder of its own.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) runner: ProcessRunner,
}

pub(crate) fn settings() -> RunnerSettings {
    RunnerSettings::new(SealKey::new([42; 32]))
}

pub(crate) fn runner_at(data: &Path, settings: RunnerSettings) -> ProcessRunner {
    ProcessRunner::new(data, std::env::current_exe().unwrap(), settings).unwrap()
}

pub(crate) fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let runner = runner_at(folder.path(), settings());
    Bench { folder, runner }
}

impl Bench {
    pub(crate) fn step_folder(&self, id: &str) -> PathBuf {
        self.folder.path().join("runner/steps").join(id)
    }

    pub(crate) fn workload_folder(&self, uid: &str) -> PathBuf {
        self.folder.path().join("runner/workloads").join(uid)
    }

    pub(crate) async fn run(&self, spec: &StepSpec) -> StepOutcome {
        self.runner.start_step(spec).await.unwrap().wait().await.unwrap()
    }
}

/// Ends what a failed test left, so that it does not outlive it.
impl Drop for Bench {
    fn drop(&mut self) {
        for kind in ["steps", "workloads"] {
            let _ = std::fs::remove_dir_all(self.folder.path().join("runner").join(kind));
        }
    }
}

pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            tokio::time::timeout(Duration::from_mins(1), future)
                .await
                .expect("the test takes too long")
        })
}

pub(crate) fn path() -> (String, Value) {
    ("PATH".to_owned(), "/usr/bin:/bin".into())
}

pub(crate) fn shell(script: &str) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()]
}

pub(crate) fn command(name: &str, script: &str) -> StepCommand {
    StepCommand {
        name: name.to_owned(),
        argv: shell(script),
        env: vec![path()],
        folder: None,
    }
}

pub(crate) fn step(id: &str, script: &str) -> StepSpec {
    let mut spec = StepSpec::new(id, vec![command("main", script)]);
    spec.time_limit = Duration::from_secs(30);
    spec.grace = Duration::from_secs(1);
    spec
}

pub(crate) fn container(name: &str, script: &str) -> Container {
    let mut container = Container::new(name, shell(script));
    container.env = vec![path()];
    container
}

pub(crate) fn workload(uid: &str, containers: Vec<Container>) -> WorkloadSpec {
    let mut spec = WorkloadSpec::new(uid, "digest-1", containers);
    spec.backoff_first = Duration::from_millis(200);
    spec.grace = Duration::from_secs(1);
    spec
}

/// Waits for a state of a workload.
pub(crate) async fn until(
    runner: &ProcessRunner,
    uid: &str,
    wanted: impl Fn(&WorkloadStatus) -> bool,
) -> WorkloadStatus {
    let mut changes = runner.subscribe_workload(uid).await.unwrap();
    let mut last = None;
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(status) = changes.next().await {
            if wanted(&status) {
                return Some(status);
            }
            last = Some(status);
        }
        None
    });
    match waited.await {
        Ok(Some(status)) => status,
        other => panic!("the state did not come ({other:?}); last was {last:#?}"),
    }
}

/// Waits until a condition holds that no event tells: about processes that are no children of this one.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !condition() {
        assert!(Instant::now() < end, "it did not come to pass: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process lives whose arguments begin with these.
pub(crate) fn runs(arguments: &str) -> bool {
    command_lines()
        .iter()
        .any(|line| line.starts_with(&format!("{arguments} ")))
}

/// Whether a process lives whose arguments hold this text.
pub(crate) fn is_named(text: &str) -> bool {
    command_lines().iter().any(|line| line.contains(text))
}

/// The arguments of every process, each with a space behind it.
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|item| std::fs::read(item.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Why a runner cannot be made there.
pub(crate) fn refusal_at(data: &Path, settings: RunnerSettings) -> String {
    match ProcessRunner::new(data, std::env::current_exe().unwrap(), settings) {
        Ok(_) => panic!("the runner was made"),
        Err(error) => error.to_string(),
    }
}
