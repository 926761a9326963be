//! The driver `template`: outputs computed by expressions; nothing is made.
//!
//! The engine evaluated the expressions before it asks, so that the outputs are the inputs.

use async_trait::async_trait;
use podium_model::kinds::{DriverKind, ModuleContent, Recovery};
use podium_model::plan::Fidelity;
use podium_model::secret::Revealed;

use crate::failure::hopeless;
use crate::interface::{Driver, Observation, Operation, Outcome};
use crate::preview::fidelity;
use crate::sensitive::{paths_with_secrets, texts};

/// The driver.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateDriver;

#[async_trait]
impl Driver for TemplateDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Template
    }

    fn previews(&self) -> Fidelity {
        fidelity(self.kind())
    }

    fn recovery(&self, _content: &ModuleContent) -> Recovery {
        Recovery::Named
    }

    async fn apply(&self, operation: &Operation) -> Outcome {
        let outputs = operation.inputs.expose();
        if !outputs.is_object() {
            return hopeless(
                operation,
                "inputs",
                "the inputs of a template are its outputs and must be an object",
            );
        }
        let sensitive = paths_with_secrets(outputs, &operation.secrets());
        let secrets = texts(outputs, &sensitive);
        Outcome::Applied {
            outputs: Revealed::new(outputs.clone(), secrets),
            sensitive,
            state: None,
            log_tail: String::new(),
        }
    }

    async fn destroy(&self, _operation: &Operation) -> Outcome {
        Outcome::Destroyed
    }

    async fn observe(&self, _operation: &Operation) -> Observation {
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
    use podium_model::kinds::DriverKind;
    use podium_model::secret::{Revealed, Secret};
    use serde_json::json;

    use super::TemplateDriver;
    use crate::interface::{Driver, Outcome};
    use crate::testing::operation;

    #[tokio::test]
    async fn outputs_are_the_inputs_and_secrets_stay_marked() {
        let mut operation = operation(DriverKind::Template);
        let json = json!({"host": "h", "url": "pg://u:hunter2@h"});
        operation.inputs = Revealed::new(json.clone(), vec![Secret::new("hunter2")]);
        let outcome = TemplateDriver.apply(&operation).await;
        let Outcome::Applied {
            outputs, sensitive, ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(outputs.expose(), &json);
        assert_eq!(sensitive, [["url"]]);
        operation.inputs = Revealed::new(json!(["no", "object"]), Vec::new());
        assert!(matches!(
            TemplateDriver.apply(&operation).await,
            Outcome::Failed { retriable: false, .. }
        ));
    }
}
