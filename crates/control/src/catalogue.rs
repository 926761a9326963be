//! The catalogue of types, modules and rules, kept compiled between requests.
//!
//! A watch tells when one of its objects changes; a request waits until the watch has seen the store's revision, so it
//! never works with a catalogue older than what the client has already written.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use podium_model::graph::ModuleReference;
use podium_model::kinds::{
    MODULE_RULES, MODULE_VERSIONS, MODULES, ModuleRuleSpec, ModuleSpec, ModuleStatus, ModuleVersionSpec,
    RESOURCE_TYPES, RUNNERS, ResourceTypeSpec, RunnerSpec, RunnerStatus, SimpleStatus,
};
use podium_planner::{Catalogue, CatalogueInput, ModuleVersionInput, RuleInput, TypeInput};
use podium_store::{Revision, SharedStore, WatchRequest};
use tokio::sync::watch;

use crate::error::ControlError;
use crate::objects::{cluster, list};

/// Keeps the catalogue.
pub(crate) struct CatalogueCache {
    store: SharedStore,
    seen: watch::Receiver<Seen>,
    built: Mutex<Option<(u64, Arc<Catalogue>)>>,
    changed: watch::Receiver<u64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    revision: Revision,
    /// Grows with every change of an object of the catalogue.
    edition: u64,
}

fn is_of_catalogue(resource: &str) -> bool {
    matches!(resource, RESOURCE_TYPES | MODULES | MODULE_RULES | RUNNERS)
}

impl CatalogueCache {
    /// Starts to follow the store.
    pub(crate) fn start(store: SharedStore) -> Arc<Self> {
        let (sender, seen) = watch::channel(Seen::default());
        let (changes, changed) = watch::channel(0);
        tokio::spawn(follow(Arc::clone(&store), sender, changes));
        Arc::new(Self {
            store,
            seen,
            built: Mutex::new(None),
            changed,
        })
    }

    /// Tells of every change of the catalogue.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// The catalogue as of now.
    pub(crate) async fn current(&self) -> Result<Arc<Catalogue>, ControlError> {
        let now = self.store.revision().await?;
        let mut seen = self.seen.clone();
        let edition = match seen.wait_for(|seen| seen.revision >= now).await {
            Ok(seen) => seen.edition,
            Err(_) => return Err(ControlError::Store(podium_store::StoreError::Closed)),
        };
        if let Some((built, catalogue)) = &*self.built.lock().unwrap_or_else(PoisonError::into_inner)
            && *built == edition
        {
            return Ok(Arc::clone(catalogue));
        }
        let catalogue = Arc::new(build(&self.store).await?);
        *self.built.lock().unwrap_or_else(PoisonError::into_inner) = Some((edition, Arc::clone(&catalogue)));
        Ok(catalogue)
    }
}

async fn follow(store: SharedStore, sender: watch::Sender<Seen>, changes: watch::Sender<u64>) {
    let mut after = None;
    loop {
        let start = match after {
            Some(after) => after,
            None => match store.revision().await {
                Ok(revision) => revision,
                Err(_) => return,
            },
        };
        sender.send_modify(|seen| {
            seen.edition += u64::from(after.is_none());
            seen.revision = seen.revision.max(start);
        });
        let request = WatchRequest {
            resource: None,
            namespace: None,
            after: start,
        };
        let Ok(mut stream) = store.watch(request).await else {
            if sender.is_closed() {
                return;
            }
            after = None;
            tokio::task::yield_now().await;
            continue;
        };
        loop {
            match stream.next().await {
                Some(Ok((revision, events))) => {
                    let touched = events
                        .iter()
                        .any(|event| is_of_catalogue(&event.object.key.resource.resource));
                    sender.send_modify(|seen| {
                        seen.revision = revision;
                        seen.edition += u64::from(touched);
                    });
                    if touched {
                        changes.send_modify(|count| *count += 1);
                    }
                }
                // Too far behind: begin anew with everything taken for changed.
                Some(Err(_)) => {
                    after = None;
                    break;
                }
                None => return,
            }
        }
    }
}

async fn build(store: &SharedStore) -> Result<Catalogue, ControlError> {
    let mut input = CatalogueInput::default();
    for entry in list::<ResourceTypeSpec, SimpleStatus>(&**store, RESOURCE_TYPES, None).await? {
        input.types.push(TypeInput {
            resource_type: entry.spec.resource_type,
            owner: entry.spec.owner,
            params: entry.spec.params,
            outputs: entry.spec.outputs,
        });
    }
    for module in list::<ModuleSpec, ModuleStatus>(&**store, MODULES, None).await? {
        if module.status.version == 0 {
            continue;
        }
        let reference = ModuleReference {
            module: module.name().to_owned(),
            version: module.status.version,
        };
        if let Some(version) = module_version(store, &reference).await? {
            input.modules.push(version);
        }
    }
    for rule in list::<ModuleRuleSpec, SimpleStatus>(&**store, MODULE_RULES, None).await? {
        input.rules.push(RuleInput {
            name: rule.name().to_owned(),
            spec: rule.spec,
        });
    }
    for runner in list::<RunnerSpec, RunnerStatus>(&**store, RUNNERS, None).await? {
        // A runner that has not reported is not known to lack anything.
        if runner.status.observed_generation > 0 {
            let tools: BTreeSet<String> = runner.status.tools.keys().cloned().collect();
            input.tools.insert(runner.name().to_owned(), tools);
        }
    }
    let (catalogue, problems) = Catalogue::build(input);
    for problem in problems {
        tracing::warn!(document = problem.document, path = %problem.path, message = problem.message, "left out of the catalogue");
    }
    Ok(catalogue)
}

/// Reads one version of a module.
pub(crate) async fn module_version(
    store: &SharedStore,
    reference: &ModuleReference,
) -> Result<Option<ModuleVersionInput>, ControlError> {
    let key = cluster(MODULE_VERSIONS, &reference.object_name());
    let version = crate::objects::get::<ModuleVersionSpec, SimpleStatus>(&**store, &key).await?;
    Ok(version.map(|version| ModuleVersionInput {
        reference: reference.clone(),
        owner: version.spec.owner,
        content: Arc::new(version.spec.content),
    }))
}
