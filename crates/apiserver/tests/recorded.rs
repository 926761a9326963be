//! Replays what a real kube-apiserver answered, pair by pair, and says which pairs wait for a later issue.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use podium_store::{Key, ResourceKey, Revision};
use regex::Regex;
use serde_json::{Value, json};
use support::{ADMIN, World, read};

/// How a pair is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// Status, headers and body, with what differs from run to run made equal.
    Whole,
    /// Status, headers and the reason; the message is our own, or names other media types.
    Reason,
    /// Status, headers and the body's kind; the body lists what the recorded server had besides.
    Kind,
    /// Sent, not compared: it prepares what follows and our way to do it differs.
    Prepare,
    /// Not sent: waits for what is named.
    Waits(&'static str),
}

const SSA: Mode = Mode::Waits("server-side apply");
const CRD: Mode = Mode::Waits("custom resource definitions");
const SCALE: Mode = Mode::Waits("the subresource scale");

/// Every recorded pair.
const PAIRS: &[(u32, Mode)] = &[
    (1, Mode::Kind),
    (2, Mode::Whole),
    (3, Mode::Whole),
    (4, Mode::Whole),
    (5, Mode::Whole),
    (6, Mode::Prepare), // a Namespace is made by its Environment
    (7, CRD),
    (8, CRD),
    (9, Mode::Kind),
    (10, Mode::Whole),
    (11, Mode::Kind), // status is read-only here, and there is no scale
    (12, Mode::Kind),
    (13, Mode::Kind),
    (14, Mode::Kind),
    (15, Mode::Kind),
    (
        16,
        Mode::Waits(
            "the exact words of the OpenAPI document; tests/openapi.rs checks what clients need of it",
        ),
    ),
    (17, Mode::Whole),
    (18, Mode::Whole),
    (19, Mode::Whole),
    (20, Mode::Whole),
    (21, Mode::Whole),
    (22, Mode::Whole),
    (23, Mode::Whole), // without the cause that CEL gives
    (24, Mode::Whole), // likewise
    (25, Mode::Whole), // likewise
    (26, Mode::Whole),
    (27, Mode::Whole), // likewise
    (28, Mode::Whole),
    (29, Mode::Whole),
    (30, Mode::Whole),
    (31, Mode::Reason), // the words of Go's JSON parser
    (32, Mode::Whole),
    (33, Mode::Reason), // no protobuf
    (34, Mode::Whole),
    (35, Mode::Whole),
    (36, Mode::Whole),
    (37, Mode::Whole),
    (38, Mode::Reason), // no YAML, no protobuf
    (39, Mode::Whole),
    (40, Mode::Whole),
    (41, Mode::Whole),
    (42, Mode::Whole),
    (43, Mode::Reason), // the words of Go's JSON parser
    (44, Mode::Whole),
    (45, Mode::Whole),
    (46, Mode::Whole),
    (47, Mode::Waits("selectable fields")),
    (48, Mode::Whole),
    (49, Mode::Whole),
    (50, Mode::Whole),
    (51, Mode::Whole),
    (52, Mode::Whole),
    (53, Mode::Whole),
    (54, Mode::Whole),
    (55, Mode::Whole),
    (56, Mode::Whole),
    (57, Mode::Waits("CEL rules")),
    (58, Mode::Whole),
    (59, Mode::Prepare), // clients do not write status: the test writes it into the store
    (60, Mode::Whole),
    (61, Mode::Whole),
    (62, Mode::Whole),
    (63, Mode::Reason), // no apply patch among what is taken
    (64, Mode::Whole),
    (65, SSA),
    (66, SSA),
    (67, SSA),
    (68, SSA),
    (69, SSA),
    (70, SSA),
    (71, SSA),
    (72, SSA),
    (73, SSA),
    (74, SCALE),
    (75, SCALE),
    (76, Mode::Whole),
    (77, Mode::Whole),
    (78, Mode::Whole),
    (79, Mode::Whole),
    (80, Mode::Whole),
    (81, Mode::Whole),
    (82, Mode::Whole),
    (83, Mode::Whole),
    (84, Mode::Whole),
    (85, Mode::Whole),
    (86, Mode::Whole),
    (87, Mode::Whole),
    (88, Mode::Whole),
    (89, Mode::Whole),
    (90, Mode::Whole),
    (91, Mode::Whole),
    (
        92,
        Mode::Waits("a POST to an object: here it is 405 before the body is read"),
    ),
    (93, Mode::Whole),
    (94, CRD),
];

fn pairs() -> BTreeMap<u32, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded");
    let files = std::fs::read_dir(folder).expect("the recorded pairs");
    files
        .map(|file| {
            let path = file.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a pair");
            (
                name[..2].parse().expect("a number"),
                serde_json::from_str(&text).expect("JSON"),
            )
        })
        .collect()
}

#[test]
fn every_pair_is_in_the_table() {
    let known: Vec<u32> = PAIRS.iter().map(|(number, _)| *number).collect();
    assert_eq!(known, pairs().into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn answers_as_recorded() {
    let world = World::new().await;
    let mut replay = Replay {
        world,
        same: BTreeMap::new(),
        failures: Vec::new(),
    };
    let recorded = pairs();
    for (number, mode) in PAIRS {
        match mode {
            Mode::Prepare if *number == 59 => replay.write_status().await,
            Mode::Waits(_) | Mode::Prepare => {}
            _ => replay.pair(*number, *mode, &recorded[number]).await,
        }
    }
    assert!(replay.failures.is_empty(), "{}", replay.failures.join("\n\n"));
}

struct Replay {
    world: World,
    /// Recorded resource versions, uids and generated names, and what they are here.
    same: BTreeMap<String, String>,
    failures: Vec<String>,
}

impl Replay {
    async fn write_status(&self) {
        let key = Key::namespaced(ResourceKey::new("demo.dev", "apps"), "rec", "one");
        let stored = self
            .world
            .store
            .get(&key)
            .await
            .expect("read")
            .expect("the object");
        let mut value = (*stored.value).clone();
        value["status"] = json!({"replicas": 1, "conditions": [{"type": "Ready", "status": "True"}]});
        self.world.put(key, value).await;
    }

    fn here(&self, text: &str) -> String {
        self.same
            .iter()
            .fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    fn path(&self, path: &str) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<String> = query
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| match part.split_once('=') {
                Some(("resourceVersion", version)) => {
                    let here = self
                        .same
                        .get(&format!("\"{version}\""))
                        .map(|quoted| quoted.trim_matches('"').to_owned());
                    format!("resourceVersion={}", here.unwrap_or(version.to_owned()))
                }
                Some(("continue", token)) => {
                    format!("continue={}", self.same.get(token).map_or(token, String::as_str))
                }
                Some(("timeoutSeconds", _)) => "timeoutSeconds=1".to_owned(),
                _ => part.to_owned(),
            })
            .collect();
        format!("{path}?{}", parts.join("&"))
    }

    async fn pair(&mut self, number: u32, mode: Mode, pair: &Value) {
        let request = &pair["request"];
        let path = self.path(request["path"].as_str().expect("a path"));
        if number == 80 {
            // What the recorded server had compacted long ago.
            let now = self.world.store.revision().await.expect("revision");
            self.world
                .store
                .compact(Revision(now.0 - 1))
                .await
                .expect("compact");
        }
        let mut headers: Vec<(&str, &str)> = request["headers"]
            .as_object()
            .expect("headers")
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str().expect("text")))
            .collect();
        if request["authenticated"] == true {
            headers.push(("Authorization", ADMIN));
        }
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => self.here(&other.to_string()),
        };
        let response = self
            .world
            .send(
                request["method"].as_str().expect("a method"),
                &path,
                &headers,
                &body,
            )
            .await;
        let status = response.status().as_u16();
        let mut found_headers = BTreeMap::new();
        for name in [
            "Cache-Control",
            "Content-Type",
            "Retry-After",
            "Warning",
            "Vary",
            "Etag",
        ] {
            if let Some(value) = response.headers().get(name) {
                let value = if name == "Etag" {
                    "tag"
                } else {
                    value.to_str().expect("text")
                };
                found_headers.insert(name.to_owned(), value.to_owned());
            }
        }
        let lines = pair["response"]["body"].is_array();
        let found = if lines {
            Value::Array(support::events(response).await)
        } else {
            read(response).await
        };
        let recorded = &pair["response"];
        self.learn(&recorded["body"], &found);
        let mut differences = Vec::new();
        if recorded["status"] != json!(status) {
            differences.push(format!("status {} is {status}", recorded["status"]));
        }
        let wanted_headers: BTreeMap<String, String> = recorded["headers"]
            .as_object()
            .expect("headers")
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    if name == "Etag" {
                        "tag".to_owned()
                    } else {
                        value.as_str().unwrap_or_default().to_owned()
                    },
                )
            })
            .collect();
        if wanted_headers != found_headers {
            differences.push(format!("headers {wanted_headers:?} are {found_headers:?}"));
        }
        let (wanted, seen) = match mode {
            Mode::Reason => (recorded["body"]["reason"].clone(), found["reason"].clone()),
            Mode::Kind => (recorded["body"]["kind"].clone(), found["kind"].clone()),
            _ => (normalised(&recorded["body"]), normalised(&found)),
        };
        if wanted != seen {
            differences.push(format!("body\n{wanted}\nis\n{seen}"));
        }
        if !differences.is_empty() {
            self.failures
                .push(format!("pair {number} {path}: {}", differences.join("; ")));
        }
    }

    /// Remembers which recorded values are which ones here.
    fn learn(&mut self, recorded: &Value, found: &Value) {
        match (recorded, found) {
            (Value::Object(recorded), Value::Object(found)) => {
                for (name, there) in recorded {
                    let Some(here) = found.get(name) else { continue };
                    match (name.as_str(), there, here) {
                        ("resourceVersion", Value::String(_), Value::String(_)) => {
                            self.same.insert(there.to_string(), here.to_string());
                        }
                        ("uid" | "continue", Value::String(there), Value::String(here))
                            if !there.is_empty() =>
                        {
                            self.same.insert(there.clone(), here.clone());
                        }
                        _ => self.learn(there, here),
                    }
                }
            }
            (Value::Array(recorded), Value::Array(found)) => {
                for (there, here) in recorded.iter().zip(found) {
                    self.learn(there, here);
                }
            }
            _ => {}
        }
    }
}

fn normalised(value: &Value) -> Value {
    let mut value = value.clone();
    normalise(&mut value);
    value
}

/// Makes equal what differs from run to run, and takes out what waits for a later issue.
fn normalise(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| {
                let name = item["metadata"]["name"]
                    .as_str()
                    .or(item["object"]["metadata"]["name"].as_str());
                // What server-side apply made; and bookmarks of the recorded server's timing, but for the one that ends
                // the beginning.
                let bookmark =
                    item["type"] == "BOOKMARK" && item["object"]["metadata"].get("annotations").is_none();
                name != Some("ssa") && !bookmark
            });
            items.iter_mut().for_each(normalise);
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match (name.as_str(), &field) {
                    ("resourceVersion", Value::String(_)) => *field = json!("VERSION"),
                    ("uid", Value::String(_)) => *field = json!("UID"),
                    ("creationTimestamp" | "deletionTimestamp", Value::String(_)) => *field = json!("TIME"),
                    ("continue", Value::String(token)) if !token.is_empty() => *field = json!("TOKEN"),
                    ("message" | "name", Value::String(text)) => *field = json!(steady(text)),
                    ("cells", Value::Array(cells)) => {
                        let mut cells = cells.clone();
                        *cells.last_mut().expect("an age") = json!("AGE");
                        cells[0] = json!(steady(cells[0].as_str().expect("a name")));
                        *field = Value::Array(cells);
                    }
                    _ => normalise(field),
                }
            }
            // Who set which field comes with server-side apply; the store does not count what remains; the recorded
            // user had a uid.
            for waits in ["managedFields", "remainingItemCount"] {
                fields.remove(waits);
            }
            if fields.contains_key("username") {
                fields.remove("uid");
            }
            if fields.get("reason") == Some(&json!("Invalid")) {
                without_cel(fields);
            }
        }
        _ => {}
    }
}

/// Takes the causes that CEL rules gave out of a status, and out of its message.
fn without_cel(fields: &mut serde_json::Map<String, Value>) {
    let Some(causes) = fields
        .get_mut("details")
        .and_then(|details| details.get_mut("causes"))
        .and_then(Value::as_array_mut)
    else {
        return;
    };
    causes
        .retain(|cause| cause["field"] != "<nil>" && cause["message"] != "Invalid value: root owns nothing");
    causes.dedup();
    let told: Vec<String> = causes
        .iter()
        .map(|cause| {
            format!(
                "{}: {}",
                cause["field"].as_str().unwrap_or_default(),
                cause["message"].as_str().unwrap_or_default()
            )
        })
        .collect();
    let told = if told.len() == 1 {
        told[0].clone()
    } else {
        format!("[{}]", told.join(", "))
    };
    let message = fields["message"].as_str().expect("a message").to_owned();
    let lead = message.split(" is invalid: ").next().unwrap_or_default();
    fields.insert("message".to_owned(), json!(format!("{lead} is invalid: {told}")));
}

fn steady(text: &str) -> String {
    let rules = [
        (r"gen-[a-z0-9]{5}", "gen-NAME"),
        (r"current: \d+", "current: VERSION"),
        (r"version: (\d+) \(\d+\)", "version: $1 (VERSION)"),
        (r"UID in record \([^)]*\)", "UID in record (UID)"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, by)| {
        Regex::new(pattern)
            .expect("a pattern")
            .replace_all(&text, *by)
            .into_owned()
    })
}
