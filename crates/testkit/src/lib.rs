//! Whole histories of runs in simulated time, with crashes, pauses, lost answers and failing drivers.
//!
//! **What it guarantees.** The same seed gives the same history, to the byte: time passes only when nothing else can
//! happen, every random number comes from the seed, and one thread polls everything in a fixed order. What is
//! tested is the real runtime over the real in-memory store; only time, the world outside and the faults are
//! simulated. A history is judged while it happens and at its end; see [`Violation`] for what is looked for.
//!
//! **What it cannot find.** Mistakes of a database, of the operating system or of a real tool: those are for the
//! store's suite and the tests with real components.
//!
//! **Rejected.** A runtime with paused time (its order of wakeups is not ours to fix, and a worker cannot be held still
//! while the others go on); recorded real histories (they hold the faults that happened, not those that could).

mod cloud;
mod driver;
mod scenario;
mod simulation;
mod store;
mod time;
mod world;

pub use cloud::{ModelCloud, Thing};
pub use scenario::{Plan, Scenario};
pub use simulation::{CrashMode, Options, Report, Simulation};
pub use time::SimulatedTime;
pub use world::Violation;
