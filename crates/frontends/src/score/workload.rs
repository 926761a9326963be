//! A workload in types, made only of a document that was checked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use podium_document::Problem;
use serde_json::{Map, Value};

use super::check::{check, name_of, port_of};
use super::upgrade::{needs_upgrade, upgrade_json};

/// A workload. Texts are as written; placeholders in them are taken apart by [`super::requests`].
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreWorkload {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// All of `metadata`, with the name, the annotations and whatever else the document says.
    pub metadata: Map<String, Value>,
    /// The containers by name.
    pub containers: BTreeMap<String, Container>,
    /// `service.ports` by name.
    pub ports: BTreeMap<String, ServicePort>,
    /// `resources` by name.
    pub resources: BTreeMap<String, ResourceNeed>,
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The image; `.` when it was left to be given.
    pub image: String,
    /// What runs instead of the image's entry point.
    pub command: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Files by the path where they appear.
    pub files: BTreeMap<String, ContainerFile>,
    /// Volumes by the path where they are mounted.
    pub volumes: BTreeMap<String, ContainerVolume>,
    /// `resources.limits`.
    pub limits: ComputeAmounts,
    /// `resources.requests`.
    pub requests: ComputeAmounts,
    /// Whether it must be restarted.
    pub liveness_probe: Option<Probe>,
    /// Whether it can serve.
    pub readiness_probe: Option<Probe>,
    /// Containers that wait for this one, and for what of it.
    pub before: BTreeMap<String, Ready>,
}

/// Processor and memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComputeAmounts {
    /// As in `128Mi`.
    pub memory: Option<String>,
    /// As in `500m`.
    pub cpu: Option<String>,
}

/// A file in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFile {
    /// What it holds.
    pub content: FileContent,
    /// Access mode in octal digits.
    pub mode: Option<String>,
    /// Whether placeholders in its text are replaced.
    pub expand: bool,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// Text.
    Text(String),
    /// Bytes, in base64.
    Binary(String),
    /// What another file holds, by its path as the document names it.
    Source(String),
}

/// A volume in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerVolume {
    /// Which volume.
    pub source: String,
    /// A path inside the volume.
    pub path: Option<String>,
    /// Whether it cannot be written to.
    pub read_only: Option<bool>,
}

/// A probe; at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// By an HTTP request.
    pub http_get: Option<HttpGet>,
    /// By a command in the container.
    pub exec: Option<Vec<String>>,
}

/// An HTTP request of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGet {
    /// The port.
    pub port: u16,
    /// The path.
    pub path: String,
    /// The host; the workload itself when unset.
    pub host: Option<String>,
    /// The scheme; HTTP when unset.
    pub scheme: Option<Scheme>,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
}

/// Scheme of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As Score writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }
}

/// What another container waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// It was started.
    Started,
    /// Its probe succeeds.
    Healthy,
    /// It has ended well.
    Complete,
}

impl Ready {
    /// As Score writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Complete => "complete",
        }
    }
}

/// A port that the workload offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePort {
    /// The port that others use.
    pub port: u16,
    /// The port in the containers; the same when unset.
    pub target_port: Option<u16>,
    /// TCP when unset.
    pub protocol: Option<Protocol>,
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As Score writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A resource that the workload needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceNeed {
    /// Its type.
    pub resource_type: String,
    /// Its class, when one is named.
    pub class: Option<String>,
    /// Its id, when it is shared under one.
    pub id: Option<String>,
    /// `metadata`, as written.
    pub metadata: Option<Map<String, Value>>,
    /// `params`, with placeholders as written.
    pub params: Option<Map<String, Value>>,
}

/// Checks a document and makes a workload of it. Older forms are brought over first; paths in problems are those of
/// the present form. Warnings alone do not refuse it; [`check`] returns them.
pub fn parse(document: &Value) -> Result<ScoreWorkload, Vec<Problem>> {
    let document = if needs_upgrade(document) {
        Cow::Owned(upgrade_json(document.clone()))
    } else {
        Cow::Borrowed(document)
    };
    let problems = check(&document);
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    Ok(workload(&document))
}

// The document was checked, so what is read below has its shape; anything else is passed over.

fn workload(document: &Value) -> ScoreWorkload {
    let metadata = object(document, "metadata").cloned().unwrap_or_default();
    ScoreWorkload {
        name: name_of(document).unwrap_or_default().to_owned(),
        annotations: metadata.get("annotations").map(texts).unwrap_or_default(),
        metadata,
        containers: each(document, "containers", container),
        ports: document
            .get("service")
            .map(|service| each(service, "ports", port))
            .unwrap_or_default(),
        resources: each(document, "resources", resource),
    }
}

fn container(value: &Value) -> Container {
    let amounts = |name: &str| {
        let amounts = value.get("resources").and_then(|resources| resources.get(name));
        ComputeAmounts {
            memory: amounts.and_then(|amounts| text(amounts, "memory")),
            cpu: amounts.and_then(|amounts| text(amounts, "cpu")),
        }
    };
    Container {
        image: text(value, "image").unwrap_or_default(),
        command: list(value, "command"),
        args: list(value, "args"),
        variables: value.get("variables").map(texts).unwrap_or_default(),
        files: each(value, "files", file),
        volumes: each(value, "volumes", volume),
        limits: amounts("limits"),
        requests: amounts("requests"),
        liveness_probe: value.get("livenessProbe").map(probe),
        readiness_probe: value.get("readinessProbe").map(probe),
        before: each(value, "before", |entry| {
            match entry.get("ready").and_then(Value::as_str) {
                Some("healthy") => Ready::Healthy,
                Some("complete") => Ready::Complete,
                _ => Ready::Started,
            }
        }),
    }
}

fn file(value: &Value) -> ContainerFile {
    let content = if let Some(bytes) = text(value, "binaryContent") {
        FileContent::Binary(bytes)
    } else if let Some(source) = text(value, "source") {
        FileContent::Source(source)
    } else {
        FileContent::Text(text(value, "content").unwrap_or_default())
    };
    ContainerFile {
        content,
        mode: text(value, "mode"),
        expand: value.get("noExpand").and_then(Value::as_bool) != Some(true),
    }
}

fn volume(value: &Value) -> ContainerVolume {
    ContainerVolume {
        source: text(value, "source").unwrap_or_default(),
        path: text(value, "path"),
        read_only: value.get("readOnly").and_then(Value::as_bool),
    }
}

fn probe(value: &Value) -> Probe {
    Probe {
        http_get: value.get("httpGet").map(|get| HttpGet {
            port: get.get("port").and_then(port_of).unwrap_or_default(),
            path: text(get, "path").unwrap_or_default(),
            host: text(get, "host"),
            scheme: text(get, "scheme").map(|scheme| {
                if scheme == "HTTPS" {
                    Scheme::Https
                } else {
                    Scheme::Http
                }
            }),
            headers: get
                .get("httpHeaders")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|header| Some((text(header, "name")?, text(header, "value")?)))
                .collect(),
        }),
        exec: value.get("exec").map(|exec| list(exec, "command")),
    }
}

fn port(value: &Value) -> ServicePort {
    ServicePort {
        port: value.get("port").and_then(port_of).unwrap_or_default(),
        target_port: value.get("targetPort").and_then(port_of),
        protocol: text(value, "protocol").map(|name| {
            if name == "UDP" {
                Protocol::Udp
            } else {
                Protocol::Tcp
            }
        }),
    }
}

fn resource(value: &Value) -> ResourceNeed {
    ResourceNeed {
        resource_type: text(value, "type").unwrap_or_default(),
        class: text(value, "class"),
        id: text(value, "id"),
        metadata: object(value, "metadata").cloned(),
        params: object(value, "params").cloned(),
    }
}

fn object<'v>(value: &'v Value, name: &str) -> Option<&'v Map<String, Value>> {
    value.get(name)?.as_object()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn list(value: &Value, name: &str) -> Vec<String> {
    let items = value.get(name).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn each<T>(value: &Value, name: &str, make: impl Fn(&Value) -> T) -> BTreeMap<String, T> {
    object(value, name)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), make(value)))
        .collect()
}
