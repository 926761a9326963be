//! The driver `volume`: a folder on the runner's machine that lives as long as its resource.
//!
//! Its raw output is `source`, a handle of the form `volume:NAMESPACE/NAME`. A handle names a volume and no path, so
//! that no document can have a folder of the machine mounted; workloads and scripts may use handles of their own
//! namespace only.

use std::sync::Arc;

use async_trait::async_trait;
use podium_model::kinds::{DriverKind, ModuleContent, Recovery};
use podium_model::plan::Fidelity;
use podium_model::secret::Revealed;
use serde_json::json;

use crate::failure::of_runner;
use crate::interface::{Driver, Observation, Operation, Outcome, ResourceIdentity};
use crate::preview::fidelity;
use crate::runner::Runner;

/// What a handle begins with.
const SCHEME: &str = "volume:";

/// The handle of the volume that a resource is.
fn handle(resource: &ResourceIdentity) -> String {
    format!("{SCHEME}{}/{}", resource.namespace, resource.name)
}

/// Whether a text can be the handle of a volume; whose it is shows when it is resolved.
pub(crate) fn may_be_handle(source: &str) -> bool {
    source.starts_with(SCHEME)
}

/// Namespace and name of the volume that a document names by its handle.
pub(crate) fn resolve<'a>(source: &'a str, namespace: &str) -> Result<(&'a str, &'a str), String> {
    let refuse = |why: &str| {
        let shown: String = source.chars().take(100).collect();
        Err(format!(
            "source `{shown}` {why}; name a volume by its output `source`, as in `${{resources.data.source}}`"
        ))
    };
    let Some((volume_namespace, name)) = source.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'))
    else {
        return refuse("is no handle of a volume");
    };
    if volume_namespace != namespace {
        return refuse("is a volume of another environment");
    }
    let ordinary = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !name.is_empty() && ordinary(namespace) && ordinary(name) {
        Ok((volume_namespace, name))
    } else {
        refuse("is no handle of a volume")
    }
}

/// The driver.
pub struct VolumeDriver {
    runner: Arc<dyn Runner>,
}

impl VolumeDriver {
    /// A driver whose volumes are on this runner.
    pub fn new(runner: Arc<dyn Runner>) -> Self {
        Self { runner }
    }
}

#[async_trait]
impl Driver for VolumeDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Volume
    }

    fn previews(&self) -> Fidelity {
        fidelity(self.kind())
    }

    fn recovery(&self, _content: &ModuleContent) -> Recovery {
        Recovery::Named
    }

    async fn apply(&self, operation: &Operation) -> Outcome {
        let resource = &operation.resource;
        match self
            .runner
            .ensure_volume(&resource.namespace, &resource.name)
            .await
        {
            Ok(_) => Outcome::Applied {
                outputs: Revealed::new(json!({"source": handle(resource)}), Vec::new()),
                sensitive: Vec::new(),
                state: None,
                log_tail: String::new(),
            },
            Err(error) => of_runner("make the folder", &error),
        }
    }

    async fn destroy(&self, operation: &Operation) -> Outcome {
        let resource = &operation.resource;
        match self
            .runner
            .remove_volume(&resource.namespace, &resource.name)
            .await
        {
            Ok(()) => Outcome::Destroyed,
            Err(error) => of_runner("remove the folder", &error),
        }
    }

    async fn observe(&self, _operation: &Operation) -> Observation {
        // A folder cannot be unhealthy; what is in it is its users' business.
        Observation {
            healthy: Some(true),
            message: String::new(),
        }
    }

    async fn recover(&self, operation: &Operation, is_destroy: bool) -> Outcome {
        if is_destroy {
            self.destroy(operation).await
        } else {
            self.apply(operation).await
        }
    }

    async fn stop(&self, _step: &str) {}

    async fn forget(&self, _step: &str) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podium_model::kinds::DriverKind;
    use serde_json::json;

    use super::{VolumeDriver, resolve};
    use crate::interface::{Driver, Outcome};
    use crate::testing::{FakeRunner, operation};

    #[test]
    fn only_handles_of_the_same_namespace_resolve() {
        assert_eq!(
            resolve("volume:shop-dev/data-1", "shop-dev"),
            Ok(("shop-dev", "data-1"))
        );
        for source in [
            "/etc",
            "volume:shop-prod/data",
            "volume:shop-dev/../x",
            "volume:shop-dev/",
            "volume:shop-dev",
            "data",
        ] {
            assert!(resolve(source, "shop-dev").is_err(), "{source}");
        }
    }

    #[tokio::test]
    async fn lives_as_long_as_its_resource() {
        let runner = Arc::new(FakeRunner::default());
        let driver = VolumeDriver::new(runner.clone());
        let operation = operation(DriverKind::Volume);
        for _ in 0..2 {
            let outcome = driver.apply(&operation).await;
            let Outcome::Applied { outputs, .. } = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(outputs.expose(), &json!({"source": "volume:shop-dev/db-1"}));
        }
        assert_eq!(runner.volumes(), ["shop-dev/db-1"]);
        for _ in 0..2 {
            assert!(matches!(
                driver.recover(&operation, true).await,
                Outcome::Destroyed
            ));
        }
        assert!(runner.volumes().is_empty());
    }
}
