//! Everything in examples/ runs: it is applied, deployed, becomes ready, and does what it says. PostgreSQL has its own
//! story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod support;

use std::collections::BTreeSet;

use serde_json::Value as Json;
use support::{World, http_get, repository};

/// Every workload and resource of an environment must be ready.
fn assert_ready(world: &World, options: &str) -> Json {
    let status = world.json(&format!("status {options}"));
    assert_eq!(status["phase"], "Ready", "{status:#}");
    for part in ["workloads", "resources"] {
        for one in status[part].as_array().unwrap() {
            assert_eq!(one["phase"], "Ready", "{one:#}");
        }
    }
    status
}

/// What a workload logged, once it holds `text`.
fn logged(world: &World, workload: &str, text: &str) -> String {
    world.until(&format!("`{text}` in the log of {workload}"), || {
        let logs = world.ok(&format!("logs {workload} -p examples -e dev"));
        logs.stdout.contains(text).then_some(logs.stdout)
    })
}

#[test]
fn the_workloads_of_the_platform_run() {
    let world = World::with_examples();
    let redis = std::env::var_os("PODIUM_TEST_REDIS_SERVER").is_some();
    let mut tried: BTreeSet<&str> = [
        "environment",
        "secret",
        "service-port-a",
        "service-port-b",
        "volume",
    ]
    .into();
    if redis {
        tried.insert("redis");
    }
    let all: BTreeSet<String> = std::fs::read_dir(repository().join("examples/platform/workloads"))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".yaml").map(str::to_owned)
        })
        .collect();
    let left: Vec<&String> = all.iter().filter(|name| !tried.contains(name.as_str())).collect();
    let known: &[&str] = if redis {
        &["postgres"]
    } else {
        &["postgres", "redis"]
    };
    assert_eq!(left, known, "an example that nobody runs");

    let files: Vec<String> = tried
        .iter()
        .map(|name| format!("platform/workloads/{name}.yaml"))
        .collect();
    world.ok(&format!("deploy {} -p examples -e dev", files.join(" ")));
    let status = assert_ready(&world, "-p examples -e dev");
    assert_eq!(status["workloads"].as_array().unwrap().len(), tried.len());

    logged(
        &world,
        "environment-example",
        "Hello World, from environment-example",
    );
    logged(&world, "secret-example", "a secret of 48 characters");
    logged(&world, "volume-example", "1\n");
    let port_of = |name: &str| {
        let all = status["workloads"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == name).unwrap();
        one["urls"][0].as_str().unwrap().to_owned()
    };
    logged(
        &world,
        "service-port-a",
        &format!("the other is at {}", port_of("service-port-b")),
    );
    logged(
        &world,
        "service-port-b",
        &format!("the other is at {}", port_of("service-port-a")),
    );
    if redis {
        logged(&world, "redis-example", "1\n");
    }

    let again = world.ok(&format!("deploy {} -p examples -e dev", files.join(" ")));
    assert!(
        again.stderr.contains("nothing changed; release 1 stays"),
        "{again:#?}"
    );
    world.ok("destroy -p examples -e dev --yes");
    assert!(world.objects("resources", "examples-dev").is_empty());
    assert_eq!(world.volumes(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn the_quickstart_keeps_its_notes() {
    let mut world = World::with_quickstart();
    for environment in ["dev", "staging"] {
        let options = format!("-p demo -e {environment}");
        let said = world.ok(&format!("deploy quickstart/score.yaml {options}"));
        let status = assert_ready(&world, &options);
        let url = status["workloads"][0]["urls"][0].as_str().unwrap().to_owned();
        assert!(
            said.stdout.contains(&url),
            "the end tells where it answers: {said:#?}"
        );
        let page = http_get(&url, "/");
        assert!(page.contains(&format!("Notes in {environment}")), "{page}");
        let welcome = page.contains("This note came with the database");
        assert_eq!(welcome, environment == "staging", "{page}");
    }
    // The server alone ends and comes back: the workload goes on all the while, with what it keeps.
    let url = assert_ready(&world, "-p demo -e staging")["workloads"][0]["urls"][0]
        .as_str()
        .unwrap()
        .to_owned();
    world.stop();
    assert!(http_get(&url, "/").contains("This note came with the database"));
    world.serve();
    world.until("both ready again", || {
        let phase =
            |environment: &str| world.json(&format!("status -p demo -e {environment}"))["phase"].clone();
        (phase("dev") == "Ready" && phase("staging") == "Ready").then_some(())
    });
    assert!(http_get(&url, "/").contains("This note came with the database"));
}
