//! Score's own documents against the example platform: they validate, they plan as written down in the snapshots, and
//! a mistake in any of them is told with its line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod support;

use std::path::{Path, PathBuf};

use support::{World, repository, steady};

const FIXTURES: &str = "crates/frontends/tests/fixtures/score";

/// Every Score document among the fixtures, by its path from their folder.
fn documents() -> Vec<PathBuf> {
    fn look(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                look(&path, found);
            } else if name.starts_with("score")
                && path.extension().is_some_and(|extension| extension == "yaml")
            {
                found.push(path);
            }
        }
    }
    let root = repository().join(FIXTURES);
    let mut found = Vec::new();
    look(&root, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| path.strip_prefix(&root).unwrap().to_owned())
        .collect()
}

/// A server with the example platform, and Score's documents in the working folder.
fn world() -> World {
    let world = World::with_examples();
    world.bring(FIXTURES, ".");
    world
}

#[test]
fn every_document_validates() {
    // No server is needed; the world gives the folder.
    let world = World::start();
    world.bring(FIXTURES, ".");
    let documents = documents();
    assert_eq!(documents.len(), 18, "{documents:#?}");
    for document in documents {
        world.ok(&format!("validate {}", document.display()));
    }
}

#[test]
fn a_mistake_in_any_document_is_told_with_its_line() {
    let world = World::start();
    let number = |text: &str, wrong: &str| 1 + text.lines().position(|line| line.contains(wrong)).unwrap();
    let mut broken = 0;
    for document in documents() {
        let text = std::fs::read_to_string(repository().join(FIXTURES).join(&document)).unwrap();
        // What is wrong, put in place of what is right; the first of each.
        for (right, wrong) in [
            ("image:", "imaeg:"),
            ("command:", "comand:"),
            ("score.dev/v1b1", "score.dev/v9"),
            ("${resources.", "${resources.no-such-"),
            ("containers:", "containers: ["),
            ("  name: ", "  name: -"),
            ("type: ", "type: /"),
        ] {
            if !text.contains(right) {
                continue;
            }
            let variant = text.replacen(right, wrong, 1);
            world.write("score.yaml", &variant);
            let said = world.fails("validate score.yaml");
            let line = number(&variant, wrong);
            // A bracket that is not closed is noticed on a line after it.
            let lines = if wrong.ends_with('[') {
                line..=line + 2
            } else {
                line..=line
            };
            assert!(
                lines
                    .clone()
                    .any(|line| said.stderr.contains(&format!("score.yaml:{line}:"))),
                "{}: `{wrong}` stands in line {line}, but podium said {said:#?}",
                document.display()
            );
            broken += 1;
        }
    }
    assert!(broken > 80, "{broken} variants");
}

#[test]
fn examples_plan_against_the_platform() {
    let world = world();
    for (name, files) in [
        ("01_hello", "01-hello/score.yaml"),
        ("02_environment", "02-environment/score.yaml"),
        ("03_files", "03-files/score.yaml"),
        (
            "04_multiple_workloads",
            "04-multiple-workloads/score.yaml 04-multiple-workloads/score2.yaml",
        ),
        ("05_volume_mounts", "05-volume-mounts/score.yaml"),
        ("07_overrides", "07-overrides/score.yaml"),
        (
            "08_service_port",
            "08-service-port-resource/scoreA.yaml 08-service-port-resource/scoreB.yaml",
        ),
    ] {
        snapshot_plan(&world, name, files);
    }
    if std::env::var_os("PODIUM_TEST_REDIS_SERVER").is_some() {
        snapshot_plan(
            &world,
            "06_resource_provisioning",
            "06-resource-provisioning/score.yaml 06-resource-provisioning/score2.yaml",
        );
    }
    assert_eq!(
        world.objects("releases", "examples-dev"),
        Vec::<serde_json::Value>::new()
    );
}

/// Holds what a plan says to people and to scripts; it must write nothing.
fn snapshot_plan(world: &World, name: &str, files: &str) {
    let files: Vec<String> = files
        .split(' ')
        .map(|file| format!("compose-examples/{file}"))
        .collect();
    let line = format!("plan {} -p examples -e dev", files.join(" "));
    let before = world.revision();
    let said = world.ok(&line);
    assert_eq!(said.stderr, "");
    insta::assert_snapshot!(format!("{name}_text"), steady(world, &said.stdout));
    let plan = world.json(&line);
    insta::assert_json_snapshot!(format!("{name}_json"), plan, {".digest" => "DIGEST"});
    assert_eq!(world.revision(), before, "{name}");
    assert_eq!(world.run(&format!("{line} --detailed-exitcode")).code, 2);
}

#[test]
fn a_container_without_command_is_refused_before_anything_is_written() {
    let world = world();
    for (name, files) in [
        ("volume_mounts", "05-volume-mounts/score.yaml"),
        (
            "multiple_workloads",
            "04-multiple-workloads/score.yaml compose-examples/04-multiple-workloads/score2.yaml",
        ),
    ] {
        let said = world.refuses(&format!("deploy compose-examples/{files} -p examples -e dev"));
        insta::assert_snapshot!(format!("without_command_{name}"), steady(&world, &said));
        // Also when it is agreed to, and when the environment would be made along.
        world.refuses(&format!(
            "deploy compose-examples/{files} -p examples -e dev --yes"
        ));
    }
    for kind in ["workloads", "releases", "plans", "runs", "resources"] {
        assert!(world.objects(kind, "examples-dev").is_empty(), "{kind}");
    }
}

#[test]
fn an_output_that_is_not_there_is_told_with_its_line() {
    let world = world();
    for (name, file, right, wrong) in [
        (
            "environment",
            "02-environment/score.yaml",
            "${resources.env.NAME}",
            "${resources.env.NAM}",
        ),
        (
            "volume",
            "05-volume-mounts/score.yaml",
            "${resources.data}",
            "${resources.data.folder}",
        ),
        (
            "service_port",
            "08-service-port-resource/scoreB.yaml",
            "dependency.hostname",
            "dependency.host",
        ),
    ] {
        let text = std::fs::read_to_string(world.work().join("compose-examples").join(file)).unwrap();
        let text = text.replace("image: \"nginx:latest\"", "image: nginx\n    command: [sleep]");
        world.write("score.yaml", &text.replace(right, wrong));
        let said = world.refuses("plan score.yaml -p examples -e dev");
        insta::assert_snapshot!(format!("no_such_output_{name}"), said);
    }
}
