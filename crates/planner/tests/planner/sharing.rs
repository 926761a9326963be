//! Resources with several requesters: params that join, conflicts, and requests that are taken back.

use podium_model::value::Value;
use serde_json::json;

use crate::support::{Platform, drawn, resource, script, workload};

fn bucket() -> Platform {
    Platform::new()
        .with_type(
            "bucket",
            &json!({
                "region": {"type": "string"},
                "rules": {"type": "object", "additionalProperties": {"type": "integer"}},
                "zones": {"type": "array", "items": {"type": "string"}},
            }),
            &json!({}),
        )
        .with_module("bucket", &script("bucket"))
}

#[test]
fn params_that_only_one_names_are_joined() {
    let shared = resource("bucket", "media");
    let graph = bucket().graph(&[
        workload("web")
            .asks_for("b", shared.clone(), &json!({"rules": {"days": 3}}))
            .build(),
        workload("jobs")
            .asks_for(
                "files",
                shared.clone(),
                &json!({"region": "eu", "rules": {"copies": 2}}),
            )
            .build(),
        workload("mail")
            .asks_for("b", shared.clone(), &json!({"region": "eu"}))
            .build(),
    ]);
    let node = &graph.nodes[&shared];
    assert_eq!(
        node.inputs.to_display(),
        json!({"inputs": {"region": "eu", "rules": {"days": 3, "copies": 2}}})
    );
    let by: Vec<_> = node
        .requested_by
        .iter()
        .map(|by| (by.alias.as_str(), by.params.to_display()))
        .collect();
    assert_eq!(
        by,
        [
            ("files", json!({"region": "eu", "rules": {"copies": 2}})),
            ("b", json!({"region": "eu"})),
            ("b", json!({"rules": {"days": 3}})),
        ],
        "each keeps what it asked for itself"
    );
}

#[test]
fn conflicts_name_both_sides_with_release_and_author() {
    let mut platform = bucket();
    let shared = resource("bucket", "media");
    let key = (shared.clone(), "workload.default#jobs".to_owned());
    platform.live.authors.insert(key, (7, "ada".to_owned()));
    let documents = [
        workload("web")
            .asks_for(
                "b",
                shared.clone(),
                &json!({"rules": {"days": 3}, "zones": ["a"]}),
            )
            .build(),
        workload("jobs")
            .asks_for("files", shared.clone(), &json!({"rules": {"days": 4}}))
            .build(),
    ];
    insta::assert_snapshot!(platform.problems(&documents));
    let lists = [
        workload("web")
            .asks_for("b", shared.clone(), &json!({"zones": ["a"]}))
            .build(),
        workload("jobs")
            .asks_for("b", shared, &json!({"zones": ["a", "b"]}))
            .build(),
    ];
    assert!(
        platform.problems(&lists).contains("disagree about `zones`"),
        "lists are not joined"
    );
}

#[test]
fn equal_secrets_and_references_agree() {
    let platform = bucket().with_plain("vault", &json!({"region": {"type": "string"}}));
    let vault = resource("vault", "v");
    let document = |name: &str| {
        workload(name)
            .asks_for("v", vault.clone(), &json!({}))
            .asks_for(
                "b",
                resource("bucket", "media"),
                &json!({"region": "${v.region}"}),
            )
            .build()
    };
    let graph = platform.graph(&[document("web"), document("jobs")]);
    let mut references = 0;
    graph.nodes[&resource("bucket", "media")]
        .inputs
        .each_reference(&mut |_| references += 1);
    assert_eq!(references, 1);
}

/// `fleet` asks for a `ship` by the size that the join of all requests gives, and a `ship` for its `crew`.
fn fleet() -> Platform {
    let mut fleet = script("fleet");
    fleet["dependencies"] = json!({"ship": {
        "type": "ship", "id": "${{ has(params.big) && params.big ? 'big' : 'small' }}",
        "params": {"big": "${{ has(params.big) && params.big }}"},
    }});
    let mut ship = script("ship");
    ship["dependencies"] = json!({"crew": {"type": "crew", "id": "@-crew"}});
    let mut ensign = script("ensign");
    // Two levels below the document, so `fleet` has been expanded by then.
    ensign["dependencies"] = json!({"deep": {"type": "deep"}});
    let mut deep = script("deep");
    deep["dependencies"] = json!({"fleet": {"type": "fleet", "id": "f", "params": {"big": true}}});
    Platform::new()
        .with_type("fleet", &json!({"big": {"type": "boolean"}}), &json!({}))
        .with_module("fleet", &fleet)
        .with_type("ship", &json!({"big": {"type": "boolean"}}), &json!({}))
        .with_module("ship", &ship)
        .with_plain("crew", &json!({}))
        .with_type("ensign", &json!({}), &json!({}))
        .with_module("ensign", &ensign)
        .with_type("deep", &json!({}), &json!({}))
        .with_module("deep", &deep)
}

#[test]
fn a_later_request_that_changes_params_takes_back_what_was_asked_before() {
    let platform = fleet();
    let alone = platform.graph(&[workload("web")
        .asks_for("f", resource("fleet", "f"), &json!({}))
        .build()]);
    assert!(alone.nodes.contains_key(&resource("crew", "small-crew")));
    let both = platform.graph(&[workload("web")
        .asks_for("f", resource("fleet", "f"), &json!({}))
        .asks_for("e", resource("ensign", "e"), &json!({}))
        .build()]);
    insta::assert_snapshot!(drawn(&both));
    assert!(!both.nodes.contains_key(&resource("ship", "small")), "the ship");
    assert!(
        !both.nodes.contains_key(&resource("crew", "small-crew")),
        "and its crew"
    );
}

#[test]
fn nodes_that_only_keep_each_other_alive_go() {
    // The small ship and its crew ask for each other.
    let mut crew = script("crew");
    crew["coprovisioned"] = json!([{"type": "ship", "id": "small", "params": {"big": false}}]);
    let platform = fleet().with_version("crew", 2, &crew);
    let graph = platform.graph(&[workload("web")
        .asks_for("f", resource("fleet", "f"), &json!({"big": false}))
        .build()]);
    assert!(
        graph.nodes.contains_key(&resource("crew", "small-crew")),
        "while a document leads there they stay"
    );
    let mut quiet = script("crew");
    quiet["coprovisioned"] =
        json!([{"type": "ship", "id": "${{ context.id == 'small-crew' ? 'small' : 'tug' }}"}]);
    let mut tug = script("ship");
    tug["dependencies"] = json!({"crew": {"type": "crew", "id": "${{ context.id == 'tug' ? 'tug-crew' : context.id + '-crew' }}"}});
    let platform = fleet()
        .with_version("crew", 2, &quiet)
        .with_version("ship", 2, &tug);
    let graph = platform.graph(&[workload("web")
        .asks_for("f", resource("fleet", "f"), &json!({}))
        .asks_for("e", resource("ensign", "e"), &json!({}))
        .build()]);
    let names: Vec<String> = graph.nodes.keys().map(ToString::to_string).collect();
    assert!(!names.iter().any(|name| name.contains("small")), "{names:?}");
}

#[test]
fn modules_that_never_come_to_rest_are_refused() {
    // Each round asks for the other size.
    let mut ship = script("ship");
    ship["coprovisioned"] = json!([
        {"type": "fleet", "id": "f", "params": {"big": "${{ context.id == 'small' ? true : null }}"}},
    ]);
    let mut fleet_type = fleet();
    fleet_type
        .input
        .types
        .retain(|entry| entry.resource_type != "fleet");
    let platform = fleet_type
        .with_type(
            "fleet",
            &json!({"big": {"type": "boolean", "nullable": true}}),
            &json!({}),
        )
        .with_version("ship", 2, &ship);
    let text = platform.problems(&[workload("web")
        .asks_for("f", resource("fleet", "f"), &json!({}))
        .build()]);
    insta::assert_snapshot!("never_at_rest", text);
    // Each round asks for one more.
    let mut counter = script("counter");
    counter["coprovisioned"] = json!([
        {"type": "counter", "id": "c", "params": {"n": "${{ (has(params.n) ? params.n : 0) + 1 }}"}},
    ]);
    let platform = Platform::new()
        .with_type("counter", &json!({"n": {"type": "integer"}}), &json!({}))
        .with_module("counter", &counter);
    let text = platform.problems(&[workload("web")
        .asks_for("c", resource("counter", "c"), &json!({}))
        .build()]);
    insta::assert_snapshot!("counts_up", text);
    let text = platform.problems(&[workload("web")
        .asks_for("c", resource("counter", "c"), &json!({"n": 1}))
        .build()]);
    insta::assert_snapshot!("disagrees_with_itself", text);
}

#[test]
fn defaults_fill_in_only_what_nobody_names() {
    let platform = Platform::new()
        .with_type(
            "bucket",
            &json!({"size": {"type": "integer", "default": 1}, "region": {"type": "string", "default": "eu"}}),
            &json!({}),
        )
        .with_module("bucket", &script("bucket"));
    let shared = resource("bucket", "media");
    let graph = platform.graph(&[
        workload("web").asks_for("b", shared.clone(), &json!({})).build(),
        workload("jobs")
            .asks_for("b", shared.clone(), &json!({"size": 5}))
            .build(),
    ]);
    let node = &graph.nodes[&shared];
    assert_eq!(
        node.inputs.to_display(),
        json!({"inputs": {"size": 5, "region": "eu"}})
    );
    assert_eq!(
        node.requested_by[1].params,
        Value::empty_map(),
        "a default is nobody's request"
    );
}
