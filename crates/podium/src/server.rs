//! The server: where the parts are wired together, and nowhere else.
//!
//! **What it guarantees.** The store is opened before anything else, so that a second server on the same data is
//! refused before it touches a file of the first. The address is taken before anything begins to work. The kubeconfig is
//! written once requests are answered. When the server ends by a signal, workloads keep running, unless
//! [`End::Everything`] was asked for.

mod access;

use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use podium_apiserver::{ApiServer, DefaultDeny, Limits, Registry, ServerOptions, TokenAuthenticator, tls};
use podium_control::{ControlOptions, ControlPlane, KindAdmission, Verbs};
use podium_drivers::{DigestKey, Drivers};
use podium_engine::TokioTimers;
use podium_model::clock::{SharedClock, SystemClock};
use podium_runners::{ProcessRunner, RunnerSettings, SealKey};
use podium_store::{MasterKey, OpenOptions, Revision, SharedStore, SqliteStore, Store as _};
use tokio::sync::oneshot;

/// How often history is cut, and how far back it is kept at least.
const COMPACTION_PAUSE: Duration = Duration::from_mins(5);

/// How a server is set up.
pub(crate) struct Setup {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Where it listens: `HOST:PORT`.
    pub(crate) listen: String,
    /// Whether steps and workloads may run where the machine cannot confine them.
    pub(crate) allow_unconfined: bool,
}

/// What ends with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server alone: workloads keep running.
    ServerAlone,
    /// Workloads and steps as well; the next start begins workloads again, and takes up what steps answered.
    Everything,
}

/// A server that is ready to serve.
pub(crate) struct Server {
    store: Arc<SqliteStore>,
    plane: Arc<ControlPlane>,
    api: ApiServer,
    address: SocketAddr,
    identity: tls::ServerIdentity,
    token: String,
    data: PathBuf,
    /// What this machine cannot do to confine processes.
    pub(crate) gaps: Vec<String>,
}

impl Server {
    /// Opens the store and gets everything ready; nothing listens yet.
    pub(crate) async fn open(setup: Setup) -> Result<Self> {
        let address = resolve(&setup.listen)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let options = OpenOptions {
            folder: setup.data.clone(),
            master_key: master_key(),
        };
        let store = tokio::task::spawn_blocking(move || SqliteStore::open(&options))
            .await
            .context("the store could not be opened")??;
        let executable = std::env::current_exe().context("the path of this program is not known")?;
        let mut settings = RunnerSettings::new(SealKey::new(store.derive_key("shim")));
        settings.allow_unconfined = setup.allow_unconfined;
        let runner = ProcessRunner::new(&setup.data, executable, settings)
            .context("steps and workloads cannot be run on this machine")?;
        let gaps = runner.confinement().gaps.clone();
        let runner = Arc::new(runner);
        let drivers = Drivers::new(
            Arc::<ProcessRunner>::clone(&runner),
            DigestKey::new(&store.derive_key("workload specifications")),
        );
        let shared: SharedStore = Arc::<SqliteStore>::clone(&store);
        let plane = ControlPlane::new(ControlOptions {
            store: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            timers: Arc::new(TokioTimers::new(Arc::clone(&clock))),
            drivers,
            runner,
            // The lock on the data folder proves that no other server works on it.
            holder: "server".to_owned(),
        })
        .await
        .context("the control plane cannot be started")?;
        let token = access::admin_token(&setup.data)?;
        let authenticator = TokenAuthenticator::new([access::admin(&token)])?;
        let identity = tls::ServerIdentity::load_or_create(
            &setup.data.join("tls"),
            &tls::local_names(address.ip()),
            clock.now(),
        )
        .context("the server's certificate cannot be made")?;
        let registry =
            Registry::new(podium_model::kinds::definitions()).context("the kinds cannot be served")?;
        let api = ApiServer::new(ServerOptions {
            registry: Arc::new(registry),
            store: shared,
            clock,
            authenticator: Arc::new(authenticator),
            authorizer: Arc::new(DefaultDeny),
            admission: Arc::new(KindAdmission(Arc::clone(&plane))),
            subresources: Arc::new(Verbs(Arc::clone(&plane))),
            extra: axum::Router::new(),
            limits: Limits::default(),
        });
        Ok(Self {
            store,
            plane,
            api,
            address,
            identity,
            token,
            data: setup.data,
            gaps,
        })
    }

    /// Turns to a port that is free when the one that was asked for is taken; answers whether it did.
    pub(crate) fn avoid_taken_port(&mut self) -> bool {
        let taken = std::net::TcpListener::bind(self.address).is_err();
        if taken {
            self.address.set_port(0);
        }
        taken
    }

    /// Serves until `shutdown` resolves. `serving` is told the address once requests are answered and the kubeconfig is
    /// written.
    pub(crate) async fn serve(
        self,
        serving: oneshot::Sender<SocketAddr>,
        shutdown: impl Future<Output = End> + Send,
    ) -> Result<()> {
        let listener = podium_apiserver::listen(self.address).await?;
        let address = listener
            .local_addr()
            .context("the address that is listened on is not known")?;
        self.plane
            .start()
            .await
            .context("the control plane cannot be started")?;
        let compaction = tokio::spawn(compact(Arc::clone(&self.store)));
        let (answers, answered) = oneshot::channel();
        let (token, data, authority) = (self.token, self.data, self.identity.authority_pem.clone());
        let announce = async move {
            if answered.await.is_ok() {
                access::write_kubeconfig(&data, address, &authority, &token)?;
                // Nobody may wait for it.
                let _unheard = serving.send(address);
            }
            anyhow::Ok(())
        };
        let (ended, end) = oneshot::channel();
        let stop = async {
            let end = shutdown.await;
            let _unheard = ended.send(end);
        };
        let serve = podium_apiserver::serve(self.api, listener, &self.identity, answers, stop);
        let (served, announced) = tokio::join!(serve, announce);
        compaction.abort();
        let end = end.await;
        self.plane.stop();
        // Nothing can be journaled from here on, so no run begins another step.
        self.store.close().await;
        if end == Ok(End::Everything) {
            self.plane.stop_everything().await;
        }
        served?;
        announced
    }
}

/// The master key: from the environment when it is there, from the data folder otherwise.
fn master_key() -> MasterKey {
    const VARIABLE: &str = "PODIUM_MASTER_KEY";
    match std::env::var(VARIABLE) {
        Ok(value) if !value.is_empty() => MasterKey::Value {
            variable: VARIABLE.to_owned(),
            value: value.into(),
        },
        _ => MasterKey::Folder,
    }
}

/// The address to listen at.
fn resolve(listen: &str) -> Result<SocketAddr> {
    listen
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| {
            anyhow!("`{listen}` is no address to listen at: write HOST:PORT, such as 127.0.0.1:7443")
        })
}

/// Cuts history that every watcher had time to see.
async fn compact(store: Arc<SqliteStore>) {
    let mut former = Revision::default();
    loop {
        tokio::time::sleep(COMPACTION_PAUSE).await;
        let Ok(now) = store.revision().await else { return };
        if former > Revision::default()
            && let Err(error) = store.compact(former).await
        {
            tracing::warn!(%error, "history cannot be cut");
        }
        former = now;
    }
}

/// Resolves when the process is told to end.
pub(crate) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        std::future::pending::<()>().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Builds the server's runtime.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    crate::client::install_cryptography();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

/// Starts logging: to standard error, or to a file beneath the data folder.
pub(crate) fn log_to(file: Option<&Path>) -> Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("PODIUM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    let started = match file {
        None => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colours).with_writer(std::io::stderr).try_init()
        }
        Some(file) => {
            let file = access::private_file(file)?;
            builder
                .with_ansi(false)
                .with_writer(std::sync::Mutex::new(file))
                .try_init()
        }
    };
    started.map_err(|error| anyhow!("logging cannot be started: {error}"))
}
