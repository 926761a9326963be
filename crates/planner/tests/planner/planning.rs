//! From a graph and what is live to a plan.

use std::collections::BTreeMap;

use podium_model::coordinate::Coordinate;
use podium_model::kinds::{DriverKind, Mode};
use podium_model::plan::Action;
use podium_model::value::{Handle, Value};
use podium_planner::{GateOptions, declared_outputs, difference};
use serde_json::{Value as Json, json};

use crate::support::{Document, Platform, World, planned, resource, script, workload};

/// `db` is made by a script; its size can change, its engine cannot.
fn platform() -> Platform {
    let mut db = script("db");
    db["replaceOn"] = json!(["engine.name", "zone"]);
    Platform::new()
        .with_type(
            "db",
            &json!({
                "size": {"type": "integer"}, "zone": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}},
                "engine": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }),
            &json!({"host": {"type": "string"}, "port": {"type": "integer"}}),
        )
        .with_module("db", &db)
}

fn web(params: &Json) -> Document {
    workload("web")
        .asks("db", "db", params)
        .runs(&json!({"DB": "db://${db.host}"}))
}

fn live(platform: &mut Platform, document: Document) -> World {
    let mut world = World::default();
    world.deploy(platform, &[document.build()]);
    world
}

#[test]
fn what_is_not_there_is_created_and_what_waits_is_pending() {
    let platform = platform();
    let graph = platform.graph(&[web(&json!({"size": 1})).listens("http").build()]);
    insta::assert_snapshot!(planned(&World::default().plan(&platform, &graph)));
}

#[test]
fn what_was_applied_is_unchanged() {
    let mut platform = platform();
    let world = live(&mut platform, web(&json!({"size": 1})).listens("http"));
    let graph = platform.graph(&[web(&json!({"size": 1})).listens("http").build()]);
    let plan = world.plan(&platform, &graph);
    assert!(plan.is_empty(), "{}", planned(&plan));
    assert_eq!(plan.changes.len(), 2, "it is listed nevertheless");
    assert!(plan.gate.needs.is_empty());
}

#[test]
fn a_changed_param_is_an_update_that_names_the_field() {
    let mut platform = platform();
    let world = live(&mut platform, web(&json!({"size": 1, "tags": ["a", "b"]})));
    let graph = platform.graph(&[web(&json!({"size": 2, "tags": ["a"]})).build()]);
    let plan = world.plan(&platform, &graph);
    insta::assert_snapshot!(planned(&plan));
    assert!(plan.gate.needs.is_empty(), "an update goes on by itself");
}

#[test]
fn some_inputs_replace() {
    let before = json!({"size": 1, "zone": "a", "engine": {"name": "pg", "version": 15}});
    for (why, after, replaces) in [
        (
            "the field itself",
            json!({"size": 1, "zone": "b", "engine": {"name": "pg", "version": 15}}),
            true,
        ),
        (
            "a part of a map",
            json!({"size": 1, "zone": "a", "engine": {"name": "my", "version": 15}}),
            true,
        ),
        (
            "another part of the map",
            json!({"size": 1, "zone": "a", "engine": {"name": "pg", "version": 16}}),
            false,
        ),
        ("the map goes", json!({"size": 1, "zone": "a"}), true),
        (
            "the field goes",
            json!({"size": 1, "engine": {"name": "pg", "version": 15}}),
            true,
        ),
        (
            "something else",
            json!({"size": 2, "zone": "a", "engine": {"name": "pg", "version": 15}}),
            false,
        ),
    ] {
        let mut platform = platform();
        let world = live(&mut platform, web(&before));
        let graph = platform.graph(&[web(&after).build()]);
        let plan = world.plan(&platform, &graph);
        let change = plan
            .changes
            .iter()
            .find(|change| change.resource.resource_type == "db")
            .unwrap();
        let expected = if replaces { Action::Replace } else { Action::Update };
        assert_eq!(change.action, expected, "{why}: {}", planned(&plan));
        assert_eq!(
            change.fields.iter().any(|field| field.forces_replacement),
            replaces,
            "{why}"
        );
    }
}

#[test]
fn what_is_not_known_does_not_replace_before_it_is() {
    let mut platform = platform().with_plain("zone", &json!({"name": {"type": "string"}}));
    let document = |size: u32| {
        workload("web").asks("zone", "zone", &json!({"size": size})).asks(
            "db",
            "db",
            &json!({"zone": "${zone.name}", "size": 1}),
        )
    };
    let world = live(&mut platform, document(1));
    let graph = platform.graph(&[document(2).build()]);
    insta::assert_snapshot!(planned(&world.plan(&platform, &graph)));
}

#[test]
fn an_applied_output_that_does_not_change_keeps_others_unchanged() {
    let mut platform = platform();
    let mut world = live(&mut platform, web(&json!({"size": 1})));
    let graph = platform.graph(&[web(&json!({"size": 2})).build()]);
    let draft = world.draft(&platform, &graph);
    let actions: Vec<_> = draft
        .nodes
        .iter()
        .map(|node| (node.coordinate.id.as_str(), node.action))
        .collect();
    assert_eq!(
        actions,
        [("web.db", Action::Update), ("web", Action::Update)],
        "nobody can know before"
    );
    world.apply_node(&graph, &resource("db", "web.db"));
    let draft = world.draft(&platform, &graph);
    assert!(draft.nodes.is_empty(), "its host is what it was");
}

#[test]
fn what_follows_from_known_outputs_is_known() {
    // A part whose outputs pass on those of a resource that does not change.
    let mut instance = script("instance");
    instance["dependencies"] = json!({"password": {"type": "password"}});
    instance["outputs"] =
        json!({"password": "${{ resources.password.outputs.value }}", "id": "${{ outputs.id }}"});
    let platform = Platform::new()
        .with_plain("password", &json!({"value": {"type": "string"}}))
        .with_type(
            "instance",
            &json!({"size": {"type": "integer"}}),
            &json!({"password": {"type": "string"}, "id": {"type": "string"}}),
        );
    for driver in ["script", "template"] {
        let mut module = instance.clone();
        module["driver"] = json!(driver);
        if driver == "template" {
            module["inputs"] = json!({"id": "x", "size": "${{ params.size }}"});
        }
        let mut platform = platform.clone().with_module("instance", &module);
        let document = |size: u32| {
            workload("web")
                .asks("i", "instance", &json!({"size": size}))
                .runs(&json!({"P": "${i.password}"}))
        };
        let world = live(&mut platform, document(1));
        let graph = platform.graph(&[document(2).build()]);
        let draft = world.draft(&platform, &graph);
        let changed: Vec<_> = draft
            .nodes
            .iter()
            .map(|node| node.coordinate.to_string())
            .collect();
        assert_eq!(
            changed,
            ["instance.default#web.i"],
            "{driver}: the workload's password is known"
        );
    }
}

#[test]
fn what_only_outputs_take_from_others_is_a_change_too() {
    let mut address = script("address");
    address["dependencies"] = json!({"base": {"type": "base"}});
    address["outputs"] =
        json!({"url": "base://${{ resources.base.outputs.key }}", "id": "${{ outputs.id }}"});
    for driver in ["script", "template"] {
        let mut module = address.clone();
        module["driver"] = json!(driver);
        module["inputs"] = if driver == "template" {
            json!({"id": "x"})
        } else {
            json!({})
        };
        let mut platform = Platform::new()
            .with_plain("base", &json!({"key": {"type": "string"}}))
            .with_type(
                "address",
                &json!({}),
                &json!({"url": {"type": "string"}, "id": {"type": "string"}}),
            )
            .with_module("address", &module);
        let document = workload("web")
            .asks("a", "address", &json!({}))
            .runs(&json!({"URL": "${a.url}"}));
        let mut world = live(&mut platform, document.clone());
        let graph = platform.graph(&[document.build()]);
        assert!(world.draft(&platform, &graph).nodes.is_empty(), "{driver}");

        // As after a replacement: another key, and nothing else.
        let base = world
            .resources
            .get_mut(&resource("base", "web.a"))
            .expect("base is live");
        base.outputs = Value::from_json(&json!({"key": "another"}));
        let changed = |world: &World| -> Vec<String> {
            let draft = world.draft(&platform, &graph);
            draft
                .nodes
                .iter()
                .map(|node| format!("{} {}", node.action, node.coordinate))
                .collect()
        };
        let web = ["update address.default#web.a", "update workload.default#web"];
        assert_eq!(changed(&world), web, "{driver}");
        world.apply_node(&graph, &resource("address", "web.a"));
        assert_eq!(changed(&world), web[1..], "{driver}");
        world.apply_node(&graph, &Coordinate::workload("web"));
        assert_eq!(changed(&world), [""; 0], "{driver}");
    }
}

#[test]
fn what_is_no_longer_asked_for_is_deleted_in_reverse_order() {
    let mut platform = platform();
    let mut db = script("db");
    db["dependencies"] = json!({"part": {"type": "part"}, "shared": {"type": "part", "id": "shared"}});
    db["inputs"] = json!({"host": "${{ resources.part.outputs.host }}"});
    platform = platform
        .with_version("db", 1, &db)
        .with_plain("part", &json!({"host": {"type": "string"}}));
    let mut world = World::default();
    let other = workload("jobs")
        .asks_for("p", resource("part", "shared"), &json!({}))
        .build();
    world.deploy(&mut platform, &[web(&json!({})).build(), other.clone()]);
    let graph = platform.graph(std::slice::from_ref(&other));
    let plan = world.plan(&platform, &graph);
    insta::assert_snapshot!(planned(&plan));
    let draft = world.draft(&platform, &graph);
    let needs = |id: &str| -> Vec<String> {
        let node = draft
            .nodes
            .iter()
            .find(|node| node.coordinate.id == id && !node.coordinate.is_workload());
        node.unwrap().needs.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        needs("web.db").len(),
        2 - 1,
        "it waits for the workload that used it"
    );
    world.apply(&platform, &graph);
    assert_eq!(world.resources.len(), 2, "jobs and the shared part stay");
    let everything = world.plan(&platform, &podium_model::graph::Graph::default());
    assert_eq!(everything.effective().count(), 2);
}

#[test]
fn what_uses_a_resource_lets_go_of_it_before_it_is_deleted() {
    let mut platform = platform();
    let mut world = live(&mut platform, web(&json!({})));
    let graph = platform.graph(&[workload("web").runs(&json!({"DB": "none"})).build()]);
    let draft = world.draft(&platform, &graph);
    let delete = draft
        .nodes
        .iter()
        .find(|node| node.action == Action::Delete)
        .unwrap();
    assert_eq!(
        delete.needs.iter().collect::<Vec<_>>(),
        [&Coordinate::workload("web")]
    );
    world.apply(&platform, &graph);
    assert!(world.plan(&platform, &graph).is_empty());
}

#[test]
fn records_of_needs_that_form_a_cycle_do_not_hold_up_deletion() {
    let mut platform = platform();
    let mut world = live(&mut platform, web(&json!({})));
    let (web, db) = (Coordinate::workload("web"), resource("db", "web.db"));
    world.resources.get_mut(&db).unwrap().needs = vec![web.clone()];
    let plan = world.plan(&platform, &podium_model::graph::Graph::default());
    assert_eq!(plan.effective().count(), 2);
    world.apply(&platform, &podium_model::graph::Graph::default());
    assert!(world.resources.is_empty());
}

#[test]
fn an_apply_that_did_not_end_is_done_again() {
    let mut platform = platform();
    let mut world = live(&mut platform, web(&json!({"size": 1})));
    let graph = platform.graph(&[web(&json!({"size": 1})).build()]);
    let db = resource("db", "web.db");
    world.resources.get_mut(&db).unwrap().complete = false;
    insta::assert_snapshot!("change_did_not_end", planned(&world.plan(&platform, &graph)));
    world.resources.get_mut(&db).unwrap().made = false;
    insta::assert_snapshot!("creation_did_not_end", planned(&world.plan(&platform, &graph)));
    world.resources.get_mut(&db).unwrap().digest = String::new();
    let plan = world.plan(&platform, &graph);
    assert_eq!(plan.changes[0].action, Action::Create, "nothing was begun");
    assert!(plan.changes[0].notes.is_empty());
}

#[test]
fn a_new_version_updates_and_another_module_replaces() {
    let mut platform = platform();
    let world = live(&mut platform, web(&json!({"size": 1})));
    let documents = [web(&json!({"size": 1})).build()];
    let newer = platform.clone().with_version("db", 2, &script("db"));
    let graph = newer.graph(&documents);
    insta::assert_snapshot!("new_version", planned(&world.plan(&newer, &graph)));
    let other = platform
        .clone()
        .with_version("managed-db", 3, &script("db"))
        .with_rule("managed", &json!({"module": "managed-db", "project": "shop"}));
    let graph = other.graph(&documents);
    insta::assert_snapshot!("another_module", planned(&world.plan(&other, &graph)));
    let mut template = script("db");
    template["driver"] = json!("template");
    template["inputs"] = json!({"host": "h", "port": 1});
    let driver = platform.with_version("db", 2, &template);
    let graph = driver.graph(&documents);
    insta::assert_snapshot!("another_driver", planned(&world.plan(&driver, &graph)));
}

#[test]
fn protection_and_review_wait_for_a_person() {
    let mut platform = platform();
    let mut world = live(&mut platform, web(&json!({"size": 1, "zone": "a"})));
    world
        .resources
        .get_mut(&resource("db", "web.db"))
        .unwrap()
        .protect = true;
    let replaced = platform.graph(&[web(&json!({"size": 1, "zone": "b"})).build()]);
    let agreed = GateOptions {
        mode: Mode::Automatic,
        destructive_allowed: true,
    };
    let plan = world.plan_with(&platform, &replaced, &agreed);
    insta::assert_snapshot!("protected_replace", planned(&plan));
    let gone = platform.graph(&[workload("web").build()]);
    insta::assert_snapshot!("protected_delete", planned(&world.plan(&platform, &gone)));
    let updated = platform.graph(&[web(&json!({"size": 2, "zone": "a"})).build()]);
    assert!(
        world.plan(&platform, &updated).gate.needs.is_empty(),
        "an update is not refused"
    );
    let review = GateOptions {
        mode: Mode::Review,
        destructive_allowed: true,
    };
    let needs = world.plan_with(&platform, &updated, &review).gate.needs;
    assert_eq!(
        needs,
        ["the environment is in review: a person approves each release"]
    );
    let same = platform.graph(&[web(&json!({"size": 1, "zone": "a"})).build()]);
    assert!(
        world.plan_with(&platform, &same, &review).gate.needs.is_empty(),
        "nothing changes, nobody is asked"
    );
}

#[test]
fn what_would_be_lost_needs_consent() {
    let mut platform = platform();
    let world = live(&mut platform, web(&json!({"size": 1, "zone": "a"})));
    let graph = platform.graph(&[workload("web").build()]);
    let plan = world.plan(&platform, &graph);
    assert_eq!(plan.gate.destructive, ["delete web.db (db)"]);
    assert_eq!(
        plan.gate.needs,
        ["what is replaced or deleted is lost: delete web.db (db)"]
    );
    let agreed = GateOptions {
        mode: Mode::Automatic,
        destructive_allowed: true,
    };
    assert!(world.plan_with(&platform, &graph, &agreed).gate.needs.is_empty());
    assert_eq!(
        world.plan_with(&platform, &graph, &agreed).digest,
        plan.digest,
        "consent is given to the same digest"
    );
}

#[test]
fn a_digest_names_what_changes() {
    let mut platform = platform();
    let world = live(&mut platform, web(&json!({"size": 1})));
    let digest = |params: &Json| {
        let graph = platform.graph(&[web(params).build()]);
        world.plan(&platform, &graph).digest
    };
    assert_eq!(digest(&json!({"size": 2})), digest(&json!({"size": 2})));
    assert_ne!(
        digest(&json!({"size": 2})),
        digest(&json!({"size": 3})),
        "another value"
    );
    assert_ne!(
        digest(&json!({"size": 2})),
        digest(&json!({"size": 1})),
        "no change"
    );
    let empty = World::default();
    let mut before_ports = Platform::new();
    let document = [workload("web").listens("http").build()];
    let plan = empty.plan(&before_ports, &before_ports.graph(&document));
    before_ports.allot_ports(&before_ports.graph(&document));
    let deployed = empty.plan(&before_ports, &before_ports.graph(&document));
    assert_eq!(
        plan.digest, deployed.digest,
        "ports that a creation is allotted do not change what was shown"
    );
}

#[test]
fn secrets_are_shown_as_marks_and_compared_by_handle() {
    let mut platform = platform();
    let document = |handle: &str| {
        let mut document = web(&json!({"size": 1})).build();
        let secret = Value::Sensitive(Handle::new(handle));
        document.requests[0].params = Value::Map(BTreeMap::from([("zone".to_owned(), secret)]));
        document
    };
    let mut world = World::default();
    world.deploy(&mut platform, &[document("aa")]);
    assert!(
        world
            .plan(&platform, &platform.graph(&[document("aa")]))
            .is_empty()
    );
    let plan = world.plan(&platform, &platform.graph(&[document("bb")]));
    let text = planned(&plan);
    assert!(text.contains("zone: \"(secret)\" → \"(secret)\""), "{text}");
}

#[test]
fn nodes_come_after_what_they_need() {
    let mut platform = platform();
    let documents: Vec<_> = (0..20)
        .map(|n| {
            workload(&format!("w{n}"))
                .asks("db", "db", &json!({"size": n}))
                .runs(&json!({"H": "${db.host}"}))
                .build()
        })
        .collect();
    let mut world = World::default();
    // `World::apply` checks each.
    world.deploy(&mut platform, &documents);
    assert_eq!(world.resources.len(), 40);
}

#[test]
fn outputs_are_declared_by_the_mapping_and_taken_over_by_name() {
    let mut db = script("db");
    db["outputs"] =
        json!({"host": "${{ outputs.address.host }}:1", "fixed": "f", "port": "${{ outputs.address.port }}"});
    let platform = Platform::new()
        .with_type(
            "db",
            &json!({}),
            &json!({
                "host": {"type": "string"}, "port": {"type": "integer"}, "fixed": {"type": "string"},
                "user": {"type": "string"}, "note": {"type": "string"},
            }),
        )
        .with_module("db", &db);
    let graph = platform.graph(&[workload("web").asks("db", "db", &json!({})).build()]);
    let node = &graph.nodes[&resource("db", "web.db")];
    let declare = |tool: &Json| {
        declared_outputs(&node.coordinate, &node.outputs, &Value::from_json(tool), &|_| {
            None
        })
        .map(|outputs| outputs.to_display())
        .map_err(|error| error.to_string())
    };
    assert_eq!(
        declare(&json!({"address": {"host": "h", "port": 5}, "user": "u", "ignored": true})),
        Ok(json!({"host": "h:1", "port": 5, "fixed": "f", "user": "u"})),
        "what the tool does not answer by name is left out"
    );
    assert_eq!(
        declare(&json!({"address": {"host": "h"}})),
        Err("`outputs.address.port`: there is no `port`, only host".to_owned()),
        "what the mapping names must be there"
    );
}

#[test]
fn a_whole_answer_serves_a_type_without_schema() {
    let mut platform = Platform::new().with_module("any", &script("any"));
    platform.input.types.push(podium_planner::TypeInput {
        resource_type: "any".into(),
        owner: String::new(),
        params: None,
        outputs: None,
    });
    let document = workload("web")
        .asks("a", "any", &json!({}))
        .runs(&json!({"X": "${a.deep.value}"}))
        .build();
    let graph = platform.graph(&[document]);
    let node = &graph.nodes[&resource("any", "web.a")];
    let tool = Value::from_json(&json!({"deep": {"value": 7}}));
    let outputs = declared_outputs(&node.coordinate, &node.outputs, &tool, &|_| None).unwrap();
    assert_eq!(outputs, tool);
    let web = &graph.nodes[&Coordinate::workload("web")];
    let inputs = podium_planner::evaluate_inputs(&web.inputs, &|_| Some(outputs.clone())).unwrap();
    assert_eq!(
        inputs.to_display()["inputs"]["containers"]["main"]["variables"]["X"],
        "7"
    );
}

#[test]
fn an_expression_over_known_outputs_that_fails_names_its_node() {
    let mut user = script("user");
    user["dependencies"] = json!({"db": {"type": "db"}});
    user["inputs"] = json!({"n": "${{ int(resources.db.outputs.host) }}"});
    let mut platform = platform()
        .with_type("user", &json!({}), &json!({}))
        .with_module("user", &user);
    let mut world = World::default();
    world.deploy(
        &mut platform,
        &[workload("web")
            .asks_for("db", resource("db", "x"), &json!({}))
            .build()],
    );
    let graph = platform.graph(&[workload("web")
        .asks_for("u", resource("user", "x"), &json!({}))
        .build()]);
    let error = podium_planner::Draft::assemble(&graph, &world.resources, &platform.context).unwrap_err();
    assert_eq!(error.0, resource("user", "x"));
}

#[test]
fn differences_name_each_field_once() {
    let before = Value::from_json(&json!({"a": 1, "b": {"c": [1, 2], "d e": 1}, "gone": {"x": 1, "y": {}}}));
    let after = Value::from_json(&json!({"a": 1, "b": {"c": [1, 3, 4], "d e": 2}, "new": {"z": null}}));
    let lines: Vec<String> = difference(&before, &after)
        .into_iter()
        .map(|field| format!("{}: {:?} → {:?}", field.path, field.before, field.after))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert!(difference(&before, &before).is_empty());
}

#[test]
fn previews_know_what_follows_from_inputs() {
    let mut platform = Platform::new()
        .with_type("volume", &json!({}), &json!({"source": {"type": "string"}}))
        .with_module("volume", &json!({"type": "volume", "driver": "volume"}))
        .with_type(
            "url",
            &json!({"of": {"type": "string"}}),
            &json!({"text": {"type": "string"}}),
        )
        .with_module(
            "url",
            &json!({"type": "url", "driver": "template", "inputs": {"text": "x:${{ params.of }}"}}),
        );
    let document = workload("web")
        .asks("v", "volume", &json!({}))
        .asks("u", "url", &json!({"of": "${v.source}"}))
        .runs(&json!({"U": "${u.text}"}))
        .build();
    let graph = platform.graph(std::slice::from_ref(&document));
    let mut world = World::default();
    let draft = world.draft(&platform, &graph);
    assert!(
        draft.nodes.iter().all(|node| node.inputs.is_known()),
        "everything follows"
    );
    let predicted = draft
        .nodes
        .iter()
        .find(|node| node.driver == DriverKind::Workload)
        .unwrap()
        .inputs
        .clone();
    world.deploy(&mut platform, &[document]);
    assert_eq!(
        world.applied[&Coordinate::workload("web")],
        predicted,
        "and came true"
    );
}
