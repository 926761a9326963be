//! Durable runs: a pure state machine, and the thin runtime that feeds it.
//!
//! **What it guarantees.**
//! 1. Intent before effect. [`RunState::decide`] turns what happened into [`Record`]s, the runtime commits them in
//!    one transaction with the lease check and the objects that belong to them, and only [`Effect`]s returned by
//!    applying *committed* records are performed. There is no other way to an effect.
//! 2. A step has one committed outcome, and a step whose outcome is committed is never executed again.
//! 3. A worker that lost its lease commits nothing and starts nothing.
//! 4. A step whose tool cannot tell what it did is never repeated without a person.
//! 5. The state is what the journal says: a restart replays it, drops the effects, and [`RunState::resume`] tells
//!    how to go on.
//! 6. Every wait has a reason, a beginning and, where one exists, a next try.
//!
//! **What it refuses.** Work whose nodes are ambiguous or need each other in a circle ([`WorkError`]); inputs that
//! the state does not allow ([`IllegalInput`]); a journal that does not follow from its own beginning
//! ([`IllegalRecord`]).
//!
//! **What it does not know.** Graphs of environments, modules, secrets, people's rights: these belong to those who
//! make the [`Work`] and implement the [`Executor`]. No clock but [`podium_model::clock::Clock`], no sleeping but
//! [`Timers`], no random number.
//!
//! **Rejected.** Code as a workflow with deterministic replay (a change of the code breaks runs under way, and what
//! a person sees is a call stack); a row of mutable state per node (the history of why is lost, and two workers can
//! both write it); a task per node (the order of what happens could not be simulated).

mod executor;
mod machine;
mod runtime;
mod view;
mod work;

pub use executor::{ChangesError, Executor, ObjectChanges, Prepared, Progress, StepOutcome};
pub use machine::{
    AwaitCause, Because, Effect, Fact, Finished, IllegalInput, IllegalRecord, Input, NodePhase, NodeState,
    Record, RunOutcome, RunState, Wait,
};
#[cfg(feature = "mutations")]
pub use runtime::Mutation;
pub use runtime::{
    Control, ControlRequest, JournaledRecord, LEASE_MILLISECONDS, Runtime, RuntimeError, Snapshots, Timers,
    TokioTimers, lease_name, read,
};
pub use view::{phase, views};
pub use work::{Limits, Operation, RunContext, Step, StepId, Work, WorkError, WorkNode};
