//! The verbs that Podium adds to its kinds: what `podium plan`, `deploy`, `explain` and the like call.

mod change;
mod explain;
mod history;
mod logs;
mod outputs;
mod overview;
mod protect;
mod steps;

use std::sync::Arc;

use async_trait::async_trait;
use podium_apiserver::{Answer, StatusError, SubresourceCall, Subresources};
use podium_model::kinds::{ENVIRONMENTS, PLANS, RESOURCES, RUNS, WORKLOADS};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::error::ControlError;
use crate::service::ControlPlane;

pub(crate) use change::destroy_order;

/// Carries out the verbs.
pub struct Verbs(pub Arc<ControlPlane>);

#[async_trait]
impl Subresources for Verbs {
    async fn call(&self, call: SubresourceCall<'_>) -> Result<Answer, StatusError> {
        let plane = &self.0;
        let answer = match (call.kind.plural, call.subresource) {
            (ENVIRONMENTS, "plan") => plane.verb_plan(&call).await,
            (ENVIRONMENTS, "deploy") => plane.verb_deploy(&call).await,
            (ENVIRONMENTS, "rollback") => plane.verb_rollback(&call).await,
            (ENVIRONMENTS, "destroy") => plane.verb_destroy(&call).await,
            (ENVIRONMENTS, "overview") => plane.verb_overview(&call).await,
            (ENVIRONMENTS, "history") => plane.verb_history(&call).await,
            (ENVIRONMENTS, "explain") => plane.verb_explain(&call).await,
            (ENVIRONMENTS, "graph") => plane.verb_graph(&call).await,
            (ENVIRONMENTS, "outputs") => plane.verb_outputs(&call).await,
            (ENVIRONMENTS, "diff") => plane.verb_diff(&call).await,
            (WORKLOADS | RESOURCES, "logs") => plane.verb_logs(&call).await,
            (RESOURCES, "protect") => plane.verb_protect(&call).await,
            (PLANS, "content") => plane.verb_plan_content(&call).await,
            (RUNS, "steps") => plane.verb_steps(&call).await,
            (RUNS, "approve") => plane.verb_approve(&call).await,
            (plural, verb) => Err(StatusError::not_found("podium.dev", plural, verb).into()),
        };
        answer.map_err(StatusError::from)
    }
}

/// The body of a call with its type; the API server has checked it against the schema.
fn body<T: DeserializeOwned + Default>(call: &SubresourceCall<'_>) -> Result<T, ControlError> {
    match &call.body {
        None | Some(Json::Null) => Ok(T::default()),
        Some(body) => serde_json::from_value(body.clone())
            .map_err(|error| StatusError::bad_request(format!("the request cannot be read: {error}")).into()),
    }
}

/// An answer of JSON.
fn json<T: Serialize>(answer: &T) -> Result<Answer, ControlError> {
    serde_json::to_value(answer)
        .map(Answer::Json)
        .map_err(|error| ControlError::Damaged(error.to_string()))
}

/// Whether a query parameter says yes.
fn is_set(call: &SubresourceCall<'_>, name: &str) -> bool {
    call.query
        .get(name)
        .is_some_and(|value| matches!(value.as_str(), "true" | "1" | ""))
}

/// A number in a query parameter.
fn number(call: &SubresourceCall<'_>, name: &str) -> Result<Option<u64>, ControlError> {
    match call.query.get(name) {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| StatusError::bad_request(format!("`{name}` must be a number, not `{text}`")).into()),
    }
}
