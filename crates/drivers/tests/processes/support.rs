//! What the tests share.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podium_drivers::{
    DigestKey, Driver, Drivers, KeptState, Operation, Outcome, Previous, ResourceIdentity, ScriptValues,
};
use podium_model::coordinate::Coordinate;
use podium_model::graph::ModuleReference;
use podium_model::kinds::{DriverKind, ModuleContent};
use podium_model::secret::{Revealed, Secret};
use podium_runners::{ProcessRunner, RunnerSettings, SealKey};
use serde_json::{Value as Json, json};

/// Drivers on a runner with a data folder of its own.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) drivers: Drivers,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let drivers = drivers_at(folder.path());
        Self { folder, drivers }
    }

    pub(crate) fn script(&self) -> Arc<dyn Driver> {
        self.drivers.get(DriverKind::Script)
    }
}

/// Drivers of a server on this data folder.
pub(crate) fn drivers_at(data: &Path) -> Drivers {
    let mut settings = RunnerSettings::new(SealKey::new([42; 32]));
    // Where the tests run may have no Landlock; confinement has tests of its own.
    settings.allow_unconfined = true;
    let runner = ProcessRunner::new(data, std::env::current_exe().unwrap(), settings).unwrap();
    Drivers::new(Arc::new(runner), DigestKey::new(&[7; 32]))
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

pub(crate) fn operation(step: &str, content: Json) -> Operation {
    let content: ModuleContent = serde_json::from_value(content).unwrap();
    Operation {
        step: step.into(),
        resource: ResourceIdentity {
            coordinate: Coordinate::new("thing", "default", "db"),
            uid: "uid-1".into(),
            name: "db-1".into(),
            namespace: "shop-dev".into(),
            project: "shop".into(),
            environment: "dev".into(),
            environment_type: "development".into(),
        },
        owner: "team-data".into(),
        module: ModuleReference {
            module: "thing-maker".into(),
            version: 3,
        },
        content: Arc::new(content),
        bundle: None,
        inputs: Revealed::new(
            json!({"size": 3, "password": "hunter2"}),
            vec![Secret::new("hunter2")],
        ),
        script: ScriptValues::default(),
        previous: None,
        state: None,
        ports: BTreeMap::new(),
        sensitive_outputs: false,
        deadline_ms: 0,
    }
}

/// An operation of a script with these steps.
pub(crate) fn script(step: &str, apply: &[(&str, &str)], destroy: &[(&str, &str)]) -> Operation {
    let steps = |steps: &[(&str, &str)]| -> Vec<Json> {
        steps
            .iter()
            .map(|(name, run)| json!({"name": name, "run": run}))
            .collect()
    };
    operation(
        step,
        json!({"type": "thing", "driver": "script", "script": {"apply": steps(apply), "destroy": steps(destroy)}}),
    )
}

/// What an apply left.
pub(crate) struct Made {
    pub(crate) outputs: Revealed,
    pub(crate) sensitive: Vec<Vec<String>>,
    pub(crate) state: Option<KeptState>,
    pub(crate) log: String,
}

pub(crate) fn made(outcome: Outcome) -> Made {
    match outcome {
        Outcome::Applied {
            outputs,
            sensitive,
            state,
            log_tail,
        } => Made {
            outputs,
            sensitive,
            state,
            log: log_tail,
        },
        other => panic!("{other:#?}"),
    }
}

/// Step, message and output of a failure.
pub(crate) fn failure(outcome: Outcome) -> (String, String, String) {
    match outcome {
        Outcome::Failed {
            step,
            message,
            output_tail,
            ..
        } => (step, message, output_tail),
        other => panic!("{other:#?}"),
    }
}

pub(crate) fn previous(made: &Made) -> Previous {
    Previous {
        inputs: Revealed::default(),
        outputs: made.outputs.clone(),
    }
}
