//! An ordinary user's server: it works without root, and its steps and workloads do not reach its data.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::processes::{shims, signal};
use super::support::{PODIUM, repository};

/// Nobody, who is in no group that matters.
const NOBODY: u32 = 65_534;

/// A folder of an ordinary user with the binary in it. When root runs the tests, that user is nobody.
struct Home {
    folder: tempfile::TempDir,
    as_nobody: bool,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("podium-user-").tempdir().unwrap();
        let as_nobody = nix::unistd::Uid::effective().is_root();
        let home = Self { folder, as_nobody };
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::copy(PODIUM, home.path().join("podium")).unwrap();
        std::fs::create_dir(home.path().join("own")).unwrap();
        if as_nobody {
            chown(home.path().join("own"), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        home
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(self.path().join("podium"));
        command
            .args(line.split(' '))
            .current_dir(self.path().join("own"))
            .env_remove("PODIUM_MASTER_KEY")
            .env("HOME", self.path().join("own"))
            .env("PODIUM_KUBECONFIG", self.path().join("own/data/kubeconfig"))
            .stdin(Stdio::null());
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, line: &str) -> (i32, String) {
        let answer = self.command(line).output().unwrap();
        let said = [answer.stdout, answer.stderr].concat();
        (answer.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    fn serve(&self) -> Child {
        let mut server = self
            .command("serve --listen 127.0.0.1:0 --data data")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("serving on https://127.0.0.1:"), "{line:?}");
        server
    }
}

/// A thief in a script and one in a workload: both try to read and to write the server's data, and say how it went.
fn thieves(data: &Path) -> (String, String) {
    let attempts = format!(
        "for file in master.key admin-token kubeconfig podium.db blobs.db lock; do\n  \
         if head -c 1 {0}/$file > /dev/null 2>&1; then echo \"reads $file\"; fi\n\
         done\n\
         for folder in runner/steps runner/workloads runner/roots runner/volumes tls; do\n  \
         if ls {0}/$folder > /dev/null 2>&1; then echo \"lists $folder\"; fi\n\
         done\n\
         if ls {0} > /dev/null 2>&1; then echo lists; fi\n\
         if echo x > {0}/new 2> /dev/null; then echo writes; fi\n\
         if echo x >> {0}/podium.db 2> /dev/null; then echo changes; fi\n",
        data.display()
    );
    let indented = |spaces: usize| {
        let lines: Vec<String> = attempts
            .lines()
            .map(|line| format!("{:spaces$}{line}\n", ""))
            .collect();
        lines.concat()
    };
    let module = format!(
        "apiVersion: podium.dev/v1alpha1
kind: ResourceType
metadata: {{name: thief}}
spec: {{type: thief, params: {{type: object}}, outputs: {{type: object, properties: {{took: {{type: string}}}}}}}}
---
apiVersion: podium.dev/v1alpha1
kind: Module
metadata: {{name: thief}}
spec:
  type: thief
  driver: script
  owner: platform
  script:
    apply:
      - name: steal
        run: |
          {{
{}          }} > took
          printf 'took=%s\\n' \"$(tr '\\n' ';' < took)\" > \"$PODIUM_OUTPUT/outputs.env\"
---
apiVersion: podium.dev/v1alpha1
kind: ModuleRule
metadata: {{name: any-thief}}
spec: {{module: thief}}
",
        indented(10)
    );
    let score = format!(
        "apiVersion: score.dev/v1b1
metadata: {{name: thief}}
containers:
  main:
    image: thief
    command: [/bin/sh, -c]
    args:
      - |
        echo begins
{}        echo ends
        touch ready
        while :; do sleep 1; done
    variables: {{TOOK: \"${{resources.thief.took}}\"}}
    readinessProbe: {{exec: {{command: [test, -e, ready]}}}}
resources:
  thief: {{type: thief}}
",
        indented(8)
    );
    (module, score)
}

#[test]
fn an_ordinary_user_serves_and_nothing_that_runs_reads_the_data() {
    let home = Home::new();
    let mut server = home.serve();
    let data = home.path().join("own/data");
    let (module, score) = thieves(&data);
    std::fs::write(home.path().join("module.yaml"), module).unwrap();
    std::fs::write(home.path().join("score.yaml"), score).unwrap();
    let workload = std::fs::read(repository().join("examples/platform/10-workload.yaml")).unwrap();
    std::fs::write(home.path().join("workload.yaml"), workload).unwrap();
    let ok = |line: &str| {
        let (code, said) = home.run(line);
        assert_eq!(code, 0, "podium {line}: {said}");
        said
    };
    ok("apply -f ../workload.yaml -f ../module.yaml");
    ok("deploy ../score.yaml -p mine -e dev --create --yes");
    let outputs = ok("outputs -p mine -e dev -o json");
    let outputs: serde_json::Value = serde_json::from_str(&outputs).unwrap();
    assert!(
        outputs.to_string().contains("\"took\":\"\""),
        "the script took something: {outputs:#}"
    );
    let logs = ok("logs thief -p mine -e dev");
    let said: Vec<&str> = logs
        .lines()
        .filter_map(|line| line.split_once(" main out "))
        .map(|(_, said)| said)
        .collect();
    assert_eq!(said, ["begins", "ends"], "the workload took something");
    assert_eq!(shims(&data).len(), 1);
    ok("destroy -p mine -e dev --yes");
    assert_eq!(shims(&data), Vec::<u32>::new());
    signal(server.id(), nix::sys::signal::Signal::SIGTERM);
    assert!(server.wait().unwrap().success());
    // Nothing of it is elsewhere.
    assert!(!data.join("runner/open").exists());
}

#[test]
fn a_data_folder_that_cannot_be_written_is_told_by_name() {
    let home = Home::new();
    // Nobody but root writes there.
    for line in [
        "serve --listen 127.0.0.1:0 --data /usr",
        "serve --listen 127.0.0.1:0 --data /usr/podium-data",
        "up --demo --listen 127.0.0.1:0 --data /usr/podium-data",
    ] {
        let (code, said) = home.run(line);
        assert_eq!(code, 1, "podium {line}: {said}");
        assert!(
            said.starts_with("error: ") && said.contains("/usr"),
            "podium {line}: {said}"
        );
        assert!(said.contains("--data"), "no remedy: podium {line}: {said}");
        assert!(!said.contains("panicked"), "podium {line}: {said}");
    }
}
