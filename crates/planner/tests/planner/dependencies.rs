//! What modules ask for: dependencies and resources that come along.

use podium_model::coordinate::Coordinate;
use serde_json::json;

use crate::support::{Platform, drawn, resource, script, workload};

/// `db` needs an `instance` of everybody and a `password` of its own.
fn platform() -> Platform {
    let mut db = script("db");
    db["dependencies"] = json!({
        "instance": {"type": "instance", "id": "shared"},
        "password": {"type": "password", "id": "@.password", "params": {"length": "${{ params.length }}"}},
    });
    db["inputs"] = json!({
        "host": "${{ resources.instance.outputs.host }}",
        "password": "${{ resources.password.outputs.value }}",
        "name": "${{ context.id }}",
    });
    Platform::new()
        .with_type(
            "db",
            &json!({"length": {"type": "integer", "default": 16}}),
            &json!({"name": {"type": "string"}}),
        )
        .with_module("db", &db)
        .with_plain("instance", &json!({"host": {"type": "string"}}))
        .with_type(
            "password",
            &json!({"length": {"type": "integer"}}),
            &json!({"value": {"type": "string"}}),
        )
        .with_module("password", &script("password"))
}

#[test]
fn dependencies_become_nodes_that_come_first() {
    let graph = platform().graph(&[
        workload("web")
            .asks("db", "db", &json!({}))
            .runs(&json!({"DB": "${db.name}"}))
            .build(),
        workload("jobs").asks("db", "db", &json!({"length": 32})).build(),
    ]);
    insta::assert_snapshot!(drawn(&graph));
}

#[test]
fn class_and_id_are_inherited_by_the_at_sign_and_otherwise_default_and_own() {
    let mut cache = script("cache");
    cache["dependencies"] = json!({
        "own-id": {"type": "part"},
        "at-id": {"type": "part", "id": "@.x-@", "class": "@"},
        "computed": {"type": "part", "class": "${{ context.class + '-2' }}", "id": "${{ params.name }}@"},
        "literal": {"type": "part", "id": "all", "class": "small"},
        "number": {"type": "part", "id": "${{ params.shard }}"},
    });
    let mut platform = Platform::new()
        .with_type(
            "cache",
            &json!({"name": {"type": "string"}, "shard": {"type": "integer"}}),
            &json!({}),
        )
        .with_version("cache", 1, &cache)
        .with_rule("cache", &json!({"module": "cache", "class": "large"}))
        .with_plain("part", &json!({}));
    for class in ["large", "large-2", "small"] {
        platform = platform.with_rule(class, &json!({"module": "part", "class": class}));
    }
    let graph = platform.graph(&[workload("web")
        .asks_for(
            "cache",
            Coordinate::new("cache", "large", "c"),
            &json!({"name": "a@b", "shard": 7}),
        )
        .build()]);
    let needs: Vec<String> = graph.nodes[&Coordinate::new("cache", "large", "c")]
        .needs
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        needs,
        [
            "part.default#7",
            "part.default#c",
            "part.large#c.x-c",
            "part.large-2#a@bc",
            "part.small#all"
        ],
        "an @ in a param is left alone"
    );
}

#[test]
fn what_comes_along_waits_only_when_it_says_so() {
    let mut db = script("db");
    db["coprovisioned"] = json!([
        {"type": "dashboard", "params": {"size": 1}},
        {"type": "backup", "dependsOnThis": true},
        {"type": "workload", "id": "@-exporter", "params": {"containers": {"main": {"image": "exporter"}}}},
    ]);
    let mut backup = script("backup");
    backup["dependencies"] = json!({"db": {"type": "db"}});
    backup["inputs"] = json!({"name": "${{ resources.db.outputs.name }}"});
    let platform = Platform::new()
        .with_type("db", &json!({}), &json!({"name": {"type": "string"}}))
        .with_module("db", &db)
        .with_plain("dashboard", &json!({}))
        .with_type("backup", &json!({}), &json!({}))
        .with_module("backup", &backup);
    let graph = platform.graph(&[workload("web")
        .asks_for("db", resource("db", "orders"), &json!({}))
        .build()]);
    insta::assert_snapshot!(drawn(&graph));
}

#[test]
fn a_workloads_module_may_use_an_alias_that_the_document_uses() {
    let process = json!({
        "type": "workload", "driver": "workload",
        "inputs": {"sidecar": "${{ resources.db.outputs.name }}"},
        "outputs": {"name": "${{ context.id }}", "host": "h", "ports": {}},
        "dependencies": {"db": {"type": "db", "id": "shared"}},
    });
    let platform = Platform::new()
        .with_version("process", 2, &process)
        .with_plain("db", &json!({"name": {"type": "string"}}));
    let document = workload("web").asks_for("db", resource("db", "shared"), &json!({"size": 2}));
    let graph = platform.graph(&[document.build()]);
    let by = &graph.nodes[&resource("db", "shared")].requested_by;
    assert_eq!(by.len(), 2, "both requests count: {by:?}");
}

#[test]
fn scripts_are_given_environment_and_volumes_as_inputs() {
    let mut db = script("db");
    db["script"] = json!({
        "apply": [{"name": "make", "run": "true", "env": {"SIZE": "${{ params.size }}"}}],
        "volumes": {"data": "${{ resources.data.outputs.source }}"},
    });
    db["dependencies"] = json!({"data": {"type": "volume"}});
    db["inputs"] = json!({});
    let platform = Platform::new()
        .with_type("db", &json!({"size": {"type": "integer"}}), &json!({}))
        .with_module("db", &db)
        .with_type("volume", &json!({}), &json!({"source": {"type": "string"}}))
        .with_module("volume", &json!({"type": "volume", "driver": "volume"}));
    let graph = platform.graph(&[workload("web").asks("db", "db", &json!({"size": 3})).build()]);
    let inputs = graph.nodes[&resource("db", "web.db")].inputs.to_display();
    assert_eq!(
        inputs,
        json!({
            "inputs": {},
            "env": {"apply": [{"SIZE": 3}], "destroy": [], "observe": []},
            "volumes": {"data": "(later)"},
        })
    );
}
