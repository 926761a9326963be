//! Secrets are where they were declared to be, and nowhere else: after making, changing, failing, killing, removing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::processes::shims;
use super::scan::Search;
use super::support::World;

/// Scripts that draw a secret, print it, pass it on, and fail with it in their last words.
const PLATFORM: &str = r#"---
apiVersion: podium.dev/v1alpha1
kind: ResourceType
metadata: {name: credential}
spec:
  type: credential
  params: {type: object, properties: {turn: {type: integer, default: 1}}}
  outputs:
    type: object
    properties:
      token: {type: string, writeOnly: true}
      lines: {type: string, writeOnly: true}
      hint: {type: string}
---
apiVersion: podium.dev/v1alpha1
kind: Module
metadata: {name: credential}
spec:
  type: credential
  driver: script
  owner: platform
  inputs: {turn: "${{ params.turn }}"}
  script:
    apply:
      - name: draw
        run: |
          umask 077
          draw() { od -An -v -tx1 -N 12 /dev/urandom | tr -d ' \n'; }
          if [ ! -s "$PODIUM_STATE/token.$INPUT_TURN" ]; then
            printf 'p/l+a n&t=%s?' "$(draw)" > "$PODIUM_STATE/token.$INPUT_TURN"
          fi
          token=$(cat "$PODIUM_STATE/token.$INPUT_TURN")
          # Not known to be a secret when it is printed.
          echo "drawn: $token"
          echo "drawn: $token" >&2
          sleep 0.3
          printf 'token=%s\nlines=first %s\nhint=turn %s\n' "$token" "$(draw)" "$INPUT_TURN" > "$PODIUM_OUTPUT/outputs.env"
    destroy:
      - name: give-back
        run: echo "gives back $OUTPUT_TOKEN"
---
apiVersion: podium.dev/v1alpha1
kind: ModuleRule
metadata: {name: any-credential}
spec: {module: credential}
---
apiVersion: podium.dev/v1alpha1
kind: ResourceType
metadata: {name: account}
spec:
  type: account
  params: {type: object, properties: {fails: {type: string, default: "no"}}}
  outputs: {type: object, properties: {url: {type: string}, name: {type: string}}}
---
apiVersion: podium.dev/v1alpha1
kind: Module
metadata: {name: account}
spec:
  type: account
  driver: script
  owner: platform
  retry: {attempts: 1}
  dependencies: {credential: {type: credential, id: shared}}
  inputs:
    fails: "${{ params.fails }}"
    key: "${{ resources.credential.outputs.token }}"
  script:
    apply:
      - name: use
        env: {TOKEN: "${{ resources.credential.outputs.token }}"}
        run: |
          echo "uses $TOKEN"
          printf '%s' "$TOKEN" | base64 -w 0
          echo
          if [ "$INPUT_FAILS" = yes ]; then
            echo "refused: https://user:$TOKEN@example.org" >&2
            exit 3
          fi
          printf 'url=https://user:%s@example.org\nname=user\n' "$TOKEN" > "$PODIUM_OUTPUT/outputs.env"
    destroy:
      - name: close
        run: echo "closes $OUTPUT_URL with $INPUT_KEY"
---
apiVersion: podium.dev/v1alpha1
kind: ModuleRule
metadata: {name: any-account}
spec: {module: account}
"#;

fn score(turn: u32, fails: &str) -> String {
    format!(
        "apiVersion: score.dev/v1b1
metadata: {{name: app}}
containers:
  main:
    image: app
    command: [/bin/sh, -c]
    args:
      - |
        echo \"calls $DSN and $ACCOUNT\"
        cat etc/app.conf
        touch ready
        while :; do sleep 1; done
    variables:
      DSN: postgres://user:${{resources.key.token}}@localhost/app
      ACCOUNT: ${{resources.account.url}}
    files:
      /etc/app.conf: {{mode: \"0600\", content: \"token = ${{resources.key.token}}\\nlines = ${{resources.key.lines}}\\n\"}}
    readinessProbe: {{exec: {{command: [test, -e, ready]}}}}
resources:
  key: {{type: credential, id: shared, params: {{turn: {turn}}}}}
  account: {{type: account, params: {{fails: \"{fails}\"}}}}
"
    )
}

/// The outputs that `--reveal` shows, which is a declared way out.
fn revealed(world: &World, search: &mut Search, turn: &str) {
    let outputs = world.ok("outputs -n secret-dev --reveal -o json").stdout;
    let outputs: serde_json::Value = serde_json::from_str(&outputs).unwrap();
    let mut texts = Vec::new();
    collect(&outputs, &mut texts);
    let tokens: BTreeSet<&String> = texts
        .iter()
        .filter(|text| text.starts_with("p/l+a n&t="))
        .collect();
    let lines: BTreeSet<&String> = texts.iter().filter(|text| text.starts_with("first ")).collect();
    assert_eq!((tokens.len(), lines.len()), (1, 1), "{outputs:#}");
    for token in tokens {
        search.needles.add(&format!("the token of turn {turn}"), token);
    }
    for line in lines {
        search
            .needles
            .add(&format!("the other secret of turn {turn}"), line);
    }
}

fn collect(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => texts.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        serde_json::Value::Object(map) => map.values().for_each(|item| collect(item, texts)),
        _ => {}
    }
}

#[test]
fn secrets_leave_only_where_they_were_declared_to() {
    const DEPLOY: &str = "deploy score.yaml -n secret-dev --yes";
    let mut world = World::start();
    let mut search = Search::begin();
    world.bring("examples/platform", "platform");
    world.ok("apply -f platform/10-workload.yaml");
    world.apply(PLATFORM);
    world.ok("create project secret");
    world.ok("create environment -p secret -e dev");
    let conf = BTreeSet::from(["etc/app.conf".to_owned()]);

    world.write("score.yaml", &score(1, "no"));
    assert_eq!(search.run(&world, DEPLOY), 0, "{}", world.log());
    revealed(&world, &mut search, "1");
    for line in ["logs app", "logs shared", "logs app.account", "plan score.yaml"] {
        assert_eq!(search.run(&world, &format!("{line} -n secret-dev")), 0, "{line}");
    }
    assert_eq!(
        search.everywhere(&world, "secret-dev", "after the first deploy"),
        conf
    );
    let logs = world.ok("logs app -n secret-dev").stdout;
    assert!(logs.contains("calls (secret) and (secret)"), "{logs}");

    world.write("score.yaml", &score(2, "no"));
    assert_eq!(search.run(&world, "plan score.yaml -n secret-dev"), 0);
    assert_eq!(search.run(&world, DEPLOY), 0, "{}", world.log());
    revealed(&world, &mut search, "2");
    assert_eq!(search.everywhere(&world, "secret-dev", "after an update"), conf);

    world.write("score.yaml", &score(2, "yes"));
    assert_eq!(search.run(&world, DEPLOY), 1, "{}", world.log());
    assert_eq!(search.run(&world, "logs app.account -n secret-dev"), 0);
    assert_eq!(search.everywhere(&world, "secret-dev", "after a failure"), conf);
    let logs = world.ok("logs app.account -n secret-dev").stdout;
    assert!(logs.contains("refused: (secret)"), "{logs}");

    // Killed while the script holds the secret that it is about to answer.
    world.write("score.yaml", &score(3, "no"));
    let words: Vec<&str> = DEPLOY.split(' ').collect();
    let mut deploy = world
        .command(&[&words[..], &["--detach"]].concat())
        .spawn()
        .unwrap();
    assert!(deploy.wait().unwrap().success());
    std::thread::sleep(Duration::from_millis(200));
    search.keep(&world, true);
    world.kill();
    assert!(
        !shims(&world.data()).is_empty(),
        "the script ended before the server was killed"
    );
    search.keep(&world, true);
    // The step ends while no server watches.
    std::thread::sleep(Duration::from_secs(1));
    search.keep(&world, false);
    assert_eq!(
        search.everywhere(&world, "secret-dev", "with the server killed"),
        conf
    );
    world.serve();
    world.until("the end of the run", || {
        let status = world.json("status -n secret-dev");
        let all = status["resources"]
            .as_array()
            .unwrap()
            .iter()
            .chain(status["workloads"].as_array().unwrap());
        all.clone().all(|item| item["phase"] == "Ready").then_some(())
    });
    revealed(&world, &mut search, "3");
    assert_eq!(search.everywhere(&world, "secret-dev", "after a kill"), conf);

    assert_eq!(
        search.run(&world, "destroy -n secret-dev --yes"),
        0,
        "{}",
        world.log()
    );
    assert_eq!(
        search.everywhere(&world, "secret-dev", "after everything was removed"),
        BTreeSet::new()
    );
    world.stop();
    assert_eq!(
        search.everywhere(&world, "secret-dev", "after the server's end"),
        BTreeSet::new()
    );
}
