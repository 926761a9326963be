//! From a workload's inputs to what the runner is told.

use std::collections::BTreeMap;

use podium_model::secret::Secret;
use podium_model::value::{Value as ModelValue, hex};
use podium_runners::{Container, FileContent, Probe, RestartPolicy, RootFile, Value, Volume, WorkloadSpec};
use ring::hmac;
use serde_json::json;

use super::HOST;
use super::document::{self, Content, Document};
use crate::failure::one_line;
use crate::interface::Operation;
use crate::runner::Runner;
use crate::sensitive::holds_secret;
use crate::volume;

/// Changes when the same document comes to mean something else to the runner, so that the next apply starts it anew.
const FORM: u32 = 1;

/// The key with which specifications are digested. They hold secrets, and the runner keeps their digests in clear.
#[derive(Clone)]
pub struct DigestKey(hmac::Key);

impl DigestKey {
    /// Takes the key, one of the installation that no other purpose shares.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn digest(&self, bytes: &[u8]) -> String {
        hex(hmac::sign(&self.0, bytes).as_ref())
    }
}

/// Puts the specification together.
pub(super) async fn build(
    operation: &Operation,
    document: &Document,
    runner: &dyn Runner,
    key: &DigestKey,
) -> Result<WorkloadSpec, String> {
    let secrets = operation.secrets();
    let root = runner.workload_root(&operation.resource.uid);
    let root = root
        .to_str()
        .ok_or("the runner's folder has a name that is not UTF-8")?;
    let mut containers = Vec::with_capacity(document.containers.len());
    let mut written: Vec<&str> = Vec::new();
    let mut may_run_podium = false;
    for (name, given) in &document.containers {
        let podium = given.argv.first().is_some_and(|command| command == "podium");
        may_run_podium |= podium;
        let path = runner.command_path(podium).map_err(|error| one_line(&error))?;
        let mut container = Container::new(name.clone(), given.argv.clone());
        container.env = environment(document, given, root, path, &secrets);
        for (target, file) in &given.files {
            let place = target.trim_start_matches('/');
            // Another container has the same file there.
            if written.contains(&place) {
                continue;
            }
            written.push(place);
            container.files.push(RootFile {
                path: place.to_owned(),
                content: match &file.content {
                    Content::Text(text) => FileContent::Text(marked_file(text, &secrets)),
                    Content::Bytes(bytes) => FileContent::Bytes(bytes.clone()),
                },
                mode: file.mode,
            });
        }
        for (target, given) in &given.volumes {
            let place = format!("containers.{name}.volumes.{target}");
            let (namespace, volume) = volume::resolve(&given.source, &operation.resource.namespace)
                .map_err(|what| format!("{place}: {what}"))?;
            let source = runner
                .ensure_volume(namespace, volume)
                .await
                .map_err(|error| format!("{place}: {}", one_line(&error)))?;
            container.volumes.push(Volume {
                target: target.clone(),
                source,
                read_only: given.read_only,
            });
        }
        container.liveness = given
            .liveness
            .as_ref()
            .map(|probe| Probe::new(probe.action.clone()));
        container.readiness = given
            .readiness
            .as_ref()
            .map(|probe| Probe::new(probe.action.clone()));
        container.after.clone_from(&given.after);
        if given.must_complete {
            container.restart = RestartPolicy::OnFailure;
        }
        containers.push(container);
    }
    let digest = digest(operation, document, key);
    let mut spec = WorkloadSpec::new(operation.resource.uid.clone(), digest, containers);
    spec.folders = vec!["tmp".to_owned()];
    spec.masked = secrets;
    spec.may_run_podium = may_run_podium;
    Ok(spec)
}

/// A digest of all that decides what runs. Metadata does not: changing an annotation restarts nothing.
fn digest(operation: &Operation, document: &Document, key: &DigestKey) -> String {
    let inputs = operation.inputs.expose();
    let ports: BTreeMap<&String, u16> = document
        .ports
        .iter()
        .map(|(name, port)| (name, port.allotted))
        .collect();
    let content = json!({
        "form": FORM,
        "namespace": operation.resource.namespace,
        "containers": inputs.get("containers"),
        "service": inputs.get("service"),
        "ports": ports,
    });
    // The model's value sorts the maps, so that equal content has equal bytes.
    key.digest(ModelValue::from_json(&content).digest().as_bytes())
}

fn environment(
    document: &Document,
    container: &document::Container,
    root: &str,
    path: String,
    secrets: &[Secret],
) -> Vec<(String, Value)> {
    let mut env: BTreeMap<String, Value> = BTreeMap::new();
    for (name, text) in [
        ("PATH", path),
        ("HOME", root.to_owned()),
        ("TMPDIR", format!("{root}/tmp")),
        ("LANG", "C.UTF-8".to_owned()),
        ("PODIUM_ROOT", root.to_owned()),
    ] {
        env.insert(name.to_owned(), Value::Plain(text));
    }
    if let Some(first) = document.ports.values().next() {
        env.insert("PORT".to_owned(), Value::Plain(first.allotted.to_string()));
        env.insert("HOST".to_owned(), Value::Plain(HOST.to_owned()));
    }
    for (name, port) in &document.ports {
        let name = format!("PORT_{}", crate::script::variable(name));
        env.insert(name, Value::Plain(port.allotted.to_string()));
    }
    for (name, text) in &container.variables {
        let value = if holds_secret(text, secrets) {
            Value::Secret(Secret::new(text.clone()))
        } else {
            Value::Plain(text.clone())
        };
        env.insert(name.clone(), value);
    }
    env.into_iter().collect()
}

/// A file's text. As a whole it is a secret only when it is short: the runner masks each line of a secret by itself,
/// and a configuration file has lines that are worth reading in a log. The secrets in it are masked in any case.
fn marked_file(text: &str, secrets: &[Secret]) -> Value {
    if !text.trim().contains('\n') && holds_secret(text, secrets) {
        Value::Secret(Secret::new(text))
    } else {
        Value::Plain(text.to_owned())
    }
}
