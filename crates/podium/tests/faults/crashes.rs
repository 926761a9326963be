//! `kill -9` of the server alone, at moments spread over a deploy and a destroy with every driver in them.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::cloud::Cloud;
use super::processes::shims;
use super::support::{PATIENCE, World};

/// Steps that take their time and tell the cloud what they do.
fn platform(cloud: &Cloud) -> String {
    let script = |name: &str, dependencies: &str| {
        let step = |verb: &str, after: &str| {
            format!(
                "[bash, -c, '{}; sleep 0.15; {after}']",
                cloud.say(&format!("{verb} $INPUT_NAME"))
            )
        };
        format!(
            "---
apiVersion: podium.dev/v1alpha1
kind: ResourceType
metadata: {{name: {name}}}
spec:
  type: {name}
  params: {{type: object}}
  outputs: {{type: object, required: [code], properties: {{code: {{type: string}}}}}}
---
apiVersion: podium.dev/v1alpha1
kind: Module
metadata: {{name: {name}}}
spec:
  type: {name}
  driver: script
  owner: platform
  tools: [bash]
  inputs: {{name: \"${{{{ context.id }}}}\"}}
{dependencies}  script:
    apply:
      - {{name: create, command: {create}}}
      - {{name: confirm, command: {confirm}}}
    destroy:
      - {{name: delete, command: {delete}}}
---
apiVersion: podium.dev/v1alpha1
kind: ModuleRule
metadata: {{name: any-{name}}}
spec: {{module: {name}}}
",
            create = step("create", ":"),
            confirm = step("confirm", "echo code=$INPUT_NAME > $PODIUM_OUTPUT/outputs.env"),
            delete = step("delete", ":"),
        )
    };
    let label = "---
apiVersion: podium.dev/v1alpha1
kind: ResourceType
metadata: {name: label}
spec:
  type: label
  params: {type: object, properties: {text: {type: string}}}
  outputs: {type: object, properties: {text: {type: string}}}
---
apiVersion: podium.dev/v1alpha1
kind: Module
metadata: {name: label}
spec:
  type: label
  driver: template
  owner: platform
  inputs: {text: \"<${{ params.text }}>\"}
---
apiVersion: podium.dev/v1alpha1
kind: ModuleRule
metadata: {name: any-label}
spec: {module: label}
";
    let base = script("base", "");
    let derived = script(
        "derived",
        "  dependencies: {base: {type: base, id: \"@.base\"}}\n",
    );
    format!("{base}{derived}{label}")
}

fn score(cloud: &Cloud) -> String {
    format!(
        "apiVersion: score.dev/v1b1
metadata: {{name: app}}
containers:
  main:
    image: app
    command: [bash, -c]
    args:
      - |
        {}
        echo $CODE $LABEL >> data/starts
        touch ready
        while :; do sleep 1; done
    variables: {{CODE: \"${{resources.thing.code}}\", LABEL: \"${{resources.label.text}}\"}}
    volumes: {{/data: {{source: \"${{resources.data}}\"}}}}
    readinessProbe: {{exec: {{command: [test, -e, ready]}}}}
service: {{ports: {{web: {{port: 8080}}}}}}
resources:
  thing: {{type: derived}}
  label: {{type: label, params: {{text: \"${{resources.thing.code}}\"}}}}
  data: {{type: volume}}
",
        cloud.say("start app")
    )
}

/// When the server is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// That long after the command began.
    After(Duration),
    /// As soon as the cloud heard this.
    Heard(&'static str),
}

struct Story {
    world: World,
    cloud: Cloud,
    listen: String,
}

impl Story {
    fn begin() -> Self {
        let (world, cloud) = (World::start(), Cloud::start());
        world.bring("examples/platform", "platform");
        world.ok("apply -f platform/10-workload.yaml -f platform/12-volume.yaml");
        world.apply(&platform(&cloud));
        world.ok("create project crash");
        world.ok("create environment -p crash -e dev");
        world.write("score.yaml", &score(&cloud));
        let kubeconfig = std::fs::read_to_string(world.data().join("kubeconfig")).unwrap();
        let (_, after) = kubeconfig.split_once("https://").unwrap();
        let listen = after
            .split(|byte: char| byte.is_whitespace() || byte == '"')
            .next()
            .unwrap()
            .to_owned();
        Self { world, cloud, listen }
    }

    fn command(&self, line: &str) -> Child {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.world
            .command(&words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a command during which the server is killed and started again; answers whether the command went on.
    fn killed_during(&mut self, line: &str, moment: Moment) -> bool {
        let mut command = self.command(line);
        match moment {
            Moment::After(pause) => std::thread::sleep(pause),
            Moment::Heard(what) => self.cloud.wait_for(what, PATIENCE),
        }
        self.world.kill();
        self.world.serve_at(&self.listen.clone());
        let ended = self.ended(&mut command, line, moment);
        let (mut out, mut err) = (String::new(), String::new());
        command.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        command.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        // Only a command whose request was never answered cannot know what became of it, and says that.
        assert!(
            ended || away(&err),
            "podium {line} at {moment:?}: {out}\n{err}\n{}",
            self.world.log()
        );
        ended
    }

    fn ended(&self, command: &mut Child, line: &str, moment: Moment) -> bool {
        let what = format!("the end of podium {line}, killed at {moment:?}");
        self.world.until(&what, || command.try_wait().unwrap()).success()
    }

    /// What was made once, and what was removed once.
    fn assert_done(&self, expected: &[&str], moment: Moment) {
        let mut heard = self.cloud.heard();
        heard.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(heard, expected, "killed at {moment:?}\n{}", self.world.log());
    }

    fn assert_nothing_left(&self, moment: Moment) {
        let world = &self.world;
        for kind in ["resources", "workloads"] {
            assert_eq!(
                world.objects(kind, "crash-dev"),
                Vec::<serde_json::Value>::new(),
                "{kind}, {moment:?}"
            );
        }
        assert_eq!(world.volumes(), Vec::<std::path::PathBuf>::new(), "{moment:?}");
        // The last step's folder goes a moment after the run is over.
        let folders = || {
            let [closed, open] = world.open_folders();
            let of = |path: std::path::PathBuf| {
                let items = std::fs::read_dir(path).into_iter().flatten().flatten();
                items.map(|item| item.path()).collect::<Vec<_>>()
            };
            [
                of(closed.join("steps")),
                of(closed.join("workloads")),
                of(open.join("roots")),
            ]
            .concat()
        };
        let begin = Instant::now();
        while !folders().is_empty() || !shims(&world.data()).is_empty() {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "left behind, killed at {moment:?}: {:?} {:?}\n{}",
                folders(),
                shims(&world.data()),
                world.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether a command ended because nobody answered it.
fn away(talk: &str) -> bool {
    ["cannot be reached", "broke off", "connection", "is away"]
        .iter()
        .any(|word| talk.contains(word))
}

const MADE: [&str; 5] = [
    "create app.thing.base",
    "confirm app.thing.base",
    "create app.thing",
    "confirm app.thing",
    "start app",
];
const REMOVED: [&str; 2] = ["delete app.thing", "delete app.thing.base"];

#[test]
fn a_server_killed_at_any_moment_makes_nothing_twice_and_leaves_nothing_behind() {
    const DEPLOY: &str = "deploy score.yaml -p crash -e dev --yes";
    const DESTROY: &str = "destroy -p crash -e dev --yes";
    let mut story = Story::begin();
    // How long each takes when nobody kills anything.
    let begin = Instant::now();
    story.world.ok(DEPLOY);
    let to_deploy = begin.elapsed();
    let begin = Instant::now();
    story.world.ok(DESTROY);
    let to_destroy = begin.elapsed();
    story.assert_done(&[&MADE[..], &REMOVED[..]].concat(), Moment::After(Duration::ZERO));
    story.assert_nothing_left(Moment::After(Duration::ZERO));

    let spread = |whole: Duration, part: u32, of: u32| Moment::After(whole * part / of);
    let mut moments: Vec<(Moment, Moment)> = (0..15)
        .map(|part| (spread(to_deploy, part, 15), spread(to_destroy, part, 15)))
        .collect();
    let deleted = [
        Moment::Heard("delete app.thing"),
        Moment::Heard("delete app.thing.base"),
    ];
    moments.extend(
        MADE.into_iter()
            .zip(deleted.into_iter().cycle())
            .map(|(made, deleted)| (Moment::Heard(made), deleted)),
    );
    assert_eq!(moments.len(), 20);

    let mut went_on = 0;
    for (making, removing) in moments {
        story.cloud.forget();
        if story.killed_during(DEPLOY, making) {
            went_on += 1;
        } else {
            story.world.ok(DEPLOY);
        }
        story.assert_done(&MADE, making);
        let status = story.world.json("status -p crash -e dev");
        let phases = |list: &str| -> Vec<String> {
            let items = status[list].as_array().unwrap().iter();
            items
                .map(|item| item["phase"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            phases("resources"),
            ["Ready"; 4],
            "killed at {making:?}: {status:#}"
        );
        assert_eq!(phases("workloads"), ["Ready"], "killed at {making:?}: {status:#}");

        story.cloud.forget();
        if !story.killed_during(DESTROY, removing) {
            story.world.ok(DESTROY);
        }
        story.assert_done(&REMOVED, removing);
        story.assert_nothing_left(removing);
    }
    // The first moments may come before the server had the request; from then on the command waits for the server.
    assert!(
        went_on >= 15,
        "only {went_on} of 20 deploys went on by themselves"
    );
    // One release to make and one to remove, each time.
    assert_eq!(story.world.objects("releases", "crash-dev").len(), 42);
}
