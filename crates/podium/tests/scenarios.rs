//! What people do with environments, told from their side: deploy, change, share, remove, approve, go back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod support;

use serde_json::{Value as Json, json};
use support::platform::{module, resource_type, sleeper};
use support::{Answer, Api, World, steady};

/// The change of one resource in a plan.
fn change<'p>(plan: &'p Json, id: &str) -> &'p Json {
    let changes = plan["changes"].as_array().unwrap();
    changes
        .iter()
        .find(|change| change["resource"]["id"] == id)
        .unwrap_or_else(|| panic!("no change of {id} in {plan:#}"))
}

/// One resource or workload of a status, by its id or name.
fn member(status: &Json, id: &str) -> Option<Json> {
    let all = ["resources", "workloads"].map(|part| status[part].as_array().unwrap());
    all.into_iter()
        .flatten()
        .find(|one| one["id"] == id || one["name"] == id)
        .cloned()
}

/// Applies objects as whoever uses kubectl would, or with `podium apply` where the tests were given no kubectl.
fn kubectl_apply(world: &World, file: &str) -> Answer {
    match world.kubectl(&format!("apply -f {file}")) {
        Some(answer) => answer,
        None => world.ok(&format!("apply -f {file}")),
    }
}

/// Whether a workload object is ready, and why or why not.
fn readiness(world: &World, namespace: &str, name: &str) -> Option<(String, String, String)> {
    let workload = world
        .objects("workloads", namespace)
        .into_iter()
        .find(|one| one["metadata"]["name"] == name)?;
    let ready = workload["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|one| one["type"] == "Ready")?
        .clone();
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

fn releases(world: &World, options: &str) -> Vec<Json> {
    world.json(&format!("releases {options}"))["releases"]
        .as_array()
        .unwrap()
        .clone()
}

const DEV: &str = "-p demo -e dev";
const STAGING: &str = "-p demo -e staging";

fn with_database(megabytes: u32) -> String {
    let resources = format!("db:\n  type: sqlite\n  params: {{megabytes: {megabytes}}}");
    sleeper("app", "SIZE: ${resources.db.megabytes}", &resources)
}

#[test]
fn the_same_file_gets_another_module_in_staging_and_explain_says_why() {
    let world = World::with_quickstart();
    world.write("score.yaml", &with_database(16));
    let mut modules = Vec::new();
    for options in [DEV, STAGING] {
        let planned = world.json(&format!("plan score.yaml {options}"));
        world.ok(&format!("deploy score.yaml {options}"));
        let status = world.json(&format!("status {options}"));
        let module = member(&status, "app.db").unwrap()["module"].clone();
        assert_eq!(
            change(&planned, "app.db")["module"],
            module,
            "the plan told so before"
        );
        modules.push(module);
    }
    assert_eq!(modules, ["script/sqlite-file v1", "script/sqlite-seeded v1"]);
    for (name, options) in [("dev", DEV), ("staging", STAGING)] {
        let said = world.ok(&format!("explain app.db {options}"));
        insta::assert_snapshot!(format!("explain_{name}"), steady(&world, &said.stdout));
    }
}

#[test]
fn a_changed_param_is_an_update_that_names_the_field_and_goes_through_by_itself() {
    let world = World::with_quickstart();
    world.write("score.yaml", &with_database(16));
    world.ok(&format!("deploy score.yaml {DEV}"));
    let before = member(&world.json(&format!("status {DEV}")), "app.db.data").unwrap();

    world.write("score.yaml", &with_database(32));
    let plan = world.json(&format!("plan score.yaml {DEV}"));
    let planned = change(&plan, "app.db");
    assert_eq!(planned["action"], "update");
    assert_eq!(
        planned["fields"],
        json!([{"path": "megabytes", "before": 16, "after": 32}]),
        "{planned:#}"
    );
    assert_eq!(change(&plan, "app.db.data")["action"], "unchanged");
    assert_eq!(plan["gate"], json!({"needs": [], "destructive": []}));
    let said = world.ok(&format!("plan score.yaml {DEV}"));
    insta::assert_snapshot!("changed_param", steady(&world, &said.stdout));

    // Nobody agreed to anything: in automatic mode an update needs no person.
    world.ok(&format!("deploy score.yaml {DEV}"));
    let status = world.json(&format!("status {DEV}"));
    assert_eq!(member(&status, "app.db").unwrap()["outputs"]["megabytes"], 32);
    assert_eq!(member(&status, "app").unwrap()["phase"], "Ready");
    assert_eq!(
        member(&status, "app.db.data").unwrap()["since"],
        before["since"],
        "what is unchanged is left alone"
    );
}

/// A workload that answers at its port, and whose second container is ready once the other workload answered it and
/// both left their names in the shared folder.
fn caller(name: &str, other: &str) -> String {
    format!(
        "apiVersion: score.dev/v1b1
metadata: {{name: {name}}}
service:
  ports:
    web: {{port: 8080}}
containers:
  web:
    image: notes
    command: [podium, sample, notes]
    variables: {{TITLE: 'I am {name}', DATABASE: notes.sqlite, COOKIE_KEY: 0123456789abcdef}}
    readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}}}
  caller:
    image: bash
    command: [/bin/bash, -c]
    args:
      - |
        touch shared/{name}
        until exec 3<>\"/dev/tcp/$HOST/$OTHER\" && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q 'I am {other}' <&3 \\
            && test -e shared/{other}; do
          sleep 0.1
        done
        touch reached
        while :; do sleep 1; done
    variables: {{HOST: '${{resources.other.hostname}}', OTHER: '${{resources.other.port}}'}}
    volumes:
      /shared: {{source: '${{resources.common}}'}}
    readinessProbe: {{exec: {{command: [test, -e, reached]}}}}
resources:
  other:
    type: service-port
    params: {{workload: {other}, port: web}}
  common:
    type: volume
    id: common
"
    )
}

#[test]
fn two_workloads_share_a_resource_and_reach_each_other() {
    let world = World::with_examples();
    world.write("left.yaml", &caller("left", "right"));
    world.write("right.yaml", &caller("right", "left"));
    // One alone names a workload that is not there.
    let said = world.refuses("deploy left.yaml -p examples -e dev");
    insta::assert_snapshot!("other_workload_missing", said);

    world.ok("deploy left.yaml right.yaml -p examples -e dev --timeout 60s");
    let status = world.json("status -p examples -e dev");
    assert_eq!(status["phase"], "Ready", "{status:#}");
    assert_eq!(status["release"], 1, "one transaction, one release");
    let volumes: Vec<_> = status["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["type"] == "volume")
        .collect();
    assert_eq!(volumes.len(), 1, "both ask for the same one: {volumes:#?}");
    let explained = world.json("explain common -p examples -e dev");
    let requesters: Vec<_> = explained["resources"][0]["requestedBy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["requester"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(requesters, ["workload.default#left", "workload.default#right"]);

    // As long as one still asks for it, the shared folder stays; so does what the other needs of this one.
    let text = caller("right", "left");
    let kept = text.split("resources:").next().unwrap();
    let kept = kept
        .replace("${resources.other.hostname}", "127.0.0.1")
        .replace("${resources.other.port}", "1");
    let kept = kept.replace(
        "    volumes:\n      /shared: {source: '${resources.common}'}\n",
        "",
    );
    world.write("right.yaml", &kept.replace("[test, -e, reached]", "['true']"));
    let plan = world.json("plan right.yaml -p examples -e dev");
    assert_eq!(change(&plan, "common")["action"], "unchanged", "{plan:#}");
    assert_eq!(change(&plan, "right.other")["action"], "delete");
}

#[test]
fn a_removed_resource_is_planned_for_deletion_and_is_gone_after_deploy() {
    let world = World::with_quickstart();
    world.write("score.yaml", &with_database(16));
    world.ok(&format!("deploy score.yaml {DEV}"));
    let folders = world.volumes();
    assert_eq!(folders.len(), 1);
    assert!(folders[0].join("notes.sqlite").exists());

    world.write("score.yaml", &sleeper("app", "", ""));
    let said = world.ok(&format!("plan score.yaml {DEV}"));
    insta::assert_snapshot!("removed_resource_plan", steady(&world, &said.stdout));
    let said = world.refuses(&format!("deploy score.yaml {DEV}"));
    insta::assert_snapshot!("removed_resource_refused", steady(&world, &said));
    assert!(folders[0].exists());

    world.ok(&format!("deploy score.yaml {DEV} --yes"));
    let left: Vec<_> = world
        .objects("resources", "demo-dev")
        .iter()
        .map(|one| one["spec"]["id"].clone())
        .collect();
    assert_eq!(left, ["app"], "the objects of what was removed");
    assert_eq!(
        world.volumes(),
        Vec::<std::path::PathBuf>::new(),
        "the folder of the volume"
    );
}

#[test]
fn a_converted_file_leads_to_the_same_release_as_deploy() {
    let world = World::with_quickstart();
    world.write(
        "score.yaml",
        &with_database(16).replace(
            "    command",
            "    files:\n      /a.conf: {source: a.conf}\n    command",
        ),
    );
    world.write("a.conf", "size=${resources.db.megabytes}\n");
    world.ok("create environment -p demo -e other --type development");
    world.ok(&format!("deploy score.yaml {DEV}"));
    let converted = world.ok("convert score.yaml -p demo -e other");
    world.write("workload.yaml", &converted.stdout);
    kubectl_apply(&world, "workload.yaml");
    world.until("ready in the other environment", || {
        let (status, ..) = readiness(&world, "demo-other", "app")?;
        (status == "True").then_some(())
    });

    let graph = |options: &str| {
        let graph = world.json(&format!("graph {options}"));
        json!({"nodes": graph["nodes"], "edges": graph["edges"], "release": graph["release"]})
    };
    assert_eq!(graph(DEV), graph("-p demo -e other"));
    let resources = |options: &str| {
        let status = world.json(&format!("status {options}"));
        let part = |one: &Json| json!([one["id"], one["type"], one["module"], one["phase"]]);
        status["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(part)
            .collect::<Vec<_>>()
    };
    assert_eq!(resources(DEV), resources("-p demo -e other"));

    // The same objects by the other way change nothing: what deploy uploads and what convert writes inline is one.
    let [first] = releases(&world, "-p demo -e other").try_into().unwrap();
    assert_eq!(first["cause"], "change", "{first:#}");
    world.write("again.yaml", &converted.stdout);
    kubectl_apply(&world, "again.yaml");
    assert_eq!(releases(&world, "-p demo -e other"), [first]);
}

#[test]
fn deleting_the_namespace_removes_all_in_order_through_a_plan() {
    let world = World::with_quickstart();
    // The destroy step takes a moment, in which the order shows.
    world.apply(
        &(resource_type("slow", "{}", "{place: {type: string}}")
            + &module(
                "slow",
                "script",
                "dependencies: {data: {type: volume, id: \"@.data\"}}\nscript:\n  volumes: {data: \"${{ resources.data.outputs.source }}\"}\n  apply: [{name: make, run: 'echo place=here > \"$PODIUM_OUTPUT/outputs.env\"'}]\n  destroy: [{name: drop, run: \"sleep 2\"}]",
            )),
    );
    world.write(
        "score.yaml",
        &sleeper("app", "PLACE: ${resources.db.place}", "db: {type: slow}"),
    );
    world.ok(&format!("deploy score.yaml {DEV}"));
    assert_eq!((world.volumes().len(), world.workload_folders()), (1, 1));

    let deletion = match std::env::var_os("PODIUM_TEST_KUBECTL") {
        Some(_) => world.kubectl("delete namespace demo-dev --wait=false"),
        None => Some(world.ok("delete environment demo-dev --yes --detach")),
    };
    assert!(deletion.unwrap().stdout.contains("deleted"));
    world.until("the removal of the database", || {
        let status = world.run(&format!("status {DEV} -o json"));
        assert_eq!(status.code, 0, "it was over before it was seen: {status:#?}");
        let status = status.json();
        let database = member(&status, "app.db").unwrap();
        let workload = member(&status, "app").unwrap();
        // The document is there to the end; what was made of it is gone.
        (database["phase"] == "Deleting" && workload["resource"] == "").then_some(())
    });
    assert_eq!(
        world.workload_folders(),
        0,
        "what needs the database went before it"
    );
    assert_eq!(world.volumes().len(), 1, "what the database needs goes after it");
    let [_, removal] = <[Json; 2]>::try_from(world.objects("plans", "demo-dev")).unwrap();
    assert_eq!(removal["spec"]["summary"], json!({"delete": 3}), "{removal:#}");
    // Nothing new comes to be there meanwhile.
    let said = world.fails(&format!("deploy score.yaml {DEV} --yes"));
    assert!(said.stderr.contains("being deleted"), "{said:#?}");

    world.until("the end of the environment", || {
        let all = world.json("get environments");
        let gone = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["metadata"]["name"] != "demo-dev");
        gone.then_some(())
    });
    assert_eq!(world.volumes(), Vec::<std::path::PathBuf>::new());
    for kind in ["workloads", "resources", "releases", "plans", "runs"] {
        assert!(world.objects(kind, "demo-dev").is_empty(), "{kind}");
    }
    let said = world.fails(&format!("status {DEV}"));
    assert!(said.stderr.contains("podium create environment"), "{said:#?}");
}

#[test]
fn in_review_a_person_approves_each_release() {
    let world = World::with_quickstart();
    world.ok("create environment -p demo -e prod --mode review");
    world.write("score.yaml", &with_database(16));
    let said = world.fails("deploy score.yaml -p demo -e prod");
    insta::assert_snapshot!("waits_for_a_person", steady(&world, &said.stderr));
    assert!(said.stderr.contains("podium approve release-1 -n demo-prod"));
    assert!(
        world.volumes().is_empty(),
        "nothing is made before somebody agreed"
    );
    let status = world.json("status -p demo -e prod");
    assert_eq!(status["run"]["phase"], "AwaitingApproval", "{status:#}");

    world.ok("approve release-1 -n demo-prod");
    world.until("ready", || {
        let status = world.json("status -p demo -e prod");
        (status["phase"] == "Ready" && status.get("run").is_none()).then_some(())
    });
    assert_eq!(world.volumes().len(), 1);
    // Approved is approved: it cannot be done twice.
    let said = world.refuses("approve release-1 -n demo-prod");
    assert!(said.contains("does not wait for a person"), "{said}");

    // What is rejected is not done, and what was there stays as it was.
    world.write("score.yaml", &sleeper("app", "", ""));
    world.fails("deploy score.yaml -p demo -e prod --yes");
    world.ok("approve release-2 -n demo-prod --reject");
    world.until("rejected", || {
        let runs = world.objects("runs", "demo-prod");
        let run = runs
            .iter()
            .find(|run| run["metadata"]["name"] == "release-2")
            .unwrap();
        (run["status"]["phase"] == "Cancelled").then_some(())
    });
    assert_eq!(world.volumes().len(), 1);
    assert_eq!(
        member(&world.json("status -p demo -e prod"), "app.db").unwrap()["phase"],
        "Ready"
    );
}

#[test]
fn rollback_pins_until_it_is_lifted() {
    let world = World::with_quickstart();
    let size =
        || member(&world.json(&format!("status {DEV}")), "app.db").unwrap()["outputs"]["megabytes"].clone();
    for megabytes in [16, 32] {
        world.write("score.yaml", &with_database(megabytes));
        world.ok(&format!("deploy score.yaml {DEV}"));
    }
    assert_eq!(size(), 32);
    let said = world.ok(&format!("rollback 1 {DEV} -m 'too-large'"));
    assert!(said.stderr.contains("podium rollback --lift"), "{said:#?}");
    assert_eq!(size(), 16);
    let history = world.json(&format!("releases {DEV}"));
    assert_eq!(history["pinned"], 1, "{history:#}");
    assert_eq!(history["releases"][0]["number"], 3);
    assert_eq!(history["releases"][0]["rollbackTo"], 1);

    world.write("score.yaml", &with_database(64));
    let said = world.refuses(&format!("deploy score.yaml {DEV}"));
    insta::assert_snapshot!("deploy_onto_a_pin", steady(&world, &said));
    // Who writes objects is not refused, but told.
    let converted = world.ok(&format!("convert score.yaml {DEV}"));
    world.write("workload.yaml", &converted.stdout);
    kubectl_apply(&world, "workload.yaml");
    world.until("the reason on the workload", || {
        let (status, reason, _) = readiness(&world, "demo-dev", "app")?;
        (status == "False" && reason == "Pinned").then_some(())
    });
    assert_eq!(size(), 16);

    world.ok(&format!("rollback --lift {DEV}"));
    assert_eq!(size(), 64, "the documents as they stand are followed again");
    let history = world.json(&format!("releases {DEV}"));
    assert_eq!(history.get("pinned"), None);
    assert_eq!(history["releases"][0]["number"], 4);
    world.write("score.yaml", &with_database(128));
    world.ok(&format!("deploy score.yaml {DEV}"));
    assert_eq!(size(), 128);
    let said = world.refuses(&format!("rollback 77 {DEV}"));
    assert!(said.contains("77"), "{said}");
}

#[test]
fn deploy_merges_and_only_prune_removes() {
    let world = World::with_quickstart();
    let names = || {
        let status = world.json(&format!("status {DEV}"));
        status["workloads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].clone())
            .collect::<Vec<_>>()
    };
    for name in ["one", "two"] {
        world.write(&format!("{name}.yaml"), &sleeper(name, "", ""));
        world.ok(&format!("deploy {name}.yaml {DEV}"));
    }
    assert_eq!(names(), ["one", "two"]);
    world.refuses(&format!("deploy two.yaml {DEV} --prune"));
    world.ok(&format!("deploy two.yaml {DEV} --prune --yes"));
    assert_eq!(names(), ["two"]);
    assert_eq!(world.objects("workloads", "demo-dev").len(), 1);
    assert_eq!(world.workload_folders(), 1);
}

#[test]
fn destroy_empties_an_environment_and_keeps_it() {
    let world = World::with_quickstart();
    world.write("score.yaml", &with_database(16));
    world.ok(&format!("deploy score.yaml {DEV}"));
    let said = world.refuses(&format!("destroy {DEV}"));
    insta::assert_snapshot!("destroy_refused", steady(&world, &said));
    world.ok(&format!("destroy {DEV} --yes"));
    assert!(world.objects("resources", "demo-dev").is_empty());
    assert!(world.objects("workloads", "demo-dev").is_empty());
    assert_eq!((world.volumes().len(), world.workload_folders()), (0, 0));
    assert_eq!(releases(&world, DEV).len(), 2, "its history stays");
    world.ok(&format!("deploy score.yaml {DEV}"));
    assert_eq!(world.volumes().len(), 1);
}

/// A resource that must be made anew when its place changes.
fn bucket(step: &str) -> String {
    module(
        "bucket",
        "script",
        &format!(
            "inputs: {{place: \"${{{{ params.place }}}}\"}}\nreplaceOn: [place]\nscript:\n  apply:\n    - name: make\n      run: |\n        {step}\n        echo \"place=$INPUT_PLACE\" > \"$PODIUM_OUTPUT/outputs.env\""
        ),
    )
}

fn with_bucket(place: &str) -> String {
    sleeper(
        "app",
        "PLACE: ${resources.files.place}",
        &format!("files: {{type: bucket, params: {{place: {place}}}}}"),
    )
}

#[test]
fn a_replacement_is_refused_before_anything_is_committed_unless_agreed_to() {
    let world = World::with_quickstart();
    world.apply(
        &(resource_type("bucket", "{place: {type: string}}", "{place: {type: string}}") + &bucket("true")),
    );
    world.write("score.yaml", &with_bucket("here"));
    world.ok(&format!("deploy score.yaml {DEV}"));
    world.write("score.yaml", &with_bucket("there"));
    let said = world.refuses(&format!("deploy score.yaml {DEV}"));
    insta::assert_snapshot!("replacement_refused", steady(&world, &said));
    world.ok(&format!("deploy score.yaml {DEV} --yes"));
    let status = world.json(&format!("status {DEV}"));
    assert_eq!(member(&status, "app.files").unwrap()["outputs"]["place"], "there");
    assert_eq!(releases(&world, DEV)[0]["summary"]["replace"], 1);
}

#[test]
fn publishing_a_version_makes_no_release_and_the_next_one_shows_it() {
    let world = World::with_quickstart();
    world.apply(
        &(resource_type("bucket", "{place: {type: string}}", "{place: {type: string}}") + &bucket("true")),
    );
    world.write("score.yaml", &with_bucket("here"));
    world.ok(&format!("deploy score.yaml {DEV}"));

    world.apply(&bucket("echo second"));
    let module = world.json("get modules bucket");
    assert_eq!(module["status"]["version"], 2, "{module:#}");
    assert_eq!(releases(&world, DEV).len(), 1);
    assert_eq!(
        member(&world.json(&format!("status {DEV}")), "app.files").unwrap()["module"],
        "script/bucket v1"
    );

    let plan = world.json(&format!("plan score.yaml {DEV}"));
    let planned = change(&plan, "app.files");
    assert_eq!(
        (&planned["action"], &planned["previousModule"], &planned["module"]),
        (
            &json!("update"),
            &json!("script/bucket v1"),
            &json!("script/bucket v2")
        )
    );
    let said = world.ok(&format!("plan score.yaml {DEV}"));
    insta::assert_snapshot!("module_version", steady(&world, &said.stdout));
    world.ok(&format!("deploy score.yaml {DEV}"));
    assert_eq!(
        member(&world.json(&format!("status {DEV}")), "app.files").unwrap()["module"],
        "script/bucket v2"
    );

    // What something live was made with stays, whoever asks.
    let said = world.refuses("delete resourcetype bucket --yes");
    insta::assert_snapshot!("type_in_use", steady(&world, &said));
    let api = Api::of(&world);
    let path = "/apis/podium.dev/v1alpha1/moduleversions/bucket-v2";
    let (code, text) = api.send("DELETE", path, Some(&api.token), None);
    assert!(matches!(code, 403 | 405 | 409 | 422), "{code} {text}");
    assert_eq!(api.send("GET", path, Some(&api.token), None).0, 200);
}

#[test]
fn a_document_that_does_not_resolve_is_shown_and_others_go_on() {
    let world = World::with_quickstart();
    let write = |name: &str, resources: &str| {
        world.write("score.yaml", &sleeper(name, "", resources));
        let converted = world.ok(&format!("convert score.yaml {DEV}"));
        world.write(&format!("{name}.yaml"), &converted.stdout);
        kubectl_apply(&world, &format!("{name}.yaml"));
    };
    let reason = |name: &str| readiness(&world, "demo-dev", name);
    write("good", "");
    write("bad", "files: {type: bucket}");
    world.until("unresolved", || {
        let (status, reason, message) = reason("bad")?;
        (status == "False" && reason == "Unresolved" && message.contains("bucket")).then_some(())
    });
    world.until("the other goes on", || {
        (reason("good")?.0 == "True").then_some(())
    });

    // One that was well and is broken keeps what it had.
    write("good", "files: {type: bucket}");
    world.until("unresolved", || (reason("good")?.1 == "Unresolved").then_some(()));
    let shown = member(&world.json(&format!("status {DEV}")), "good").unwrap();
    assert_eq!(shown["phase"], "Waiting", "{shown:#}");
    assert!(
        shown["message"]
            .as_str()
            .unwrap()
            .contains("former document goes on"),
        "{shown:#}"
    );
    assert_eq!(world.workload_folders(), 1, "it runs all the same");
    write("third", "");
    world.until("the third goes on", || {
        (reason("third")?.0 == "True").then_some(())
    });
    assert_eq!(reason("good").unwrap().1, "Unresolved", "and it is still told");

    // Once the platform has what was missing, all of them go on by themselves.
    world.apply(
        &(resource_type(
            "bucket",
            "{place: {type: string, default: here}}",
            "{place: {type: string}}",
        ) + &bucket("true")),
    );
    for name in ["good", "bad"] {
        world.until("resolved", || (reason(name)?.0 == "True").then_some(()));
    }
    assert_eq!(
        member(&world.json(&format!("status {DEV}")), "good.files").unwrap()["phase"],
        "Ready"
    );
}

#[test]
fn a_project_goes_with_all_its_environments() {
    let world = World::with_quickstart();
    world.write("score.yaml", &with_database(16));
    for options in [DEV, STAGING] {
        world.ok(&format!("deploy score.yaml {options}"));
    }
    let said = world.refuses("delete project demo");
    insta::assert_snapshot!("project_deletion_refused", steady(&world, &said));
    let said = world.ok("delete project demo --yes");
    assert_eq!(said.stdout, "project/demo deleted\n");
    assert_eq!((world.volumes().len(), world.workload_folders()), (0, 0));
    let left = |kind: &str| {
        let all = world.json(&format!("get {kind}"));
        all["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["metadata"]["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(left("projects"), ["default"]);
    assert_eq!(left("environments"), ["default"]);
}
