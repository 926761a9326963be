//! `steps` and `approve`: a run as it goes, and a person's word to it.

use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;
use podium_apiserver::{Answer, StatusError, SubresourceCall};
use podium_engine::Control;
use podium_model::api::{ApproveRequest, Steps};
use podium_model::condition::{Condition, ConditionStatus};
use podium_model::kinds::{RESOURCES, RUNS, ResourceSpec, ResourceStatus, RunPhase, RunSpec, RunStatus};
use podium_store::{Transaction, WatchRequest};

use super::{body, is_set, json};
use crate::environment::{RunObject, find};
use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{get, list, namespaced, resource, set_ready};
use crate::service::ControlPlane;

impl ControlPlane {
    async fn run(&self, namespace: &str, name: &str) -> Result<RunObject, ControlError> {
        get::<RunSpec, RunStatus>(&*self.store, &namespaced(RUNS, namespace, name))
            .await?
            .ok_or_else(|| StatusError::not_found("podium.dev", RUNS, name).into())
    }

    async fn steps(&self, run: &RunObject) -> Result<Steps, ControlError> {
        let state = self.run_state(run).await?;
        let begun = state.begun_ms().is_some();
        let phase = if begun {
            podium_engine::phase(&state)
        } else {
            run.status.phase
        };
        let needs = if begun {
            state
                .awaiting()
                .map(|(node, _, reason)| format!("{}: {reason}", node.coordinate.id))
                .collect()
        } else {
            run.status.needs.clone()
        };
        let failures = match state.finished() {
            Some(finished) => finished.failures.clone(),
            None => run.status.failures.clone(),
        };
        Ok(Steps {
            run: run.name().to_owned(),
            release: run.spec.release,
            phase,
            needs,
            failures,
            steps: podium_engine::views(&state),
        })
    }

    pub(super) async fn verb_steps(
        self: &Arc<Self>,
        call: &SubresourceCall<'_>,
    ) -> Result<Answer, ControlError> {
        let run = self.run(call.namespace, call.name).await?;
        if !is_set(call, "follow") {
            return json(&self.steps(&run).await?);
        }
        let (lines, stream) = tokio::sync::mpsc::channel::<std::io::Result<bytes::Bytes>>(8);
        let plane = Arc::clone(self);
        let (namespace, name) = (call.namespace.to_owned(), call.name.to_owned());
        tokio::spawn(async move {
            if let Err(error) = plane.follow_steps(&namespace, &name, &lines).await {
                tracing::warn!(namespace, name, %error, "steps cannot be followed any more");
            }
        });
        let body = futures::stream::unfold(stream, |mut stream| async move {
            stream.recv().await.map(|line| (line, stream))
        });
        Ok(Answer::Stream {
            content_type: "application/json".to_owned(),
            body: Box::pin(body),
        })
    }

    async fn follow_steps(
        &self,
        namespace: &str,
        name: &str,
        lines: &tokio::sync::mpsc::Sender<std::io::Result<bytes::Bytes>>,
    ) -> Result<(), ControlError> {
        let after = self.store.revision().await?;
        let request = WatchRequest {
            resource: Some(resource(RUNS)),
            namespace: Some(namespace.into()),
            after,
        };
        let Ok(mut events) = self.store.watch(request).await else {
            return Ok(());
        };
        let mut shown = None;
        loop {
            // Seen before it is read, so that no change between the two is missed, and none is waited for twice.
            let active = self.active.get(namespace).filter(|active| active.name == name);
            let mut snapshots = active.map(|active| active.snapshots.clone());
            if let Some(snapshots) = &mut snapshots {
                let _seen = snapshots.borrow_and_update();
            }
            let run = self.run(namespace, name).await?;
            let steps = self.steps(&run).await?;
            let last = steps.phase.is_final();
            if shown.as_ref() != Some(&steps) {
                let mut line =
                    serde_json::to_vec(&steps).map_err(|error| ControlError::Damaged(error.to_string()))?;
                line.push(b'\n');
                if lines.send(Ok(line.into())).await.is_err() {
                    return Ok(());
                }
                shown = Some(steps);
            }
            if last {
                return Ok(());
            }
            let progress = async {
                match &mut snapshots {
                    Some(snapshots) => {
                        if snapshots.changed().await.is_err() {
                            // The run has just ended; the object tells how.
                            std::future::pending::<()>().await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = progress => {}
                event = events.next() => if !matches!(event, Some(Ok(_))) { return Ok(()) },
                () = lines.closed() => return Ok(()),
            }
        }
    }

    /// What waited for the run stays as it is, and says why.
    async fn show_rejected(
        &self,
        run: &RunObject,
        by: &str,
        now: Timestamp,
        transaction: &mut Transaction,
    ) -> Result<(), ControlError> {
        let namespace = &run.key.namespace;
        let message = format!(
            "{by} rejected release {}; it stays as it is until its document changes or is deployed again",
            run.spec.release
        );
        let rejected = |conditions: &mut Vec<Condition>, generation: i64| {
            let waits = conditions.iter().any(|condition| {
                condition.condition_type == "Ready" && condition.reason == "AwaitingApproval"
            });
            if waits {
                set_ready(
                    conditions,
                    ConditionStatus::False,
                    "Rejected",
                    &message,
                    generation,
                    now,
                );
            }
            waits
        };
        for mut resource in
            list::<ResourceSpec, ResourceStatus>(&*self.store, RESOURCES, Some(namespace)).await?
        {
            let generation = resource.generation;
            if rejected(&mut resource.status.conditions, generation) {
                transaction.preconditions.push(resource.unchanged());
                transaction.changes.push(resource.put()?);
            }
        }
        let mut environment = find(&self.store, namespace).await?;
        let generation = environment.generation;
        if rejected(&mut environment.status.conditions, generation) {
            transaction.preconditions.push(environment.unchanged());
            transaction.changes.push(environment.put()?);
        }
        Ok(())
    }

    pub(super) async fn verb_approve(
        self: &Arc<Self>,
        call: &SubresourceCall<'_>,
    ) -> Result<Answer, ControlError> {
        let request: ApproveRequest = body(call)?;
        let by = call.principal.name.clone();
        let mut run = self.run(call.namespace, call.name).await?;
        if let Some(digest) = request
            .digest
            .as_ref()
            .filter(|digest| **digest != run.spec.digest)
        {
            let message = format!("the plan is {}, not {digest}: look at it again", run.spec.digest);
            return Err(StatusError::new(409, "Conflict", message).into());
        }
        if run.status.phase.is_final() {
            let message = format!(
                "the run has ended ({:?}): there is nothing to approve",
                run.status.phase
            );
            return Err(StatusError::new(409, "Conflict", message).into());
        }
        if run.status.started.is_none() {
            if run.status.phase != RunPhase::AwaitingApproval {
                return Err(StatusError::new(409, "Conflict", "the run does not wait for a person").into());
            }
            let now = self.clock.now();
            let (phase, reason, message) = if request.reject {
                run.status.finished = Some(now);
                run.status.failures = vec![format!("rejected by {by}")];
                (RunPhase::Cancelled, "Rejected", format!("rejected by {by}"))
            } else {
                run.status.approved_by.clone_from(&by);
                (RunPhase::Queued, "Approved", format!("approved by {by}"))
            };
            run.status.phase = phase;
            run.status.needs.clear();
            let generation = run.generation;
            let conditions = &mut run.status.conditions;
            set_ready(
                conditions,
                ConditionStatus::False,
                reason,
                &message,
                generation,
                now,
            );
            let mut transaction = Transaction {
                principal: by.as_str().into(),
                preconditions: vec![run.unchanged()],
                changes: vec![run.put()?],
                ..Transaction::default()
            };
            if request.reject {
                self.show_rejected(&run, &by, now, &mut transaction).await?;
                let key = namespaced(
                    podium_model::kinds::RELEASES,
                    call.namespace,
                    &release_name(run.spec.release),
                );
                let release = get::<podium_model::kinds::ReleaseSpec, podium_model::kinds::ReleaseStatus>(
                    &*self.store,
                    &key,
                )
                .await?;
                if let Some(mut release) = release {
                    release.status.phase = RunPhase::Cancelled;
                    transaction.preconditions.push(release.unchanged());
                    transaction.changes.push(release.put()?);
                }
            }
            self.store.commit(transaction).await?;
        } else {
            let control = if request.reject {
                Control::Reject { node: None, by }
            } else {
                Control::Approve { node: None, by }
            };
            let active = self
                .active
                .get(call.namespace)
                .filter(|active| active.name == call.name);
            let Some(active) = active else {
                return Err(StatusError::unavailable("the run is being taken up; try again").into());
            };
            active
                .tell(control)
                .await
                .map_err(|message| ControlError::from(StatusError::new(409, "Conflict", message)))?;
        }
        let run = self.run(call.namespace, call.name).await?;
        json(&self.steps(&run).await?)
    }
}
