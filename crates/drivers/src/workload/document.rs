//! A workload's inputs, read: the parts of a Score document that processes need. Pure.
//!
//! Its texts may hold secrets, so that no message here shows one.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podium_runners::{BeforeCondition, ProbeAction};
use serde_json::{Map, Value as Json};

use super::{HOST, PROGRESS_DEADLINE};

/// The longest progress deadline, in seconds.
const LONGEST_DEADLINE: u64 = 86_400;

/// A workload.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) containers: BTreeMap<String, Container>,
    /// Service ports, by name.
    pub(super) ports: BTreeMap<String, Port>,
    pub(super) progress_deadline: Option<Duration>,
}

/// A service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) allotted: u16,
    pub(super) is_tcp: bool,
}

/// A container.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) argv: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) files: BTreeMap<String, File>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) liveness: Option<Probe>,
    pub(super) readiness: Option<Probe>,
    /// What others must have reached before this one starts.
    pub(super) after: BTreeMap<String, BeforeCondition>,
    /// Whether another container waits until this one has ended.
    pub(super) must_complete: bool,
}

/// A file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) content: Content,
    pub(super) mode: u32,
}

/// What is in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

/// A volume.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) source: String,
    pub(super) read_only: bool,
}

/// A probe, and how people know it.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) action: ProbeAction,
    pub(super) words: String,
}

/// Collects what is wrong, with its place.
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, place: &str, what: &str) {
        self.0.push(format!("{place} {what}"));
    }

    fn object<'a>(&mut self, place: &str, json: Option<&'a Json>) -> Option<&'a Map<String, Json>> {
        match json {
            None | Some(Json::Null) => None,
            Some(Json::Object(map)) => Some(map),
            Some(_) => {
                self.add(place, "must be a map");
                None
            }
        }
    }

    fn text(&mut self, place: &str, json: Option<&Json>) -> Option<String> {
        match json {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) => Some(text.clone()),
            Some(_) => {
                self.add(place, "must be a text");
                None
            }
        }
    }

    fn texts(&mut self, place: &str, json: Option<&Json>) -> Vec<String> {
        let items = match json {
            None | Some(Json::Null) => return Vec::new(),
            Some(Json::Array(items)) => items,
            Some(_) => {
                self.add(place, "must be a list of texts");
                return Vec::new();
            }
        };
        let texts: Vec<String> = items
            .iter()
            .filter_map(Json::as_str)
            .map(ToOwned::to_owned)
            .collect();
        if texts.len() != items.len() {
            self.add(place, "must be a list of texts");
        }
        texts
    }

    fn port(&mut self, place: &str, json: Option<&Json>) -> Option<u16> {
        let port = json
            .and_then(Json::as_u64)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0);
        if port.is_none() {
            self.add(place, "must be a port, 1 to 65535");
        }
        port
    }
}

/// Reads the inputs. `allotted` are the resource's ports; those in the inputs, if any, go first. All that is wrong
/// comes at once.
pub(super) fn read(inputs: &Json, allotted: &BTreeMap<String, u16>) -> Result<Document, Vec<String>> {
    let mut problems = Problems(Vec::new());
    let metadata = problems.object("metadata", inputs.get("metadata"));
    let name = problems.text(
        "metadata.name",
        metadata.and_then(|metadata| metadata.get("name")),
    );
    let annotations = metadata.and_then(|metadata| metadata.get("annotations"));
    let annotations = problems.object("metadata.annotations", annotations);
    let progress_deadline = annotations
        .and_then(|annotations| annotations.get(PROGRESS_DEADLINE))
        .and_then(|text| deadline(text, &mut problems));

    let (ports, by_number) = read_ports(inputs, allotted, &mut problems);
    let mut containers = BTreeMap::new();
    for (name, json) in problems
        .object("containers", inputs.get("containers"))
        .into_iter()
        .flatten()
    {
        if let Some(container) = container(name, json, &by_number, &mut problems) {
            containers.insert(name.clone(), container);
        }
    }
    let given = inputs.get("containers").and_then(Json::as_object);
    if given.is_none_or(Map::is_empty) {
        problems.add("containers", "must have at least one container");
    }
    for (name, json) in given.into_iter().flatten() {
        before(name, json, &mut containers, &mut problems);
    }
    same_files(&containers, &mut problems);
    if problems.0.is_empty() {
        Ok(Document {
            name: name.unwrap_or_default(),
            containers,
            ports,
            progress_deadline,
        })
    } else {
        Err(problems.0)
    }
}

fn deadline(json: &Json, problems: &mut Problems) -> Option<Duration> {
    let seconds = match json {
        Json::String(text) => text.trim().parse::<u64>().ok(),
        other => other.as_u64(),
    };
    let seconds = seconds.filter(|seconds| (1..=LONGEST_DEADLINE).contains(seconds));
    if seconds.is_none() {
        problems.add(
            &format!("annotation {PROGRESS_DEADLINE}"),
            &format!("must be a number of seconds, 1 to {LONGEST_DEADLINE}"),
        );
    }
    seconds.map(Duration::from_secs)
}

/// Service ports by name, and the allotted port by the number that the document gives to its containers.
fn read_ports(
    inputs: &Json,
    allotted: &BTreeMap<String, u16>,
    problems: &mut Problems,
) -> (BTreeMap<String, Port>, BTreeMap<u16, u16>) {
    let mut numbers = allotted.clone();
    for (name, json) in problems
        .object("ports", inputs.get("ports"))
        .into_iter()
        .flatten()
    {
        if let Some(port) = problems.port(&format!("ports.{name}"), Some(json)) {
            numbers.insert(name.clone(), port);
        }
    }
    let mut ports = BTreeMap::new();
    let mut by_number = BTreeMap::new();
    let service = problems
        .object("service", inputs.get("service"))
        .and_then(|service| service.get("ports"));
    for (name, json) in problems.object("service.ports", service).into_iter().flatten() {
        let place = format!("service.ports.{name}");
        let Some(&allotted) = numbers.get(name) else {
            problems.add(
                &place,
                "has no port allotted; the module's `allotPorts` must name it",
            );
            continue;
        };
        let port = problems.port(&format!("{place}.port"), json.get("port"));
        let target = match json.get("targetPort") {
            None | Some(Json::Null) => port,
            target => problems.port(&format!("{place}.targetPort"), target),
        };
        if let Some(target) = target {
            by_number.entry(target).or_insert(allotted);
        }
        let protocol = json.get("protocol").and_then(Json::as_str).unwrap_or("TCP");
        ports.insert(
            name.clone(),
            Port {
                allotted,
                is_tcp: protocol == "TCP",
            },
        );
    }
    // Ports that no service names are allotted all the same.
    for (name, allotted) in numbers {
        ports.entry(name).or_insert(Port {
            allotted,
            is_tcp: true,
        });
    }
    (ports, by_number)
}

fn container(
    name: &str,
    json: &Json,
    ports: &BTreeMap<u16, u16>,
    problems: &mut Problems,
) -> Option<Container> {
    let place = format!("containers.{name}");
    let map = problems.object(&place, Some(json))?;
    let mut argv = problems.texts(&format!("{place}.command"), map.get("command"));
    if argv.is_empty() {
        problems.add(
            &place,
            "has no `command`, and processes cannot run its image; say `command`, or choose a module that runs images",
        );
    }
    argv.extend(problems.texts(&format!("{place}.args"), map.get("args")));

    let mut variables = BTreeMap::new();
    let at = format!("{place}.variables");
    for (key, value) in problems.object(&at, map.get("variables")).into_iter().flatten() {
        let text = match value {
            Json::Number(number) => Some(number.to_string()),
            Json::Bool(flag) => Some(flag.to_string()),
            value => problems.text(&format!("{at}.{key}"), Some(value)),
        };
        if key.is_empty() || key.contains(['=', '\0']) {
            problems.add(&at, "has a name that cannot be a variable's");
        } else if text.as_ref().is_some_and(|text| text.contains('\0')) {
            problems.add(
                &format!("{at}.{key}"),
                "has a NUL character, which no variable can have",
            );
        }
        variables.insert(key.clone(), text.unwrap_or_default());
    }

    let mut files = BTreeMap::new();
    let at = format!("{place}.files");
    for (target, json) in problems.object(&at, map.get("files")).into_iter().flatten() {
        if let Some(file) = file(&format!("{at}.{target}"), json, problems) {
            files.insert(target.clone(), file);
        }
    }

    let mut volumes = BTreeMap::new();
    let at = format!("{place}.volumes");
    for (target, json) in problems.object(&at, map.get("volumes")).into_iter().flatten() {
        let at = format!("{at}.{target}");
        let source = problems.text(&format!("{at}.source"), json.get("source"));
        if json
            .get("path")
            .and_then(Json::as_str)
            .is_some_and(|path| !path.trim_matches('/').is_empty())
        {
            problems.add(
                &at,
                "has a `path`, and processes get whole volumes only; ask for a volume of its own",
            );
        }
        let read_only = json.get("readOnly").and_then(Json::as_bool).unwrap_or_default();
        match source {
            Some(source) => {
                volumes.insert(target.clone(), Volume { source, read_only });
            }
            None => problems.add(&at, "has no `source`"),
        }
    }

    let liveness = probe(
        &format!("{place}.livenessProbe"),
        map.get("livenessProbe"),
        ports,
        problems,
    );
    let readiness = probe(
        &format!("{place}.readinessProbe"),
        map.get("readinessProbe"),
        ports,
        problems,
    );
    Some(Container {
        argv,
        variables,
        files,
        volumes,
        liveness,
        readiness,
        after: BTreeMap::new(),
        must_complete: false,
    })
}

fn file(place: &str, json: &Json, problems: &mut Problems) -> Option<File> {
    let mode = match json.get("mode") {
        None | Some(Json::Null) => Some(0o644),
        Some(Json::String(text)) => u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777),
        Some(_) => None,
    };
    if mode.is_none() {
        problems.add(
            &format!("{place}.mode"),
            "must be a text of octal digits, such as \"0644\"",
        );
    }
    let text = problems.text(&format!("{place}.content"), json.get("content"));
    let binary = problems.text(&format!("{place}.binaryContent"), json.get("binaryContent"));
    let content = match (text, binary) {
        (Some(text), None) => Content::Text(text),
        (None, Some(encoded)) => {
            let Ok(bytes) = STANDARD.decode(encoded.as_bytes()) else {
                problems.add(&format!("{place}.binaryContent"), "is no standard base64");
                return None;
            };
            Content::Bytes(bytes)
        }
        (Some(_), Some(_)) => {
            problems.add(place, "has both `content` and `binaryContent`");
            return None;
        }
        (None, None) => {
            problems.add(
                place,
                "has no content; a `source` must have been uploaded by the client",
            );
            return None;
        }
    };
    Some(File { content, mode: mode? })
}

fn probe(
    place: &str,
    json: Option<&Json>,
    ports: &BTreeMap<u16, u16>,
    problems: &mut Problems,
) -> Option<Probe> {
    let map = problems.object(place, json)?;
    // Score: an exec probe is preferred where both are supported.
    if let Some(exec) = map.get("exec") {
        let argv = problems.texts(&format!("{place}.exec.command"), exec.get("command"));
        if argv.is_empty() {
            problems.add(&format!("{place}.exec"), "has no command");
            return None;
        }
        let words = format!("exec {}", argv[0]);
        return Some(Probe {
            action: ProbeAction::Exec { argv },
            words,
        });
    }
    let at = format!("{place}.httpGet");
    let Some(http) = problems.object(&at, map.get("httpGet")) else {
        problems.add(place, "needs `httpGet` or `exec`");
        return None;
    };
    let scheme = problems
        .text(&format!("{at}.scheme"), http.get("scheme"))
        .unwrap_or_else(|| "HTTP".to_owned());
    if !scheme.eq_ignore_ascii_case("http") {
        problems.add(
            &at,
            "asks by HTTPS, which the runner cannot; use HTTP or an `exec` probe",
        );
    }
    let path = problems
        .text(&format!("{at}.path"), http.get("path"))
        .unwrap_or_default();
    let path = if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    };
    let port = problems.port(&format!("{at}.port"), http.get("port"))?;
    let port = ports.get(&port).copied().unwrap_or(port);
    let mut headers = Vec::new();
    // It is always this machine that is asked: a document must not send the runner anywhere else.
    if let Some(host) = problems.text(&format!("{at}.host"), http.get("host")) {
        headers.push(("Host".to_owned(), host));
    }
    for header in http
        .get("httpHeaders")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        let name = header.get("name").and_then(Json::as_str);
        let value = header.get("value").and_then(Json::as_str);
        if let (Some(name), Some(value)) = (name, value) {
            headers.push((name.to_owned(), value.to_owned()));
        } else {
            problems.add(
                &format!("{at}.httpHeaders"),
                "must be a list of `name` and `value`",
            );
        }
    }
    let control = |text: &str| {
        text.chars()
            .any(|character| character.is_control() || character == ' ')
    };
    if control(&path)
        || headers
            .iter()
            .any(|(name, value)| control(name) || value.chars().any(char::is_control))
    {
        problems.add(
            &at,
            "has a path or header with characters that HTTP does not allow",
        );
    }
    let words = format!("GET http://{HOST}:{port}{path}");
    let action = ProbeAction::HttpGet {
        scheme: "HTTP".to_owned(),
        host: HOST.to_owned(),
        port,
        path,
        headers,
    };
    Some(Probe { action, words })
}

/// Turns `before` around: who starts first says it in the document, who waits must know it.
fn before(name: &str, json: &Json, containers: &mut BTreeMap<String, Container>, problems: &mut Problems) {
    let place = format!("containers.{name}.before");
    for (other, json) in problems.object(&place, json.get("before")).into_iter().flatten() {
        let at = format!("{place}.{other}");
        let condition = match json.get("ready").and_then(Json::as_str) {
            Some("started") => BeforeCondition::Started,
            Some("healthy") => BeforeCondition::Healthy,
            Some("complete") => BeforeCondition::Complete,
            _ => {
                problems.add(&format!("{at}.ready"), "must be started, healthy or complete");
                continue;
            }
        };
        if other == name {
            problems.add(&at, "names the container itself");
            continue;
        }
        if let Some(own) = containers.get_mut(name) {
            own.must_complete |= condition == BeforeCondition::Complete;
            if condition == BeforeCondition::Healthy && own.readiness.is_none() && own.liveness.is_none() {
                problems.add(
                    &at,
                    &format!("waits until {name} is healthy, and {name} has no probe that tells"),
                );
            }
        }
        match containers.get_mut(other) {
            Some(waiting) => {
                waiting.after.insert(name.to_owned(), condition);
            }
            None => problems.add(&at, "names a container that does not exist"),
        }
    }
}

/// Containers of a workload share one root.
fn same_files(containers: &BTreeMap<String, Container>, problems: &mut Problems) {
    let mut seen: BTreeMap<&str, (&str, &File)> = BTreeMap::new();
    for (name, container) in containers {
        for (target, file) in &container.files {
            let (first, known) = *seen.entry(target.trim_start_matches('/')).or_insert((name, file));
            if known != file {
                problems.add(
                    &format!("containers.{name}.files.{target}"),
                    &format!(
                        "differs from that of container {first}, and the two share one root; use another path"
                    ),
                );
            }
        }
    }
}
