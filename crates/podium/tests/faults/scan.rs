//! Looks for secrets wherever they must not be: in clear, as base64 and URL-encoded.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value as Json;

use super::processes;
use super::support::{Api, World};

/// Larger files of others in temporary folders are not read.
const LARGEST: u64 = 32 << 20;
/// How deep temporary folders are searched.
const DEEPEST: usize = 6;

/// The forms in which to look for secrets.
#[derive(Default)]
pub struct Needles {
    forms: Vec<(String, Vec<u8>)>,
}

impl Needles {
    /// Also looks for this secret.
    pub fn add(&mut self, name: &str, secret: &str) {
        assert!(
            secret.len() >= 12,
            "{name} is too short to be looked for: {secret:?}"
        );
        let mut add = |form: &str, bytes: Vec<u8>| self.forms.push((format!("{name} ({form})"), bytes));
        add("in clear", secret.as_bytes().to_vec());
        add("URL-encoded", percent(secret, false, "%20").into_bytes());
        add(
            "URL-encoded in small letters",
            percent(secret, true, "%20").into_bytes(),
        );
        add("form-encoded", percent(secret, false, "+").into_bytes());
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            for offset in 0..3_usize {
                // Only those digits that what stands beside the secret cannot change.
                let text = engine.encode([vec![0; offset], secret.as_bytes().to_vec()].concat());
                let from = (offset * 8).div_ceil(6);
                let to = (offset + secret.len()) * 8 / 6;
                add("base64", text.as_bytes()[from..to].to_vec());
            }
        }
        self.forms.sort_by(|one, other| one.1.cmp(&other.1));
        self.forms.dedup_by(|one, other| one.1 == other.1);
    }

    /// The forms that these bytes hold.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let pair = |bytes: &[u8]| (usize::from(bytes[0]) << 8) | usize::from(bytes[1]);
        let mut begins = vec![false; 1 << 16];
        for (_, form) in &self.forms {
            begins[pair(form)] = true;
        }
        let mut found = BTreeSet::new();
        for (at, two) in bytes.windows(2).enumerate() {
            if begins[pair(two)] {
                let here = self
                    .forms
                    .iter()
                    .filter(|(_, form)| bytes[at..].starts_with(form));
                found.extend(here.map(|(name, _)| name.as_str()));
            }
        }
        found.into_iter().collect()
    }
}

fn percent(text: &str, small: bool, space: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        b' ' => space.to_owned(),
        _ if small => format!("%{byte:02x}"),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// What was seen of processes while a story went on.
#[derive(Default)]
struct Seen {
    /// Arguments of all processes.
    arguments: BTreeSet<Vec<u8>>,
    /// Environments of servers, shims and those that are about to become another program.
    environments: BTreeSet<Vec<u8>>,
}

/// Watches processes, and searches everything else when told to.
pub struct Search {
    pub needles: Needles,
    began: SystemTime,
    seen: Arc<Mutex<Seen>>,
    ends: Arc<AtomicBool>,
    /// Files of the data folder as they once were, to be searched for secrets that nobody knew then.
    kept: Vec<(PathBuf, Vec<u8>)>,
    /// What commands said.
    said: Vec<(String, String)>,
}

impl Search {
    /// Begins to watch.
    pub fn begin() -> Self {
        let (seen, ends) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (sees, end) = (Arc::clone(&seen), Arc::clone(&ends));
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                look(&sees);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let began = SystemTime::now() - Duration::from_secs(1);
        Self {
            needles: Needles::default(),
            began,
            seen,
            ends,
            kept: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Runs a command of podium, and keeps what it says. Answers its code.
    pub fn run(&mut self, world: &World, line: &str) -> i32 {
        let answer = world.run(line);
        self.said.push((
            format!("podium {line}"),
            format!("{}\n{}", answer.stdout, answer.stderr),
        ));
        answer.code
    }

    /// Keeps all files of the data folder as they are now. The private roots of steps at work are left out.
    pub fn keep(&mut self, world: &World, steps_at_work: bool) {
        let [_, open] = world.open_folders();
        let mut files = Vec::new();
        walk(&world.data(), usize::MAX, &mut files);
        walk(&open, usize::MAX, &mut files);
        for file in files {
            let inside = file
                .strip_prefix(open.join("roots"))
                .map(|inside| inside.display().to_string());
            let excepted = inside
                .is_ok_and(|inside| inside.starts_with("w-") || (steps_at_work && inside.starts_with("s-")));
            if !excepted {
                let bytes = contents(&file);
                self.kept.push((file, bytes));
            }
        }
    }

    /// Looks for secrets everywhere but in the workloads' own roots. Answers where some were found in those, by paths
    /// within a root: whoever asks knows what was declared.
    pub fn everywhere(&mut self, world: &World, namespace: &str, when: &str) -> BTreeSet<String> {
        let mut leaks = Vec::new();
        let mut leak = |place: String, bytes: &[u8]| {
            for form in self.needles.found_in(bytes) {
                leaks.push(format!("{form} in {place}"));
            }
        };
        for (place, text) in &self.said {
            leak(place.clone(), text.as_bytes());
        }
        for (file, bytes) in &self.kept {
            leak(format!("{}, as it was once", file.display()), bytes);
        }
        leak("the server's log".to_owned(), world.log().as_bytes());
        if world.is_up() {
            for (place, text) in answers(world, namespace) {
                leak(place, text.as_bytes());
            }
        }
        look(&self.seen);
        {
            let seen = self.seen.lock().unwrap();
            for arguments in &seen.arguments {
                leak(
                    format!("the arguments {}", String::from_utf8_lossy(arguments)),
                    arguments,
                );
            }
            for environment in &seen.environments {
                leak("the environment of a process of podium".to_owned(), environment);
            }
        }
        let [closed, open] = world.open_folders();
        let roots = open.join("roots");
        let mut files = Vec::new();
        walk(&world.data(), usize::MAX, &mut files);
        walk(&open, usize::MAX, &mut files);
        assert!(files.iter().any(|file| file.ends_with("podium.db")), "{files:?}");
        assert!(closed.is_dir());
        let mut declared = BTreeSet::new();
        for file in files {
            let bytes = contents(&file);
            let inside = file
                .strip_prefix(&roots)
                .ok()
                .filter(|inside| inside.to_string_lossy().starts_with("w-"));
            match inside {
                Some(inside) if !self.needles.found_in(&bytes).is_empty() => {
                    declared.insert(inside.iter().skip(1).collect::<PathBuf>().display().to_string());
                }
                _ => leak(file.display().to_string(), &bytes),
            }
        }
        for folder in ["/tmp", "/var/tmp", "/dev/shm"] {
            let mut files = Vec::new();
            walk(Path::new(folder), DEEPEST, &mut files);
            for file in files {
                let recent = file.symlink_metadata().is_ok_and(|metadata| {
                    metadata.len() <= LARGEST && metadata.modified().is_ok_and(|time| time >= self.began)
                });
                if recent && !file.starts_with(world.data()) {
                    leak(file.display().to_string(), &contents(&file));
                }
            }
        }
        assert!(
            leaks.is_empty(),
            "{when}: {} leaks\n{}",
            leaks.len(),
            leaks.join("\n")
        );
        declared
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn look(seen: &Mutex<Seen>) {
    for pid in processes::all() {
        let Ok(arguments) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
            continue;
        };
        let of_podium = processes::arguments(pid)
            .get(1)
            .is_some_and(|word| ["serve", "shim", "confine"].contains(&word.as_str()));
        let environment = of_podium
            .then(|| std::fs::read(format!("/proc/{pid}/environ")).ok())
            .flatten();
        let mut seen = seen.lock().unwrap();
        seen.arguments.insert(arguments);
        seen.environments.extend(environment);
    }
}

fn contents(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // One that is gone meanwhile holds nothing.
    if let Ok(mut file) = std::fs::File::open(file) {
        let _gone = file.read_to_end(&mut bytes);
    }
    bytes
}

/// The files beneath a folder. Links are not followed.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

/// Every answer of the API that is no declared way out for a secret, and what the command line makes of them.
fn answers(world: &World, namespace: &str) -> Vec<(String, String)> {
    let api = Api::of(world);
    let get = |path: &str| {
        let (code, text) = api.send("GET", path, Some(&api.token), None);
        assert_eq!(code, 200, "{path}: {text}");
        (path.to_owned(), text)
    };
    let mut all = Vec::new();
    let root = "/apis/podium.dev/v1alpha1";
    let discovery: Json = serde_json::from_str(&get(root).1).unwrap();
    let kinds: Vec<(String, bool)> = discovery["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|kind| !kind["name"].as_str().unwrap().contains('/'))
        .map(|kind| {
            (
                kind["name"].as_str().unwrap().to_owned(),
                kind["namespaced"].as_bool().unwrap(),
            )
        })
        .collect();
    assert!(kinds.len() >= 12, "{kinds:?}");
    let names = |list: &str| -> Vec<String> {
        let list: Json = serde_json::from_str(list).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    // Watches take their time, so all do at once.
    std::thread::scope(|scope| {
        let watch = |plural: &str| {
            let path = format!("{root}/{plural}?watch=true&resourceVersion=0&timeoutSeconds=1");
            let api = Api::of(world);
            let (code, text) = api.send("GET", &path, Some(&api.token), None);
            assert_eq!(code, 200, "{path}: {text}");
            (path, text)
        };
        let watches: Vec<_> = kinds
            .iter()
            .map(|(plural, _)| scope.spawn(move || watch(plural)))
            .collect();
        all.extend(watches.into_iter().map(|watch| watch.join().unwrap()));
    });
    for (plural, namespaced) in kinds {
        let list = get(&format!("{root}/{plural}"));
        let place = if namespaced {
            format!("{root}/namespaces/{namespace}/{plural}")
        } else {
            format!("{root}/{plural}")
        };
        for name in names(&get(&place).1) {
            all.push(get(&format!("{place}/{name}")));
            let verbs: &[&str] = match plural.as_str() {
                "environments" => &["overview", "history", "explain", "graph", "outputs", "diff"],
                "runs" => &["steps"],
                "plans" => &["content"],
                "resources" | "workloads" => &["logs"],
                _ => &[],
            };
            let released = plural != "environments" || name == namespace;
            for verb in verbs.iter().filter(|_| released) {
                all.push(get(&format!("{place}/{name}/{verb}")));
            }
        }
        all.push(list);
        let line = format!("get {plural} -n {namespace} -o yaml");
        all.push((format!("podium {line}"), said(world, &line)));
    }
    for line in [
        "status",
        "status -o json",
        "explain",
        "graph",
        "graph -o json",
        "diff",
        "releases",
        "outputs",
        "outputs -o json",
    ] {
        let line = format!("{line} -n {namespace}");
        all.push((format!("podium {line}"), said(world, &line)));
    }
    all
}

fn said(world: &World, line: &str) -> String {
    let answer = world.ok(line);
    format!("{}\n{}", answer.stdout, answer.stderr)
}

#[test]
fn every_form_of_a_secret_is_found_and_nothing_else() {
    let mut needles = Needles::default();
    let secret = "p/l+a n&t=0123456789";
    needles.add("it", secret);
    for before in ["", "x", "xy", "user:"] {
        let text = format!("{before}{secret}@host");
        let forms = [
            text.clone(),
            STANDARD_NO_PAD.encode(&text),
            URL_SAFE_NO_PAD.encode(&text),
            percent(&text, false, "%20"),
            percent(&text, true, "%20"),
            percent(&text, false, "+"),
        ];
        for form in forms {
            assert!(
                !needles.found_in(form.as_bytes()).is_empty(),
                "{form} was not seen"
            );
        }
    }
    for other in ["p/l+a n&t=012345678", "P/L+A N&T=0123456789", ""] {
        assert_eq!(needles.found_in(other.as_bytes()), Vec::<&str>::new());
    }
}
