//! A server of its own for each story: the real binary, a data folder that goes away afterwards, and the command line
//! as people use it.
//!
//! What a world started ends with it, also when a test fails: a shim stops its workload when its folder is gone.

// Each test binary uses a part of this, and what other processes do takes real time.
#![allow(dead_code, clippy::disallowed_methods)]

pub(crate) mod platform;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// The binary that all of this is about.
pub(crate) const PODIUM: &str = env!("CARGO_BIN_EXE_podium");

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A server with its data, and a folder in which commands run.
pub(crate) struct World {
    folder: tempfile::TempDir,
    server: Option<Child>,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Exit code.
    pub(crate) code: i32,
    /// Data.
    pub(crate) stdout: String,
    /// Talk.
    pub(crate) stderr: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The data as JSON.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

impl World {
    /// A server with nothing applied.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("podium-story-")
            .tempdir()
            .unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let mut world = Self { folder, server: None };
        world.serve();
        world
    }

    /// Starts the server, which must not be running.
    pub(crate) fn serve(&mut self) {
        self.serve_at("127.0.0.1:0");
    }

    /// Starts the server, which must not be running, at an address.
    pub(crate) fn serve_at(&mut self, listen: &str) {
        assert!(self.server.is_none(), "the server is running");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))
            .unwrap();
        let mut server = Command::new(PODIUM)
            .args(["serve", "--listen", listen, "--data"])
            .arg(self.data())
            .env_remove("PODIUM_MASTER_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        self.server = Some(server);
        assert!(
            line.starts_with("serving on https://127.0.0.1:"),
            "the server said {line:?}\n{}",
            self.log()
        );
    }

    /// SIGTERM, as a service manager would.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().expect("the server is running");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(server.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(server.wait().unwrap().success(), "{}", self.log());
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().expect("the server is running");
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Whether the server was started and neither stopped nor killed since.
    pub(crate) fn is_up(&self) -> bool {
        self.server.is_some()
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().expect("the server is running").id()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder in which commands run.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// What the server wrote to standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Where processes' roots and volumes are: beside the data when this user can confine processes there, elsewhere
    /// when the server is root and they are another user.
    pub(crate) fn open_folders(&self) -> [PathBuf; 2] {
        let runner = self.data().join("runner");
        let elsewhere = std::fs::read_link(runner.join("open")).unwrap_or_else(|_| runner.clone());
        [runner, elsewhere]
    }

    /// Every volume's folder.
    pub(crate) fn volumes(&self) -> Vec<PathBuf> {
        let children = |folder: &Path| {
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
        };
        let mut volumes: Vec<PathBuf> = self
            .open_folders()
            .iter()
            .flat_map(|folder| children(&folder.join("volumes")))
            .flat_map(|namespace| children(&namespace))
            .collect();
        volumes.sort();
        // Both folders are one when the data folder is open to processes.
        volumes.dedup();
        volumes
    }

    /// Shims of workloads, by the folders that the server keeps for them.
    pub(crate) fn workload_folders(&self) -> usize {
        std::fs::read_dir(self.data().join("runner/workloads")).map_or(0, Iterator::count)
    }

    /// Writes a file into the folder in which commands run.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Copies a folder of the repository into the one in which commands run.
    pub(crate) fn bring(&self, folder: &str, name: &str) {
        copy(&repository().join(folder), &self.work().join(name));
    }

    /// A command of podium, not yet run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PODIUM);
        command
            .args(arguments)
            .current_dir(self.work())
            .env("PODIUM_KUBECONFIG", self.data().join("kubeconfig"))
            .env("COLUMNS", "120")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of podium to its end. `line` is split at spaces.
    pub(crate) fn run(&self, line: &str) -> Answer {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        Answer::of(self.command(&arguments).output().unwrap())
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, line: &str) -> Answer {
        let answer = self.run(line);
        assert_eq!(answer.code, 0, "podium {line}: {answer:#?}\n{}", self.log());
        answer
    }

    /// Runs a command that must fail.
    pub(crate) fn fails(&self, line: &str) -> Answer {
        let answer = self.run(line);
        assert_eq!(answer.code, 1, "podium {line}: {answer:#?}\n{}", self.log());
        assert!(!answer.stderr.contains("panicked"), "{answer:#?}");
        answer
    }

    /// Runs a command that must be refused before anything is written; answers what it said.
    pub(crate) fn refuses(&self, line: &str) -> String {
        let before = self.settled();
        let answer = self.fails(line);
        assert_eq!(
            self.revision(),
            before,
            "podium {line} wrote something: {answer:#?}"
        );
        assert_eq!(answer.stdout, "", "podium {line}");
        answer.stderr
    }

    /// Applies a document.
    pub(crate) fn apply(&self, text: &str) -> Answer {
        self.write("applied.yaml", text);
        self.ok("apply -f applied.yaml")
    }

    /// The answer of a command that must succeed, as JSON.
    pub(crate) fn json(&self, line: &str) -> Json {
        self.ok(&format!("{line} -o json")).json()
    }

    /// Objects of a kind in a namespace.
    pub(crate) fn objects(&self, kind: &str, namespace: &str) -> Vec<Json> {
        let list = self.json(&format!("get {kind} -n {namespace}"));
        list["items"].as_array().unwrap().clone()
    }

    /// The store's revision, as a list tells it.
    pub(crate) fn revision(&self) -> String {
        let api = Api::of(self);
        let (code, text) = api.send("GET", "/apis/podium.dev/v1alpha1/runs", Some(&api.token), None);
        assert_eq!(code, 200, "{text}");
        let list: Json = serde_json::from_str(&text).unwrap();
        list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
    }

    /// The store's revision once the server has written all that it has to tell of what happened before.
    pub(crate) fn settled(&self) -> String {
        let mut last = (self.revision(), Instant::now());
        self.until("quiet", || {
            let revision = self.revision();
            if revision != last.0 {
                last = (revision, Instant::now());
            }
            (last.1.elapsed() > Duration::from_millis(300)).then(|| last.0.clone())
        })
    }

    /// Waits until something holds.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "{what} did not come to pass\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs kubectl to its end; none when the tests were not given one.
    pub(crate) fn kubectl(&self, line: &str) -> Option<Answer> {
        let program = std::env::var_os("PODIUM_TEST_KUBECTL")?;
        let output = Command::new(program)
            .arg("--kubeconfig")
            .arg(self.data().join("kubeconfig"))
            .arg("--cache-dir")
            .arg(self.folder.path().join("kubectl-cache"))
            .args(line.split_whitespace())
            .current_dir(self.work())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let answer = Answer::of(output);
        assert_eq!(answer.code, 0, "kubectl {line}: {answer:#?}\n{}", self.log());
        Some(answer)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // For whoever reads the failure.
            eprintln!("the server's log:\n{}", self.log());
        }
        if let Some(mut server) = self.server.take() {
            let _ended = server.kill().and_then(|()| server.wait());
        }
        // The shims end by themselves when their folders are gone.
        let [_, elsewhere] = self.open_folders();
        let _gone = std::fs::remove_dir_all(self.data());
        let _gone = std::fs::remove_dir_all(elsewhere);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The server's API, spoken to directly.
pub(crate) struct Api {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    server: String,
    /// The administrator's token.
    pub(crate) token: String,
}

impl Api {
    /// A client that trusts the authority of the world's kubeconfig.
    pub(crate) fn of(world: &World) -> Self {
        use base64::Engine as _;
        // Another test of this process may have been first.
        let _first = rustls::crypto::ring::default_provider().install_default();
        let text = std::fs::read_to_string(world.data().join("kubeconfig")).unwrap();
        let kubeconfig: Json = serde_saphyr::from_str(&text).unwrap();
        let field = |pointer: &str| {
            kubeconfig
                .pointer(pointer)
                .and_then(Json::as_str)
                .unwrap()
                .to_owned()
        };
        let authority = base64::engine::general_purpose::STANDARD
            .decode(field("/clusters/0/cluster/certificate-authority-data"))
            .unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&authority).unwrap())
            .build()
            .unwrap();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            client,
            server: field("/clusters/0/cluster/server"),
            token: field("/users/0/user/token"),
        }
    }

    /// Sends a request; answers its code and text.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> (u16, String) {
        let mut request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.server))
            .timeout(PATIENCE);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            let kind = if method == "PATCH" {
                "application/merge-patch+json"
            } else {
                "application/json"
            };
            request = request.header("content-type", kind).body(body);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }
}

impl Api {
    /// Sends a body of the administrator that the server may hang up on; answers the code when there was an answer.
    pub(crate) fn try_send(&self, method: &str, path: &str, body: Vec<u8>) -> Option<u16> {
        let request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.server))
            .timeout(PATIENCE)
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body);
        self.runtime.block_on(async {
            match request.send().await {
                Ok(answer) => Some(answer.status().as_u16()),
                Err(error) => {
                    assert!(!error.is_timeout(), "{error}");
                    None
                }
            }
        })
    }
}

/// How long something takes.
pub(crate) fn took(act: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    act();
    begin.elapsed()
}

/// What a workload answers to a GET.
pub(crate) fn http_get(url: &str, path: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What a text of the command line says without what differs each time: digests of plans, durations, ports, and the
/// places of this test.
pub(crate) fn steady(world: &World, text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let line = line.replace(&world.data().display().to_string(), "DATA");
        steady.push_str(&steady_line(&line));
        steady.push('\n');
    }
    steady
}

fn steady_line(line: &str) -> String {
    let mut words = Vec::new();
    let mut after_plan = false;
    for word in line.split(' ') {
        let bare = word.trim_end_matches([',', ')', ':', ';']);
        let rest = &word[bare.len()..];
        let number = bare
            .strip_suffix("ms")
            .or_else(|| bare.strip_suffix('s'))
            .unwrap_or("x");
        let told = if after_plan && bare.len() == 12 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            "DIGEST".to_owned()
        } else if number.parse::<f64>().is_ok() {
            "TIME".to_owned()
        } else if let Some(port) = bare
            .strip_prefix("http://127.0.0.1:")
            .filter(|port| port.parse::<u16>().is_ok())
        {
            bare.replace(port, "PORT")
        } else {
            bare.to_owned()
        };
        after_plan = bare == "plan";
        words.push(told + rest);
    }
    words.join(" ")
}
