//! Drivers: how each kind of module is previewed, applied, observed and destroyed.
//!
//! **What it guarantees.** A [`Driver`] knows its own tool and nothing of graphs, environments' rules or people: it is
//! given one [`Operation`] with everything in plaintext, and answers with one [`Outcome`]. It never fails otherwise:
//! what goes wrong is an outcome that names the step, shows the last lines with their secrets masked, and says whom to
//! ask. Apply and destroy may be repeated. What a tool answers is untrusted: bounded before it is parsed.
//!
//! **What it refuses.** To repeat silently a step whose module says that nobody can tell what it has done
//! ([`Outcome::Indeterminate`]); to mix a secret into an output without marking it, even when the tool does not.
//!
//! **Rejected.** Drivers that write to the store (the engine journals, so that intent comes before effect); drivers
//! that start processes themselves (the runner does, under a supervisor that outlives the server); one trait method
//! for all work (what may be asked of a driver when, is what the engine's state machine is about).

mod bundle;
mod failure;
pub mod interface;
pub mod preview;
pub mod runner;
pub mod script;
mod sensitive;
mod stops;
pub mod template;
#[cfg(test)]
mod testing;
pub mod volume;
pub mod workload;

use std::sync::Arc;

use podium_model::kinds::DriverKind;

pub use bundle::check as check_bundle;
pub use interface::{
    Driver, KeptState, Observation, Operation, Outcome, Previous, ResourceIdentity, ScriptValues,
};
pub use preview::{Preview, preview};
pub use runner::Runner;
pub use script::missing_tools;
pub use workload::DigestKey;

/// The drivers of one runner.
#[derive(Clone)]
pub struct Drivers {
    script: Arc<dyn Driver>,
    template: Arc<dyn Driver>,
    workload: Arc<dyn Driver>,
    volume: Arc<dyn Driver>,
}

impl Drivers {
    /// All drivers, whose work executes on `runner`. `key` digests what workloads are to run.
    pub fn new(runner: Arc<dyn Runner>, key: DigestKey) -> Self {
        Self {
            script: Arc::new(script::ScriptDriver::new(Arc::clone(&runner))),
            template: Arc::new(template::TemplateDriver),
            workload: Arc::new(workload::WorkloadDriver::new(Arc::clone(&runner), key)),
            volume: Arc::new(volume::VolumeDriver::new(runner)),
        }
    }

    /// The driver of a kind.
    pub fn get(&self, kind: DriverKind) -> Arc<dyn Driver> {
        Arc::clone(match kind {
            DriverKind::Script => &self.script,
            DriverKind::Template => &self.template,
            DriverKind::Workload => &self.workload,
            DriverKind::Volume => &self.volume,
        })
    }
}
