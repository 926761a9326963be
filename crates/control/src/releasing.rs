//! Releases: documents, plan and run in one transaction.
//!
//! Every way to change an environment comes through [`ControlPlane::release`]: `deploy`, rollback, destroy, and the
//! reconciler for objects that were written one by one. Each release is computed on its predecessor: the transaction
//! holds only when the environment, and every resource that it touches, are as they were read.

mod objects;

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_apiserver::StatusError;
use podium_document::Problem;
use podium_model::api::{Consent, DeployRequest, DeployResponse, DestroyRequest, RollbackRequest};
use podium_model::condition::ConditionStatus;
use podium_model::coordinate::Coordinate;
use podium_model::kinds::{
    Cause, PLANS, PlanSpec, RELEASES, RUNS, ReleaseSpec, ReleaseStatus, RunPhase, RunSpec, RunStatus,
    SimpleStatus, WorkloadSpec,
};
use podium_model::plan::{Action, Plan};
use podium_planner::{Catalogue, DraftNode, GateOptions};
use podium_store::{Change, Precondition, Transaction};

use crate::environment::{EnvironmentState, read_blob, write_blob};
use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{create, get, namespaced, set_ready};
use crate::planning::{Desired, Planned, Planner, WorkDetails, work};
use crate::reconcile::removal_order;
use crate::service::ControlPlane;
use crate::verbs::destroy_order;

/// What a step's lease lasts beyond its time limit: its driver ends it and reads what it left within that.
const STEP_GRACE_SECONDS: u32 = 30;

/// How often a release is computed anew because others changed the environment meanwhile.
const TRIES: usize = 20;

/// A change of an environment, of whatever state it is found in.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Documents are merged in.
    Deploy(DeployRequest),
    /// An earlier release comes back, or its pin is lifted.
    Rollback(RollbackRequest),
    /// Everything goes, the environment stays.
    Destroy(DestroyRequest),
    /// The documents as they stand, written one by one.
    Written,
    /// Everything goes, and then the environment.
    Removal,
    /// The newest release again, with other ports for a workload whose ports somebody else has taken.
    Repair(Coordinate),
}

/// What a release is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// Who makes it.
    pub(crate) author: String,
    /// Why.
    pub(crate) cause: Cause,
    /// What its author says.
    pub(crate) message: String,
    /// The release whose content it repeats.
    pub(crate) rollback_to: Option<u64>,
    /// Its documents.
    pub(crate) desired: Desired,
    /// The catalogue to resolve with instead of the current one: a rollback brings back the module versions as well.
    pub(crate) catalogue: Option<Arc<Catalogue>>,
    /// What the author agreed to.
    pub(crate) consent: Consent,
    /// Whether objects were written one by one: a replace or delete then goes on by itself.
    pub(crate) one_by_one: bool,
    /// Changes of documents that go into the same transaction.
    pub(crate) changes: Vec<Change>,
    /// What must hold of them.
    pub(crate) preconditions: Vec<Precondition>,
    /// The pin that the environment has afterwards.
    pub(crate) pinned: Option<u64>,
    /// Digest of the documents as they stand in the store; that of `desired` when unset.
    pub(crate) digest: Option<String>,
    /// What is wrong with documents that were left out.
    pub(crate) problems: Vec<Problem>,
    /// The node that gets other ports.
    pub(crate) other_ports: Option<Coordinate>,
}

impl ControlPlane {
    /// Plans without writing anything.
    pub(crate) async fn plan(&self, state: &EnvironmentState, order: &Order) -> Result<Plan, ControlError> {
        Ok(self.planned(state, order).await?.plan)
    }

    /// Plans without writing anything, and refuses what could not be carried out.
    pub(crate) async fn check(&self, state: &EnvironmentState, order: &Order) -> Result<(), ControlError> {
        let planned = self.planned(state, order).await?;
        if planned.refusals.is_empty() {
            Ok(())
        } else {
            Err(ControlError::Documents(planned.refusals))
        }
    }

    pub(crate) async fn planned(
        &self,
        state: &EnvironmentState,
        order: &Order,
    ) -> Result<Planned, ControlError> {
        let catalogue = self.catalogue_for(order).await?;
        let planner = Planner {
            store: &self.store,
            catalogue: &catalogue,
            ports: None,
        };
        let (graph, ports) = planner
            .resolve(state, &order.desired, order.other_ports.as_ref())
            .await?;
        let options = GateOptions {
            mode: state.mode,
            destructive_allowed: true,
        };
        let number = state.object.status.release + 1;
        planner.assemble(state, graph, ports, number, &options).await
    }

    /// Makes a release of what is wanted, computing it anew when others are faster. Also returns what is wrong with
    /// documents that were left out.
    pub(crate) async fn release(
        &self,
        namespace: &str,
        wanted: &Wanted,
        author: &str,
    ) -> Result<(DeployResponse, Vec<Problem>), ControlError> {
        let mut tries = 0;
        loop {
            let state = EnvironmentState::load(&self.store, namespace).await?;
            let order = self.order(&state, wanted, author).await?;
            match self.try_release(&state, &order).await {
                Err(error) if error.is_conflict() && tries < TRIES => tries += 1,
                outcome => return outcome.map(|response| (response, order.problems)),
            }
        }
    }

    /// What a change means for an environment as it stands.
    pub(crate) async fn order(
        &self,
        state: &EnvironmentState,
        wanted: &Wanted,
        author: &str,
    ) -> Result<Order, ControlError> {
        let mut order = match wanted {
            Wanted::Deploy(request) => self.deploy_order(state, request)?,
            Wanted::Rollback(request) => self.rollback_order(state, request).await?,
            Wanted::Destroy(request) => destroy_order(state, request)?,
            Wanted::Written => self.written_order(state).await?,
            Wanted::Removal => removal_order(state),
            Wanted::Repair(coordinate) => self.repair_order(state, coordinate).await?,
        };
        author.clone_into(&mut order.author);
        Ok(order)
    }

    /// The newest release as it is, but for the ports of one workload.
    async fn repair_order(
        &self,
        state: &EnvironmentState,
        coordinate: &Coordinate,
    ) -> Result<Order, ControlError> {
        let number = state.object.status.release;
        let key = namespaced(RELEASES, state.object.name(), &release_name(number));
        let release = get::<ReleaseSpec, ReleaseStatus>(&*self.store, &key)
            .await?
            .ok_or_else(|| ControlError::Damaged(format!("{key} is missing")))?;
        let graph = read_blob(&self.store, &release.spec.graph).await?;
        Ok(Order {
            cause: Cause::Repair,
            message: format!("the ports of {} were taken by somebody else", coordinate.id),
            catalogue: Some(Arc::new(self.catalogue_of(&graph).await?)),
            desired: Desired {
                workloads: self.release_documents(&release.spec).await?,
            },
            pinned: state.object.status.pinned,
            digest: Some(state.object.status.desired.clone()),
            one_by_one: true,
            other_ports: Some(coordinate.clone()),
            ..Order::default()
        })
    }

    async fn catalogue_for(&self, order: &Order) -> Result<Arc<Catalogue>, ControlError> {
        match &order.catalogue {
            Some(catalogue) => Ok(Arc::clone(catalogue)),
            None => self.catalogue.current().await,
        }
    }

    async fn try_release(
        &self,
        state: &EnvironmentState,
        order: &Order,
    ) -> Result<DeployResponse, ControlError> {
        let catalogue = self.catalogue_for(order).await?;
        let planner = Planner {
            store: &self.store,
            catalogue: &catalogue,
            ports: Some(&self.ports),
        };
        let (graph, ports) = planner
            .resolve(state, &order.desired, order.other_ports.as_ref())
            .await?;
        let number = state.object.status.release + 1;
        let planned = async {
            let agreed = order.consent.any || order.one_by_one;
            let options = GateOptions {
                mode: state.mode,
                destructive_allowed: agreed,
            };
            let mut planned = planner
                .assemble(state, graph, ports.clone(), number, &options)
                .await?;
            if !planned.refusals.is_empty() {
                return Err(ControlError::Documents(planned.refusals));
            }
            if !agreed && order.consent.digest.as_deref() == Some(planned.plan.digest.as_str()) {
                let options = GateOptions {
                    mode: state.mode,
                    destructive_allowed: true,
                };
                planned = planner
                    .assemble(state, Arc::clone(&planned.graph), ports.clone(), number, &options)
                    .await?;
            } else if !agreed && order.consent.digest.is_none() && !planned.plan.gate.destructive.is_empty() {
                return Err(consent_required(&planned.plan));
            }
            self.commit_release(state, order, &planned, &catalogue).await
        }
        .await;
        if !matches!(&planned, Ok(response) if !response.unchanged) {
            self.give_back(state, &ports);
        }
        planned
    }

    /// Ports of a plan that was not committed.
    fn give_back(&self, state: &EnvironmentState, ports: &BTreeMap<Coordinate, BTreeMap<String, u16>>) {
        for (coordinate, ports) in ports {
            let had = state
                .resources
                .get(coordinate)
                .map(|resource| &resource.spec.ports);
            self.ports.free(
                ports
                    .values()
                    .copied()
                    .filter(|port| !had.is_some_and(|had| had.values().any(|other| other == port))),
            );
        }
    }

    async fn commit_release(
        &self,
        state: &EnvironmentState,
        order: &Order,
        planned: &Planned,
        catalogue: &Catalogue,
    ) -> Result<DeployResponse, ControlError> {
        let namespace = state.object.name().to_owned();
        let digest = order
            .digest
            .clone()
            .unwrap_or_else(|| order.desired.digest(state));
        let same_pin = state.object.status.pinned == order.pinned;
        if planned.plan.is_empty() && digest == state.object.status.desired && same_pin {
            return Ok(DeployResponse {
                namespace,
                release: state.object.status.release,
                unchanged: true,
                // What is wanted may be on its way; whoever waits, waits for that.
                run: state
                    .open_runs
                    .last()
                    .map(|run| run.name().to_owned())
                    .unwrap_or_default(),
                plan: planned.plan.clone(),
            });
        }
        let now = self.clock.now();
        let number = planned.plan.release;
        let name = release_name(number);
        let awaits = !planned.plan.gate.needs.is_empty();
        let phase = if awaits {
            RunPhase::AwaitingApproval
        } else {
            RunPhase::Queued
        };
        let documents = write_blob(&self.store, &order.desired.workloads).await?;
        let graph = write_blob(&self.store, &*planned.graph).await?;
        let content = write_blob(&self.store, &planned.plan).await?;
        let details = |node: &DraftNode| details(catalogue, node);
        let work = write_blob(&self.store, &work(&planned.draft, &planned.plan, &details)).await?;
        let mut transaction = Transaction {
            principal: order.author.as_str().into(),
            blobs: vec![documents.clone(), graph.clone(), content.clone(), work.clone()],
            changes: order.changes.clone(),
            preconditions: order.preconditions.clone(),
            ..Transaction::default()
        };
        let mut summary: BTreeMap<Action, u64> = BTreeMap::new();
        for change in &planned.plan.changes {
            *summary.entry(change.action).or_default() += 1;
        }
        let release = ReleaseSpec {
            number,
            base: state.object.status.release,
            author: order.author.clone(),
            cause: order.cause,
            message: order.message.clone(),
            rollback_to: order.rollback_to,
            documents: documents.to_string(),
            graph: graph.to_string(),
            workloads: order.desired.workloads.keys().cloned().collect(),
        };
        let release_status = ReleaseStatus {
            phase,
            run: name.clone(),
            ..ReleaseStatus::default()
        };
        let plan = PlanSpec {
            release: number,
            digest: planned.plan.digest.clone(),
            content: content.to_string(),
            summary,
        };
        let run = RunSpec {
            release: number,
            plan: name.clone(),
            digest: planned.plan.digest.clone(),
            author: order.author.clone(),
            work: work.to_string(),
        };
        let mut run_status = RunStatus {
            phase,
            needs: planned.plan.gate.needs.clone(),
            ..RunStatus::default()
        };
        let (reason, message) = if awaits {
            ("AwaitingApproval", planned.plan.gate.needs.join("; "))
        } else {
            ("Queued", "is about to begin".to_owned())
        };
        set_ready(
            &mut run_status.conditions,
            ConditionStatus::False,
            reason,
            &message,
            1,
            now,
        );
        let mut add = |plural: &str, change: Change| {
            transaction
                .preconditions
                .push(Precondition::Absent(namespaced(plural, &namespace, &name)));
            transaction.changes.push(change);
        };
        let key = |plural: &str| namespaced(plural, &namespace, &name);
        add(
            RELEASES,
            create(
                &key(RELEASES),
                "Release",
                &self.uid(),
                now,
                &release,
                &release_status,
            )?,
        );
        add(
            PLANS,
            create(
                &key(PLANS),
                "Plan",
                &self.uid(),
                now,
                &plan,
                &SimpleStatus::default(),
            )?,
        );
        add(
            RUNS,
            create(&key(RUNS), "Run", &self.uid(), now, &run, &run_status)?,
        );

        let mut environment = state.object.clone();
        environment.status.release = number;
        environment.status.desired = digest;
        environment.status.pinned = order.pinned;
        environment.status.observed_generation = environment.generation;
        let generation = environment.generation;
        set_ready(
            &mut environment.status.conditions,
            ConditionStatus::False,
            reason,
            &message,
            generation,
            now,
        );
        transaction.preconditions.push(environment.unchanged());
        transaction.changes.push(environment.put()?);

        self.supersede(state, number, &order.author, now, &mut transaction)
            .await?;
        self.write_resources(state, order, planned, now, awaits, &mut transaction)?;
        self.store.commit(transaction).await?;
        tracing::info!(
            namespace,
            release = number,
            author = order.author,
            "a release was made"
        );
        Ok(DeployResponse {
            namespace,
            release: number,
            unchanged: false,
            run: name,
            plan: planned.plan.clone(),
        })
    }

    /// The documents of a release.
    pub(crate) async fn release_documents(
        &self,
        release: &ReleaseSpec,
    ) -> Result<BTreeMap<String, WorkloadSpec>, ControlError> {
        read_blob(&self.store, &release.documents).await
    }
}

fn consent_required(plan: &Plan) -> ControlError {
    let message = format!(
        "this release would {}; agree to it with the digest of the plan ({}) or with --yes",
        plan.gate.destructive.join(", "),
        plan.digest
    );
    StatusError::new(409, "ConsentRequired", message).into()
}

/// What of the module the engine must know. A module that is gone from the catalogue is only destroyed by.
fn details(catalogue: &Catalogue, node: &DraftNode) -> WorkDetails {
    match catalogue.module(&node.module.module) {
        Some(module) => WorkDetails {
            runner: module.content.runner.clone(),
            owner: module.owner.clone(),
            retry: module.content.retry.clone(),
            timeout_seconds: module.content.timeout_seconds.saturating_add(STEP_GRACE_SECONDS),
            recovery: module.content.recovery,
        },
        None => WorkDetails {
            runner: podium_model::kinds::DEFAULT_RUNNER.to_owned(),
            timeout_seconds: 600 + STEP_GRACE_SECONDS,
            ..WorkDetails::default()
        },
    }
}
