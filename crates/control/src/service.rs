//! The control plane as a whole: its parts, and how they start.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use podium_drivers::Drivers;
use podium_engine::Timers;
use podium_model::clock::SharedClock;
use podium_runners::ProcessRunner;
use podium_store::SharedStore;

use crate::catalogue::CatalogueCache;
use crate::error::ControlError;
use crate::executor::DriverExecutor;
use crate::ports::Ports;
use crate::reconcile::Unresolved;
use crate::runs::ActiveRuns;
use crate::workloads::Followed;

/// What a control plane is made of.
pub struct ControlOptions {
    /// The store.
    pub store: SharedStore,
    /// The clock.
    pub clock: SharedClock,
    /// Timers of runs.
    pub timers: Arc<dyn Timers>,
    /// The drivers.
    pub drivers: Drivers,
    /// The runner on this machine.
    pub runner: Arc<ProcessRunner>,
    /// Name under which leases are held; see [`podium_engine::Runtime::new`].
    pub holder: String,
}

/// Releases, plans, runs and the life of environments.
pub struct ControlPlane {
    pub(crate) store: SharedStore,
    pub(crate) clock: SharedClock,
    pub(crate) catalogue: Arc<CatalogueCache>,
    pub(crate) ports: Ports,
    pub(crate) executor: Arc<DriverExecutor>,
    pub(crate) timers: Arc<dyn Timers>,
    pub(crate) holder: String,
    pub(crate) active: ActiveRuns,
    pub(crate) runner: Arc<ProcessRunner>,
    pub(crate) unresolved: Unresolved,
    pub(crate) followed: Followed,
    pub(crate) stopping: AtomicBool,
}

impl ControlPlane {
    /// Reads what it must know, and gets ready; [`ControlPlane::start`] begins to work.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn new(options: ControlOptions) -> Result<Arc<Self>, ControlError> {
        let catalogue = CatalogueCache::start(Arc::clone(&options.store));
        let ports = Ports::load(&options.store).await?;
        let executor = Arc::new(DriverExecutor::new(
            Arc::clone(&options.store),
            options.drivers,
            Arc::clone(&catalogue),
        ));
        Ok(Arc::new(Self {
            store: options.store,
            clock: options.clock,
            catalogue,
            ports,
            executor,
            timers: options.timers,
            holder: options.holder,
            active: ActiveRuns::default(),
            runner: options.runner,
            unresolved: Unresolved::default(),
            followed: Followed::default(),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Begins to work: writes the objects that every installation has, takes up runs, and follows documents and
    /// workloads, until the runtime ends.
    ///
    /// # Errors
    /// When the objects that every installation has cannot be written.
    pub async fn start(self: &Arc<Self>) -> Result<(), ControlError> {
        self.ensure_defaults().await?;
        self.report_tools().await?;
        tokio::spawn(Arc::clone(self).follow_runs());
        tokio::spawn(Arc::clone(self).follow_documents());
        tokio::spawn(Arc::clone(self).follow_workloads());
        Ok(())
    }

    /// A new uid.
    #[expect(clippy::unused_self, reason = "uids belong to the control plane")]
    pub(crate) fn uid(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}
