//! What only a person decides, and what nobody may do: rejecting, protecting, naming blobs that are not one's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod support;

use support::World;
use support::platform::sleeper;

/// An environment with the quickstart's platform.
fn world() -> World {
    let world = World::start();
    world.bring("examples/quickstart", "quickstart");
    world.ok("apply -f quickstart/platform");
    world
}

/// A converted workload whose only file is the blob with this digest.
fn naming(digest: &str) -> String {
    format!(
        "apiVersion: podium.dev/v1alpha1
kind: Workload
metadata: {{name: thief, namespace: demo-dev}}
spec:
  score:
    apiVersion: score.dev/v1b1
    metadata: {{name: thief}}
    containers:
      main: {{image: x, command: [cat, data/loot], files: {{/data/loot: {{source: loot}}}}}}
  files: {{loot: {{digest: \"{digest}\"}}}}
"
    )
}

#[test]
fn no_sealed_blob_can_be_mounted_as_a_file() {
    let world = world();
    world.ok("deploy quickstart/score.yaml -p demo -e dev");
    let mut tried = 0;
    for resource in world.objects("resources", "demo-dev") {
        for field in ["outputsBlob", "toolOutputs", "driverState"] {
            let Some(digest) = resource["status"][field].as_str() else {
                continue;
            };
            tried += 1;
            world.write("thief.yaml", &naming(digest));
            let said = world.refuses("apply -f thief.yaml");
            assert!(said.contains("there is no such upload"), "{said}");
        }
    }
    assert!(tried >= 3, "only {tried} digests were tried");
}

#[test]
fn what_is_protected_stays_until_that_is_lifted() {
    let world = world();
    world.ok("deploy quickstart/score.yaml -p demo -e dev");
    world.ok("protect db -p demo -e dev");
    let refused = world.fails("destroy -p demo -e dev --yes");
    assert!(
        refused.stderr.contains("notes.db (sqlite) is protected"),
        "{refused:#?}"
    );
    world.ok("approve release-2 -p demo -e dev");
    let kept = world.until("the refusal", || {
        let status = world.json("status -p demo -e dev");
        let all = status["resources"].as_array().unwrap().clone();
        all.into_iter()
            .find(|found| found["id"] == "notes.db" && found["phase"] == "Failed")
    });
    let message = kept["message"].as_str().unwrap();
    assert!(
        message.contains("podium protect notes.db -n demo-dev --lift"),
        "{message}"
    );
    world.ok("protect notes.db -n demo-dev --lift");
    world.ok("destroy -p demo -e dev --yes");
    assert_eq!(
        world.json("status -p demo -e dev")["resources"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn what_was_rejected_says_so_until_it_is_as_it_was() {
    let world = world();
    world.write("score.yaml", &sleeper("one", "A: first", ""));
    world.ok("deploy score.yaml -p demo -e dev");
    // A person agrees to each release from now on; how that is said changes nothing that runs.
    world.apply(
        "apiVersion: podium.dev/v1alpha1
kind: Environment
metadata: {name: demo-dev}
spec: {project: demo, name: dev, type: development, mode: review, variables: {TITLE: Notes in dev}}
",
    );
    world.write("score.yaml", &sleeper("one", "A: second", ""));
    world.ok("deploy score.yaml -p demo -e dev --detach");
    world.ok("approve release-2 -p demo -e dev --reject");
    let message = |wanted: &str| {
        world.until(wanted, || {
            let status = world.json("status -p demo -e dev");
            let message = status["workloads"][0]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            message.contains(wanted).then_some(message)
        })
    };
    message("admin rejected release 2");
    assert_eq!(
        world.json("status -p demo -e dev")["workloads"][0]["phase"],
        "Ready"
    );
    world.write("score.yaml", &sleeper("one", "A: first", ""));
    world.ok("deploy score.yaml -p demo -e dev");
    let status = world.json("status -p demo -e dev");
    assert!(
        status["workloads"][0]["message"]
            .as_str()
            .unwrap_or_default()
            .is_empty(),
        "{status}"
    );
}
