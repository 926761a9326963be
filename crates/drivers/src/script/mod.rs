//! The driver `script`: steps by the Kratix pipeline contract, under a private root.
//!
//! **What a step finds.** Paths are given by variables and lie beneath `PODIUM_ROOT`, which is removed with the step.
//!
//! | variable | what |
//! |---|---|
//! | `PODIUM_ROOT`, `HOME`, `TMPDIR` | the root, and two folders in it |
//! | `PODIUM_INPUT` (`KRATIX_INPUT`) | `object.yaml`: the resource with `metadata`, `spec.type`, `spec.class`, `spec.id`, `spec.params` (the inputs) and `status.outputs` (its former outputs), in the JSON that is YAML; `inputs.json`: the inputs; `previous.json`: `inputs` and `outputs` of the last apply, when there was one |
//! | `PODIUM_OUTPUT` (`KRATIX_OUTPUT`) | where `apply` writes its outputs, see below |
//! | `PODIUM_METADATA` (`KRATIX_METADATA`) | where `apply` may write `sensitive.yaml` |
//! | `PODIUM_STATE` | a folder that is kept with the resource, sealed, and is there again the next time |
//! | `PODIUM_MODULE` | the module's folder in its unpacked source; the root when there is no source. Steps begin in it |
//! | `PODIUM_ACTION` | `apply`, `destroy` or `observe` (`KRATIX_WORKFLOW_ACTION`: `configure` or `delete`) |
//! | `PODIUM_RESOURCE_TYPE`, `_CLASS`, `_ID`, `_NAME`, `_UID` | the resource |
//! | `PODIUM_PROJECT`, `PODIUM_ENVIRONMENT`, `PODIUM_ENVIRONMENT_TYPE`, `PODIUM_NAMESPACE` | where it belongs |
//! | `INPUT_NAME` | each top-level input that is a text, number or boolean; in upper case, other characters as `_`. Left out when two inputs would share a variable |
//! | `OUTPUT_NAME` | the same for the former outputs |
//! | `PODIUM_PORT_NAME` | each allotted port |
//! | `PATH` | the system's folders; `podium` is found when the module lists it among its `tools` |
//!
//! A step's own `env` comes last and may replace any of them. Volumes are linked at `$PODIUM_ROOT/volumes/NAME`.
//!
//! **What `apply` leaves.** In `$PODIUM_OUTPUT`, each name in one of them only:
//! - `outputs.json`: an object;
//! - `outputs.yaml`: a map, for shells: `echo "port: 5432" >> "$PODIUM_OUTPUT/outputs.yaml"`;
//! - `outputs.env`: lines `NAME=text`, taken literally to the end of the line and always as text, so that a password
//!   needs no quoting: `echo "password=$password" >> "$PODIUM_OUTPUT/outputs.env"`.
//!
//! `$PODIUM_METADATA/sensitive.yaml` is a list of those outputs that are secret, nested ones as `credentials.password`.
//! An output that holds a secret that the script was given is secret anyway. Kratix's `status.yaml`,
//! `destination-selectors.yaml` and `workflow-control.yaml` are not read by this driver.
//!
//! **How a step runs.** `run` is written to a file and executed by `/bin/sh -e FILE`; nothing is ever put into a
//! command line. `command` is an argument vector; `./x` is a file of the module. The first step that fails ends the
//! operation. The time limit is for all steps together. On destroy and observe the inputs are those of the last apply.

mod result;
mod root;

pub(crate) use root::variable;

use std::sync::Arc;

use async_trait::async_trait;
use podium_model::kinds::{DriverKind, ModuleContent, Recovery, ScriptStep};
use podium_model::plan::Fidelity;
use podium_runners::{RunnerError, StepEnd, StepOutcome};

use crate::failure::{hopeless, of_runner, of_step, one_line, tail};
use crate::interface::{Driver, Observation, Operation, Outcome};
use crate::preview::fidelity;
use crate::runner::Runner;
use crate::stops::Stops;
/// What a script is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Apply,
    Destroy,
    Observe,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Destroy => "destroy",
            Self::Observe => "observe",
        }
    }

    fn of(is_destroy: bool) -> Self {
        if is_destroy { Self::Destroy } else { Self::Apply }
    }

    fn steps(self, content: &ModuleContent) -> Option<&[ScriptStep]> {
        let script = content.script.as_ref()?;
        Some(match self {
            Self::Apply => &script.apply,
            Self::Destroy => &script.destroy,
            Self::Observe => &script.observe,
        })
    }
}

/// The commands that a module needs and that are not among `available`.
pub fn missing_tools<'a>(
    content: &ModuleContent,
    available: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let available: std::collections::BTreeSet<&str> = available.into_iter().collect();
    content
        .tools
        .iter()
        .filter(|tool| !available.contains(tool.as_str()))
        .cloned()
        .collect()
}

/// The driver.
pub struct ScriptDriver {
    runner: Arc<dyn Runner>,
    stops: Stops,
}

impl ScriptDriver {
    /// A driver whose steps execute on this runner.
    pub fn new(runner: Arc<dyn Runner>) -> Self {
        Self {
            runner,
            stops: Stops::default(),
        }
    }

    /// Runs the steps; a step of the same id that runs or has ended is attached to.
    async fn run(&self, operation: &Operation, action: Action) -> Result<StepOutcome, Outcome> {
        let spec = root::prepare(operation, action, &*self.runner)
            .await
            .map_err(|what| hopeless(operation, action.as_str(), &what))?;
        let stop = self.stops.listen(&operation.step);
        // The runner stops a step that is being started once it has started, so this goes on beside the start.
        let stopping = async {
            stop.told().await;
            self.stop_step(&operation.step).await;
            std::future::pending().await
        };
        let ended = tokio::select! {
            biased;
            ended = self.runner.run_step(spec) => ended,
            never = stopping => never,
        };
        match ended {
            Ok(outcome) => Ok(outcome),
            Err(error @ RunnerError::Invalid { .. }) => {
                Err(hopeless(operation, action.as_str(), &one_line(&error)))
            }
            Err(error) => Err(of_error(operation, action, &error)),
        }
    }

    async fn stop_step(&self, step: &str) {
        if let Err(error) = self.runner.stop_step(step).await {
            tracing::warn!(step, error = one_line(&error), "a step could not be told to stop");
        }
    }

    async fn carry_out(&self, operation: &Operation, action: Action) -> Outcome {
        match action.steps(&operation.content) {
            None => return hopeless(operation, action.as_str(), "the module has no `script`"),
            Some([]) if action == Action::Destroy => return Outcome::Destroyed,
            Some(_) => {}
        }
        match self.run(operation, action).await {
            Ok(outcome) => judge(operation, action, &outcome),
            Err(outcome) => outcome,
        }
    }
}

/// The name that the module gave to the step with this command.
fn step_name(operation: &Operation, action: Action, command: &str) -> String {
    let steps = action.steps(&operation.content).unwrap_or_default();
    let names = root::command_names(steps);
    names
        .iter()
        .position(|name| name == command)
        .and_then(|position| steps.get(position))
        .filter(|step| !step.name.is_empty())
        .map_or_else(|| command.to_owned(), |step| step.name.clone())
}

/// What a runner's error means: for one that came before anything ran, a failure; for any other, what the module says
/// about steps whose end nobody knows.
fn of_error(operation: &Operation, action: Action, error: &RunnerError) -> Outcome {
    let may_have_run = matches!(
        error,
        RunnerError::Io { .. } | RunnerError::Protocol { .. } | RunnerError::Unsealed { .. }
    );
    if may_have_run && operation.content.recovery == Recovery::Indeterminate {
        return Outcome::Indeterminate {
            known: format!(
                "the {} of module {} may have run, and its result cannot be had: {}",
                action.as_str(),
                operation.module.object_name(),
                one_line(error)
            ),
        };
    }
    of_runner(action.as_str(), error)
}

/// What the end of the steps means.
fn judge(operation: &Operation, action: Action, outcome: &StepOutcome) -> Outcome {
    let recovery = operation.content.recovery;
    let failed = |command: &str, what: &str, retriable: bool| {
        let tail = tail(
            &outcome.log,
            &result::revealed_secrets(operation, outcome),
            Some(command),
        );
        let state = result::state(outcome).ok().flatten();
        let step = step_name(operation, action, command);
        of_step(
            operation,
            &step,
            &format!("step `{step}` {what}"),
            tail,
            retriable,
            state,
        )
    };
    match &outcome.end {
        StepEnd::Succeeded if action == Action::Destroy => Outcome::Destroyed,
        StepEnd::Succeeded => match result::read(operation, outcome) {
            Ok(applied) => applied,
            Err(what) => {
                let tail = tail(&outcome.log, &result::revealed_secrets(operation, outcome), None);
                let state = result::state(outcome).ok().flatten();
                of_step(operation, "outputs", &what, tail, false, state)
            }
        },
        StepEnd::Failed { command, exit } => failed(command, &format!("ended with {exit}"), true),
        StepEnd::NotStarted { command, reason } => {
            failed(command, &format!("could not be started: {reason}"), false)
        }
        StepEnd::TimedOut { command, seconds } => failed(
            command,
            &format!(
                "was ended because the time limit of {seconds} s passed; `timeoutSeconds` of the module changes it"
            ),
            true,
        ),
        StepEnd::Stopped { command } => failed(command, "was told to stop", false),
        StepEnd::Lost if recovery == Recovery::Indeterminate => Outcome::Indeterminate {
            known: format!(
                "the {} of module {} was begun, and its supervisor ended without a result: what it did is not known",
                action.as_str(),
                operation.module.object_name()
            ),
        },
        StepEnd::Lost => of_step(
            operation,
            action.as_str(),
            "its supervisor ended without a result",
            String::new(),
            true,
            None,
        ),
    }
}

#[async_trait]
impl Driver for ScriptDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Script
    }

    fn previews(&self) -> Fidelity {
        fidelity(self.kind())
    }

    fn recovery(&self, content: &ModuleContent) -> Recovery {
        content.recovery
    }

    async fn apply(&self, operation: &Operation) -> Outcome {
        self.carry_out(operation, Action::Apply).await
    }

    async fn destroy(&self, operation: &Operation) -> Outcome {
        self.carry_out(operation, Action::Destroy).await
    }

    async fn observe(&self, operation: &Operation) -> Observation {
        match Action::Observe.steps(&operation.content) {
            None | Some([]) => return Observation::default(),
            Some(_) => {}
        }
        let observed = match self.run(operation, Action::Observe).await {
            Ok(outcome) => observation(operation, &outcome),
            Err(Outcome::Failed { message, .. }) => Observation {
                healthy: None,
                message,
            },
            Err(_) => Observation::default(),
        };
        self.forget(&operation.step).await;
        observed
    }

    async fn recover(&self, operation: &Operation, is_destroy: bool) -> Outcome {
        let action = Action::of(is_destroy);
        let awaited = match self.runner.await_step(&operation.step).await {
            Ok(awaited) => awaited,
            Err(error) => return of_error(operation, action, &error),
        };
        match awaited {
            None => self.carry_out(operation, action).await,
            Some(StepOutcome {
                end: StepEnd::Lost, ..
            }) if operation.content.recovery != Recovery::Indeterminate => {
                self.forget(&operation.step).await;
                self.carry_out(operation, action).await
            }
            Some(outcome) => judge(operation, action, &outcome),
        }
    }

    async fn stop(&self, step: &str) {
        // Nobody listens to a step that was begun by an earlier server.
        if !self.stops.tell(step) {
            self.stop_step(step).await;
        }
    }

    async fn forget(&self, step: &str) {
        if let Err(error) = self.runner.forget_step(step).await {
            tracing::warn!(
                step,
                error = one_line(&error),
                "what is kept of a step could not be removed"
            );
        }
    }
}

fn observation(operation: &Operation, outcome: &StepOutcome) -> Observation {
    let step_name = |command: &str| step_name(operation, Action::Observe, command);
    match &outcome.end {
        StepEnd::Succeeded => Observation {
            healthy: Some(true),
            message: String::new(),
        },
        StepEnd::Failed { command, exit } => {
            let step = step_name(command);
            let tail = tail(&outcome.log, &operation.secrets(), Some(command));
            let said = tail
                .lines()
                .last()
                .map_or_else(String::new, |line| format!(": {line}"));
            Observation {
                healthy: Some(false),
                message: format!("step `{step}` ended with {exit}{said}"),
            }
        }
        StepEnd::TimedOut { command, seconds } => Observation {
            healthy: Some(false),
            message: format!("step `{}` did not end within {seconds} s", step_name(command)),
        },
        StepEnd::NotStarted { command, reason } => Observation {
            healthy: None,
            message: format!("step `{}` could not be started: {reason}", step_name(command)),
        },
        StepEnd::Stopped { .. } | StepEnd::Lost => Observation {
            healthy: None,
            message: "looking was broken off".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
