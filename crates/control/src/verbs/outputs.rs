//! `outputs`: what resources offer; secrets only on demand, and recorded.

use podium_apiserver::{Answer, StatusError, SubresourceCall};
use podium_model::api::{OutputsResponse, OutputsView};
use podium_model::coordinate::Coordinate;

use super::{is_set, json};
use crate::environment::{EnvironmentState, outputs};
use crate::error::ControlError;
use crate::secrets::reveal;
use crate::service::ControlPlane;

/// Whether a resource is meant by `text`: its id, `TYPE.CLASS#ID`, or the name of its object.
pub(super) fn is_meant(coordinate: &Coordinate, text: &str) -> bool {
    coordinate.id == text || coordinate.to_string() == text || coordinate.object_name() == text
        // A workload's own resource may be named by its alias alone: `db` for `orders.db`.
        || coordinate.id.rsplit_once('.').is_some_and(|(_, alias)| alias == text)
}

/// That nothing is meant, with what there is.
pub(super) fn nothing_meant<'a>(text: &str, known: impl Iterator<Item = &'a Coordinate>) -> ControlError {
    let known: Vec<&str> = known.map(|coordinate| coordinate.id.as_str()).take(20).collect();
    let there = if known.is_empty() {
        "the environment is empty".to_owned()
    } else {
        format!("there is: {}", known.join(", "))
    };
    StatusError::new(404, "NotFound", format!("no resource is named `{text}`; {there}")).into()
}

impl ControlPlane {
    pub(super) async fn verb_outputs(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let state = EnvironmentState::load(&self.store, call.name).await?;
        let reveals = is_set(call, "reveal");
        let wanted = call.query.get("resource");
        let mut resources = Vec::new();
        for (coordinate, resource) in &state.resources {
            if wanted.is_some_and(|wanted| !is_meant(coordinate, wanted)) {
                continue;
            }
            let value = outputs(&self.store, resource).await?;
            let shown = if reveals && value.has_sensitive() {
                // Who saw which secret belongs to the record.
                tracing::warn!(
                    principal = call.principal.name,
                    namespace = call.name,
                    resource = %coordinate,
                    "secret outputs were revealed"
                );
                self.record_reveal(call, coordinate).await?;
                reveal(&*self.store, &value).await?.expose().clone()
            } else {
                value.to_display()
            };
            resources.push(OutputsView {
                resource: coordinate.clone(),
                name: resource.name().to_owned(),
                outputs: shown,
            });
        }
        if let (Some(wanted), true) = (wanted, resources.is_empty()) {
            return Err(nothing_meant(wanted, state.resources.keys()));
        }
        json(&OutputsResponse { resources })
    }

    /// Writes down who saw the secrets of a resource: in a journal of its own for the environment.
    async fn record_reveal(
        &self,
        call: &SubresourceCall<'_>,
        coordinate: &Coordinate,
    ) -> Result<(), ControlError> {
        let journal = format!("reveals/{}", call.name);
        loop {
            let rows = self.store.journal(&journal, 0).await?;
            let record = serde_json::json!({
                "at": self.clock.now(),
                "principal": call.principal.name,
                "resource": coordinate.to_string(),
            });
            let transaction = podium_store::Transaction {
                principal: call.principal.name.as_str().into(),
                journal: vec![podium_store::JournalEntry {
                    run: journal.as_str().into(),
                    sequence: rows.len() as u64,
                    record: std::sync::Arc::new(record),
                }],
                ..podium_store::Transaction::default()
            };
            match self.store.commit(transaction).await {
                Err(podium_store::CommitError::JournalConflict { .. }) => {}
                outcome => return outcome.map(|_| ()).map_err(ControlError::from),
            }
        }
    }
}
