//! What the engine asks of a driver, and what a driver answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use podium_model::coordinate::Coordinate;
use podium_model::graph::ModuleReference;
use podium_model::kinds::{DriverKind, ModuleContent, Recovery};
use podium_model::plan::Fidelity;
use podium_model::secret::{Revealed, Secret};

/// The resource that a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceIdentity {
    /// Type, class and id.
    pub coordinate: Coordinate,
    /// Uid of the Resource object: the same for all its life, never used again.
    pub uid: String,
    /// Name of the Resource object.
    pub name: String,
    /// The namespace it lives in.
    pub namespace: String,
    /// The project.
    pub project: String,
    /// The environment, by its name in the project.
    pub environment: String,
    /// The environment's type.
    pub environment_type: String,
}

/// What a resource was last made with, and what came out.
#[derive(Clone, Debug, Default)]
pub struct Previous {
    /// The inputs of the last begun apply.
    pub inputs: Revealed,
    /// The tool's raw outputs of the last complete one.
    pub outputs: Revealed,
}

/// Values of a script's settings whose expressions are evaluated.
#[derive(Clone, Debug, Default)]
pub struct ScriptValues {
    /// `env` of each step of `apply`, in its order: an object of texts. A missing place is an empty object.
    pub apply: Vec<Revealed>,
    /// The same for `destroy`.
    pub destroy: Vec<Revealed>,
    /// The same for `observe`.
    pub observe: Vec<Revealed>,
    /// `volumes`: name to a volume's `source` output.
    pub volumes: BTreeMap<String, String>,
}

/// A driver's own state of a resource, in plaintext: to be sealed by the caller, given back with the next operation,
/// and read by nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptState(Bytes);

impl KeptState {
    /// Takes the bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, to seal or to hand to the driver that made them.
    pub fn expose(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for KeptState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "(state of {} bytes)", self.0.len())
    }
}

/// One operation on one resource.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The step's deterministic id: of run uid, resource name, operation and attempt. Lower-case letters, digits, `-`
    /// and `.`, at most 128 characters. A second operation with the same id is the same step: it is attached to, not
    /// begun again.
    pub step: String,
    /// The resource.
    pub resource: ResourceIdentity,
    /// Whom to ask when the module fails.
    pub owner: String,
    /// The module's version.
    pub module: ModuleReference,
    /// What the module says. Expressions in it are not evaluated here: their values are in the fields below.
    pub content: Arc<ModuleContent>,
    /// The module's source, as a tar.
    pub bundle: Option<Bytes>,
    /// The inputs. On destroy and observe, those of the last begun apply.
    pub inputs: Revealed,
    /// Evaluated settings of the driver `script`.
    pub script: ScriptValues,
    /// What the resource was made with before, when it was.
    pub previous: Option<Previous>,
    /// The driver's own state of the resource, as its last outcome returned it.
    pub state: Option<KeptState>,
    /// Ports that were allotted to the resource, by name.
    pub ports: BTreeMap<String, u16>,
    /// Whether the type has sensitive outputs, so that what the tool prints is withheld until its result is in.
    pub sensitive_outputs: bool,
    /// When the step's lease ends, in milliseconds of the epoch: nothing of it runs any more after that.
    pub deadline_ms: i64,
}

impl Operation {
    /// Every secret that the operation was given.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let previous = self
            .previous
            .iter()
            .flat_map(|previous| [&previous.inputs, &previous.outputs]);
        let script = self
            .script
            .apply
            .iter()
            .chain(&self.script.destroy)
            .chain(&self.script.observe);
        let mut secrets: Vec<Secret> = std::iter::once(&self.inputs)
            .chain(previous)
            .chain(script)
            .flat_map(Revealed::secrets)
            .filter(|secret| !secret.expose().is_empty())
            .cloned()
            .collect();
        secrets.sort_by(|one, other| one.expose().cmp(other.expose()));
        secrets.dedup();
        secrets
    }
}

/// What became of an operation.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The resource is as it should be.
    Applied {
        /// What the tool answered: a JSON object.
        outputs: Revealed,
        /// Paths in `outputs` that are secret by the tool's own word, or because a secret that it was given is in
        /// them. A path stands for everything beneath it.
        sensitive: Vec<Vec<String>>,
        /// The driver's own state, to be kept.
        state: Option<KeptState>,
        /// The last lines of what was printed, masked.
        log_tail: String,
    },
    /// The resource is gone.
    Destroyed,
    /// It failed. What was made so far is still there.
    Failed {
        /// The step, container or part that failed.
        step: String,
        /// What is wrong and what to do, for a person; without secrets.
        message: String,
        /// The last lines of what was printed, masked; empty when there are none.
        output_tail: String,
        /// Whether another attempt may help.
        retriable: bool,
        /// What the failed attempt left of the driver's own state, to be kept; `None` leaves the former in place.
        state: Option<KeptState>,
    },
    /// Nobody can tell what it has done. It must not be repeated before somebody decided so.
    Indeterminate {
        /// What is known, for a person; without secrets.
        known: String,
    },
}

/// How a resource is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Whether it is healthy; `None` when it cannot be told.
    pub healthy: Option<bool>,
    /// Why, for a person; empty when there is nothing to say.
    pub message: String,
}

/// Carries out one kind of module. Operations may be repeated, and any of them may be cut off by the end of the
/// server: [`Driver::recover`] then finds out.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The kind.
    fn kind(&self) -> DriverKind;

    /// How sure its previews are.
    fn previews(&self) -> Fidelity;

    /// How a step of this module is found out about after a crash.
    fn recovery(&self, content: &ModuleContent) -> Recovery;

    /// Makes the resource or changes it.
    async fn apply(&self, operation: &Operation) -> Outcome;

    /// Removes the resource. It is no error that it is gone already.
    async fn destroy(&self, operation: &Operation) -> Outcome;

    /// Looks how the resource is. Changes nothing.
    async fn observe(&self, operation: &Operation) -> Observation;

    /// Finds out about an apply or destroy that was begun, as the journal says, before the server ended: takes its
    /// result, waits for it, or repeats it where that is safe.
    async fn recover(&self, operation: &Operation, is_destroy: bool) -> Outcome;

    /// Tells a running step to end; its operation then answers [`Outcome::Failed`]. It is no error when there is none.
    async fn stop(&self, step: &str);

    /// Removes what the runner keeps of a step. To be called once its outcome is journaled, not before:
    /// [`Driver::recover`] needs it until then.
    async fn forget(&self, step: &str);
}
