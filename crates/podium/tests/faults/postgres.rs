//! A real PostgreSQL as a resource of the example platform: made, used, kept, removed, and its passwords never seen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::processes;
use super::scan::Search;
use super::support::World;

/// Whether this machine has a PostgreSQL. Without one there is nothing to test, except where the tests were promised
/// one.
fn available() -> bool {
    let folders = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let found = folders
        .map(|folder| folder.path().join("bin/postgres"))
        .any(|program| program.is_file());
    assert!(
        found || std::env::var_os("PODIUM_TEST_POSTGRES_BIN").is_none(),
        "PODIUM_TEST_POSTGRES_BIN is set, but /usr/lib/postgresql holds no postgres"
    );
    if !found {
        eprintln!("skipped: there is no PostgreSQL on this machine");
    }
    found
}

fn rows(world: &World) -> String {
    let logs = world.ok("logs postgres-example -n examples-dev").stdout;
    let line = logs
        .lines()
        .rev()
        .find_map(|line| line.split_once("rows stored: "));
    line.unwrap_or_else(|| panic!("no rows in {logs}"))
        .1
        .trim()
        .to_owned()
}

fn servers(world: &World) -> Vec<u32> {
    let shims = processes::workload_shims(&world.data());
    let below = shims.into_iter().flat_map(processes::below);
    let of_postgres = |pid: &u32| {
        processes::arguments(*pid)
            .first()
            .is_some_and(|word| word.ends_with("/bin/postgres"))
    };
    below.filter(of_postgres).collect()
}

fn owner(pid: u32) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(format!("/proc/{pid}")).unwrap().uid()
}

#[test]
fn a_database_is_made_used_kept_and_removed() {
    if !available() {
        return;
    }
    let mut world = World::start();
    let mut search = Search::begin();
    world.bring("examples/platform", "platform");
    world.ok("apply -f platform");
    let deploy = "deploy platform/workloads/postgres.yaml -n examples-dev --yes";
    assert_eq!(search.run(&world, deploy), 0, "{}", world.log());
    assert_eq!(rows(&world), "1");
    let running = servers(&world);
    assert!(!running.is_empty());
    assert!(
        running.iter().all(|pid| owner(*pid) != 0),
        "postgres runs as root"
    );

    let outputs: serde_json::Value = world.json("outputs -n examples-dev --reveal");
    let mut passwords = Vec::new();
    secrets(&outputs, &mut passwords);
    passwords.sort();
    passwords.dedup();
    assert_eq!(
        passwords.len(),
        2,
        "one of the superuser, one of the role: {outputs:#}"
    );
    for password in &passwords {
        search.needles.add("a password", password);
    }
    let declared = BTreeSet::from(["password".to_owned()]);
    for line in [
        "logs postgres",
        "logs postgres-example.db",
        "logs postgres-example",
    ] {
        assert_eq!(
            search.run(&world, &format!("{line} -n examples-dev")),
            0,
            "{line}"
        );
    }
    let logs = world.ok("logs postgres -n examples-dev").stdout;
    assert!(
        logs.contains("database system is ready to accept connections"),
        "{logs}"
    );
    assert_eq!(
        search.everywhere(&world, "examples-dev", "after the deploy"),
        declared
    );

    // The workload changes; server, database and rows stay.
    let changed = std::fs::read_to_string(world.work().join("platform/workloads/postgres.yaml"))
        .unwrap()
        .replace("    variables:\n", "    variables:\n      CHANGED: \"yes\"\n");
    world.write("platform/workloads/postgres.yaml", &changed);
    assert_eq!(search.run(&world, deploy), 0, "{}", world.log());
    assert_eq!(rows(&world), "2");
    assert_eq!(servers(&world), running);

    // The server of the database is killed: it comes back on its folder, and so do the rows.
    world.kill();
    world.serve();
    for pid in processes::workload_shims(&world.data()) {
        processes::signal(pid, nix::sys::signal::Signal::SIGKILL);
    }
    world.until("the workload's return", || (rows(&world) == "3").then_some(()));
    world.until("everything to be ready", || {
        let status = world.json("status -n examples-dev");
        let all = status["resources"]
            .as_array()
            .unwrap()
            .iter()
            .chain(status["workloads"].as_array().unwrap());
        all.clone().all(|item| item["phase"] == "Ready").then_some(())
    });
    assert_ne!(servers(&world), running);
    assert_eq!(search.everywhere(&world, "examples-dev", "after kills"), declared);

    assert_eq!(
        search.run(&world, "destroy -n examples-dev --yes"),
        0,
        "{}",
        world.log()
    );
    assert_eq!(world.volumes(), Vec::<PathBuf>::new());
    assert_eq!(processes::workload_shims(&world.data()), Vec::<u32>::new());
    assert!(
        running
            .iter()
            .all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    );
    assert_eq!(
        search.everywhere(&world, "examples-dev", "after the removal"),
        BTreeSet::new()
    );

    // A new one is new.
    assert_eq!(search.run(&world, deploy), 0, "{}", world.log());
    assert_eq!(rows(&world), "1");
}

/// The texts that look like what the module `random` draws.
fn secrets(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text)
            if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            found.push(text.clone());
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| secrets(item, found)),
        serde_json::Value::Object(map) => map.values().for_each(|item| secrets(item, found)),
        _ => {}
    }
}
