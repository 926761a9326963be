//! `logs`: what workloads and steps print, masked.

use futures::StreamExt;
use podium_apiserver::{Answer, BodyStream, StatusError, SubresourceCall};
use podium_model::coordinate::Coordinate;
use podium_model::kinds::{DriverKind, RESOURCES, ResourceSpec, ResourceStatus, WORKLOADS};

use super::{is_set, number};
use crate::environment::blob;
use crate::error::ControlError;
use crate::objects::{get, namespaced};
use crate::service::ControlPlane;

/// Lines that are shown when nobody says how many.
const DEFAULT_TAIL: u64 = 500;

impl ControlPlane {
    pub(super) async fn verb_logs(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let name = if call.kind.plural == WORKLOADS {
            Coordinate::workload(call.name).object_name()
        } else {
            call.name.to_owned()
        };
        let key = namespaced(RESOURCES, call.namespace, &name);
        let resource = get::<ResourceSpec, ResourceStatus>(&*self.store, &key)
            .await?
            .ok_or_else(|| StatusError::not_found("podium.dev", call.kind.plural, call.name))?;
        let tail = usize::try_from(number(call, "tail")?.unwrap_or(DEFAULT_TAIL)).unwrap_or(usize::MAX);
        let text = "text/plain; charset=utf-8".to_owned();
        let failed = |error: podium_runners::RunnerError| {
            ControlError::from(StatusError::new(
                404,
                "NotFound",
                format!("there is no log: {error}"),
            ))
        };
        // A module of another type may run a workload too, such as a database server.
        if resource.spec.driver == Some(DriverKind::Workload) {
            let follow = is_set(call, "follow");
            let stream = self
                .runner
                .workload_logs(&resource.uid, tail, follow)
                .await
                .map_err(failed)?;
            let body: BodyStream = match call.query.get("container") {
                None => Box::pin(stream.map(Ok)),
                Some(container) => {
                    let container = container.clone();
                    Box::pin(
                        stream.filter_map(move |piece| std::future::ready(only(&piece, &container).map(Ok))),
                    )
                }
            };
            return Ok(Answer::Stream {
                content_type: text,
                body,
            });
        }
        // A step at work shows its log; afterwards the last lines are kept with the resource.
        let begun = self
            .runner
            .list_steps()
            .map_err(failed)?
            .into_iter()
            .rev()
            .find(|step| step.id.split('.').nth(1) == Some(name.as_str()));
        if let Some(step) = begun {
            let follow = is_set(call, "follow");
            let stream = self
                .runner
                .step_logs(&step.id, tail, follow)
                .await
                .map_err(failed)?;
            let body: BodyStream = Box::pin(stream.map(Ok));
            return Ok(Answer::Stream {
                content_type: text,
                body,
            });
        }
        let body = if resource.status.log.is_empty() {
            bytes::Bytes::new()
        } else {
            self.store.get_blob(&blob(&resource.status.log)?).await?
        };
        Ok(Answer::Bytes {
            content_type: text,
            body,
        })
    }
}

/// The lines of one container: the second word of a line is its name.
fn only(piece: &[u8], container: &str) -> Option<bytes::Bytes> {
    let text = String::from_utf8_lossy(piece);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.split(' ').nth(1) == Some(container))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let mut kept = lines.join("\n");
    kept.push('\n');
    Some(kept.into())
}
