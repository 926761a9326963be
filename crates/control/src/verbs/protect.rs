//! `protect`: a resource that must not be lost. The server derives resources; this one field is a person's.

use podium_apiserver::{Answer, StatusError, SubresourceCall};
use podium_model::api::Protection;
use podium_model::kinds::{RESOURCES, ResourceSpec, ResourceStatus};
use podium_store::Transaction;

use super::{body, json};
use crate::error::ControlError;
use crate::objects::{get, namespaced};
use crate::service::ControlPlane;

/// How often it is tried again while a run is writing the resource.
const TRIES: usize = 20;

impl ControlPlane {
    pub(super) async fn verb_protect(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let wanted: Protection = body(call)?;
        let key = namespaced(RESOURCES, call.namespace, call.name);
        let mut tries = 0;
        loop {
            let mut resource = get::<ResourceSpec, ResourceStatus>(&*self.store, &key)
                .await?
                .ok_or_else(|| StatusError::not_found("podium.dev", RESOURCES, call.name))?;
            if resource.spec.protect == wanted.protect {
                return json(&wanted);
            }
            resource.spec.protect = wanted.protect;
            let transaction = Transaction {
                principal: call.principal.name.as_str().into(),
                preconditions: vec![resource.unchanged()],
                changes: vec![resource.put()?],
                ..Transaction::default()
            };
            match self.store.commit(transaction).await.map_err(ControlError::from) {
                Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
                outcome => {
                    outcome?;
                    return json(&wanted);
                }
            }
        }
    }
}
