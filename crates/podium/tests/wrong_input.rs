//! Wrong input is refused as a whole, with place and remedy, and leaves nothing behind. What fails while it is carried
//! out names the step, what it printed and whom to ask; what was made stays, and the next deploy goes on from there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod support;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value as Json, json};
use support::platform::{indented, module, resource_type, sleeper};
use support::{Api, World, steady, took};

const DEV: &str = "-p demo -e dev";

/// Deploys what must be refused, and makes sure that it left nothing; answers what was said.
fn refused(world: &World) -> String {
    let planned = world.refuses(&format!("plan score.yaml {DEV}"));
    let said = world.refuses(&format!("deploy score.yaml {DEV} --yes"));
    assert_eq!(planned, said, "plan and deploy say the same");
    for kind in ["workloads", "resources", "releases", "plans", "runs"] {
        assert!(world.objects(kind, "demo-dev").is_empty(), "{kind}");
    }
    // Nor does an environment come to be for it.
    let made = world.refuses_to_make("deploy score.yaml -p fresh -e dev --create --yes");
    assert!(!made.is_empty());
    steady(world, &said)
}

impl World {
    /// As [`World::refuses`], for a command that may make project and environment and must take them back.
    fn refuses_to_make(&self, line: &str) -> String {
        let said = self.fails(line).stderr;
        for kind in ["projects", "environments"] {
            self.until("what was made for it is taken back", || {
                let all = self.json(&format!("get {kind}"));
                let mut names = all["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["metadata"]["name"].as_str().unwrap());
                names.all(|name| !name.starts_with("fresh")).then_some(())
            });
        }
        said
    }
}

#[test]
fn documents_that_cannot_be_are_refused_with_their_lines() {
    let world = World::with_quickstart();
    for (name, score) in [
        ("unknown_type", sleeper("app", "", "queue:\n  type: kafka-topic")),
        ("misspelt_type", sleeper("app", "", "db:\n  type: sqlight")),
        (
            "missing_placeholder",
            sleeper("app", "DSN: ${resources.database.file}", "db:\n  type: sqlite"),
        ),
        (
            "missing_output",
            sleeper("app", "DSN: ${resources.db.hostname}", "db:\n  type: sqlite"),
        ),
        (
            "wrong_param_type",
            sleeper("app", "", "db:\n  type: sqlite\n  params:\n    megabytes: many"),
        ),
        (
            "param_out_of_range",
            sleeper("app", "", "db:\n  type: sqlite\n  params: {megabytes: 100000}"),
        ),
        (
            "unknown_param",
            sleeper("app", "", "db:\n  type: sqlite\n  params: {megabites: 16}"),
        ),
        (
            "no_such_class",
            sleeper("app", "", "db:\n  type: sqlite\n  class: huge"),
        ),
        (
            "cycle_in_document",
            sleeper(
                "app",
                "",
                "aa:\n  type: secret\n  params: {bytes: '${resources.bb.megabytes}'}\nbb:\n  type: sqlite\n  params: {megabytes: '${resources.aa.value}'}",
            ),
        ),
        (
            "several_at_once",
            sleeper(
                "app",
                "A: ${resources.nobody.x}\nB: ${resources.db.hostname}",
                "db:\n  type: sqlite\nqueue:\n  type: kafka-topic",
            ),
        ),
        (
            "not_yaml",
            "apiVersion: score.dev/v1b1\nmetadata: {name: app\ncontainers:\n".to_owned(),
        ),
        (
            "duplicate_key",
            sleeper("app", "", "db: {type: sqlite}\ndb: {type: volume}"),
        ),
    ] {
        world.write("score.yaml", &score);
        insta::assert_snapshot!(name, refused(&world));
    }
}

#[test]
fn modules_that_cannot_be_carried_out_are_refused() {
    let world = World::with_quickstart();
    let script = "script:\n  apply: [{name: make, run: 'true'}]";
    let types = |names: &[&str]| {
        names
            .iter()
            .map(|name| resource_type(name, "{}", "{}"))
            .collect::<String>()
    };
    world.apply(
        &(types(&["chicken", "egg", "cluster"])
            + &module(
                "chicken",
                "script",
                &format!("dependencies: {{from: {{type: egg, id: '@.egg'}}}}\n{script}"),
            )
            + &module(
                "egg",
                "script",
                &format!("dependencies: {{from: {{type: chicken, id: '@.chicken'}}}}\n{script}"),
            )
            + &module(
                "cluster",
                "script",
                &format!("tools: [no-such-tool-anywhere]\n{script}"),
            )),
    );
    // The same with shared ids, so that the graph itself goes in a circle.
    world.apply(
        &(types(&["day", "night"])
            + &module(
                "day",
                "script",
                &format!("dependencies: {{after: {{type: night, id: night}}}}\n{script}"),
            )
            + &module(
                "night",
                "script",
                &format!("dependencies: {{after: {{type: day, id: day}}}}\n{script}"),
            )),
    );
    for (name, resource) in [
        ("cycle_of_modules", "hen: {type: chicken}"),
        ("cycle_of_shared_modules", "sun: {type: day, id: day}"),
        ("missing_tool", "k8s: {type: cluster}"),
    ] {
        world.write("score.yaml", &sleeper("app", "", resource));
        insta::assert_snapshot!(name, refused(&world));
    }
}

#[test]
fn text_that_explodes_or_has_no_end_is_refused_in_no_time() {
    let world = World::with_quickstart();
    let mut bomb = "apiVersion: score.dev/v1b1\nmetadata: {name: app}\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let many = vec![format!("*a{before}"); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{many}]").unwrap();
    }
    let deep = format!(
        "apiVersion: score.dev/v1b1\nmetadata: {{name: app}}\nx: {}{}\n",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let large = {
        let line =
            "# a document that only wastes the memory of whoever reads it, line after line after line\n";
        line.repeat(100 * 1024 * 1024 / line.len() + 1) + &sleeper("app", "", "")
    };
    assert!(large.len() > 100 * 1024 * 1024);
    for (name, text) in [
        ("yaml_bomb", &bomb),
        ("deep_yaml", &deep),
        ("large_document", &large),
    ] {
        world.write("score.yaml", text);
        let took = took(|| {
            insta::assert_snapshot!(name, refused(&world));
            world.fails("validate score.yaml");
            world.refuses("apply -f score.yaml");
            world.refuses("convert score.yaml -p demo -e dev");
        });
        assert!(took < Duration::from_secs(20), "{name} took {took:?}");
    }
    // Who speaks to the server without the command line gets no further.
    let api = Api::of(&world);
    let before = world.revision();
    let path = "/apis/podium.dev/v1alpha1/namespaces/demo-dev/workloads";
    let body = |text: &str| Some(text.as_bytes().to_vec());
    let nested = format!("{{\"spec\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(api.send("POST", path, Some(&api.token), body(&nested)).0, 400);
    // The server hangs up rather than read on; whether its answer is seen first is a race of the network.
    let code = api.try_send("POST", path, large.into_bytes());
    assert!(matches!(code, None | Some(413)), "{code:?}");
    assert_eq!(world.revision(), before);
}

/// A platform in which `store` needs `ground`, each made by a script that counts how often it was made.
fn platform_of_two(store: &str) -> String {
    let counted = "printf x >> \"$PODIUM_STATE/made\"\nprintf 'times=%s\\n' \"$(wc -c < \"$PODIUM_STATE/made\")\" > \"$PODIUM_OUTPUT/outputs.env\"";
    let outputs = "{times: {type: string}}";
    let counted = indented(counted, 8);
    let store = indented(store, 8);
    let store = format!(
        "dependencies: {{ground: {{type: ground, id: '@.ground'}}}}
timeoutSeconds: 2
retry: {{attempts: 1, backoffSeconds: 0}}
script:
  apply:
    - name: prepare
      run: |
{counted}    - name: build
      run: |
{store}"
    );
    let ground = format!(
        "script:
  apply:
    - name: level
      run: |
{counted}"
    );
    resource_type("ground", "{}", outputs)
        + &module("ground", "script", &ground)
        + &resource_type("store", "{}", outputs)
        + &module("store", "script", &store)
}

const SCORE_OF_TWO: &str = "store: {type: store}\nground: {type: ground}";

fn status_of(world: &World, id: &str) -> Json {
    let status = world.json(&format!("status {DEV}"));
    let all = ["resources", "workloads"].map(|part| status[part].as_array().unwrap());
    all.into_iter()
        .flatten()
        .find(|one| one["id"] == id || one["name"] == id)
        .cloned()
        .unwrap_or(Json::Null)
}

/// What fails, and how the deploy after it goes on.
fn fails_and_goes_on(snapshot: &str, step: &str) {
    let world = World::with_quickstart();
    world.apply(&platform_of_two(step));
    world.write(
        "score.yaml",
        &sleeper("app", "TIMES: ${resources.store.times}", SCORE_OF_TWO),
    );
    let said = world.fails(&format!("deploy score.yaml {DEV}"));
    let told = said
        .stderr
        .split("\nerror: ")
        .nth(1)
        .unwrap_or_else(|| panic!("{said:#?}"));
    insta::assert_snapshot!(snapshot, steady(&world, told));
    for word in ["build", "storage-team", "app.store"] {
        assert!(told.contains(word), "`{word}` in {told}");
    }

    // What was made stays recorded; what did not fail is well; what needs the failed one did not begin.
    assert_eq!(status_of(&world, "app.store")["phase"], "Failed");
    for made in ["app.ground", "app.store.ground"] {
        let made = status_of(&world, made);
        assert_eq!(
            (&made["phase"], &made["outputs"]),
            (&json!("Ready"), &json!({"times": "1"})),
            "{made:#}"
        );
    }
    assert_ne!(status_of(&world, "app")["phase"], "Ready");
    assert_eq!(world.workload_folders(), 0, "the workload did not begin");
    let run = &world.objects("runs", "demo-dev")[0];
    assert_eq!(run["status"]["phase"], "Failed", "{run:#}");
    assert!(run["status"]["failures"].to_string().contains("build"), "{run:#}");

    // The same again fails again, and says so; it is not taken for done.
    world.fails(&format!("deploy score.yaml {DEV}"));

    world.apply(&platform_of_two("true"));
    world.ok(&format!("deploy score.yaml {DEV}"));
    assert_eq!(status_of(&world, "app")["phase"], "Ready");
    for made in ["app.ground", "app.store.ground"] {
        assert_eq!(
            status_of(&world, made)["outputs"]["times"],
            "1",
            "it was made once, and left alone since"
        );
    }
}

#[test]
fn a_script_that_fails_is_told_with_step_output_and_owner() {
    fails_and_goes_on(
        "script_fails",
        "echo one; echo 'no space left in the rack' >&2; exit 7",
    );
}

#[test]
fn a_script_that_hangs_is_ended_and_told() {
    fails_and_goes_on("script_hangs", "echo 'asking the rack for space'; sleep 600");
}

/// A script that tries to read each of the files, and says which it could.
const THIEF: &str = r#"for file in master.key podium.db podium.db-wal blobs.db admin-token kubeconfig; do
  if cat "$FOLDER/$file" > taken 2>> refused; then echo "read $file"; fi
done
if ls "$FOLDER" > taken 2>> refused; then echo "listed the folder"; fi
if ls "$FOLDER/runner/steps" > taken 2>> refused; then echo "listed the steps"; fi
if touch "$FOLDER/planted" 2>> refused; then echo "wrote"; fi
echo "refused $(grep -c 'Permission denied' refused) times"
"#;

#[test]
fn neither_scripts_nor_workloads_read_the_data_of_the_server() {
    let world = World::with_quickstart();
    let folder = world.data().canonicalize().unwrap();
    for file in ["master.key", "podium.db", "blobs.db", "admin-token", "kubeconfig"] {
        assert!(
            std::fs::metadata(folder.join(file)).unwrap().len() > 0,
            "there is something to read: {file}"
        );
    }
    let thief = indented(THIEF, 8);
    let script = format!(
        "inputs: {{}}
script:
  apply:
    - name: steal
      env: {{FOLDER: '{}'}}
      run: |
        cd \"$PODIUM_ROOT\"
        steal() {{
{thief}        }}
        printf 'said=%s\\n' \"$(steal | tr '\\n' ' ')\" > \"$PODIUM_OUTPUT/outputs.env\"",
        folder.display()
    );
    world.apply(
        &(resource_type("thief", "{}", "{said: {type: string}}") + &module("thief", "script", &script)),
    );
    let mut score = sleeper(
        "app",
        &format!("FOLDER: {}", folder.display()),
        "hand: {type: thief}",
    );
    let thief = indented(THIEF, 10);
    score = score.replace(
        "    command: [/bin/sh, -c, 'while :; do sleep 1; done']\n",
        &format!(
            "    command: [/bin/sh, -c]\n    args:\n      - |\n{thief}          while :; do sleep 1; done\n"
        ),
    );
    world.write("score.yaml", &score);
    world.ok(&format!("deploy score.yaml {DEV}"));
    let refused = "refused 9 times";
    assert_eq!(
        status_of(&world, "app.hand")["outputs"]["said"]
            .as_str()
            .unwrap()
            .trim(),
        refused
    );
    let log = world.until("the workload's attempt", || {
        let log = world.ok(&format!("logs app {DEV}")).stdout;
        log.contains("times").then_some(log)
    });
    assert!(log.trim().ends_with(refused), "{log}");
    assert!(!folder.join("planted").exists());
}
