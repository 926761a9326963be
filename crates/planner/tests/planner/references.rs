//! References between resources and between workloads: what orders the graph, and what is known at once.

use podium_model::coordinate::Coordinate;
use serde_json::json;

use crate::support::{Platform, drawn, resource, script, workload};

/// `service-port` passes on host and port of another workload.
fn with_service_ports(platform: Platform) -> Platform {
    platform
        .with_type(
            "service-port",
            &json!({"workload": {"type": "string"}, "port": {"type": "string"}}),
            &json!({
                "hostname": {"type": "string", "x-podium-identity": true},
                "port": {"type": "integer", "x-podium-identity": true},
            }),
        )
        .with_module(
            "service-port",
            &json!({
                "type": "service-port", "driver": "template", "inputs": {},
                "outputs": {
                    "hostname": "${{ workloads[params.workload].host }}",
                    "port": "${{ workloads[params.workload].ports[params.port] }}",
                },
            }),
        )
}

fn pair() -> [podium_planner::WorkloadInput; 2] {
    let document = |name: &str, other: &str| {
        workload(name)
            .listens("web")
            .asks(
                "other",
                "service-port",
                &json!({"workload": other, "port": "web"}),
            )
            .runs(&json!({"OTHER": "http://${other.hostname}:${other.port}/"}))
            .build()
    };
    [document("a", "b"), document("b", "a")]
}

#[test]
fn two_workloads_may_name_each_others_port() {
    let mut platform = with_service_ports(Platform::new());
    let graph = platform.graph(&pair());
    insta::assert_snapshot!("before_admission", drawn(&graph));
    platform.allot_ports(&graph);
    let graph = platform.graph(&pair());
    insta::assert_snapshot!("after_admission", drawn(&graph));
}

#[test]
fn applied_outputs_order_and_identity_outputs_do_not() {
    let platform = Platform::new().with_type(
        "db",
        &json!({"peer": {"type": "string"}}),
        &json!({"name": {"type": "string", "x-podium-identity": true}, "url": {"type": "string"}}),
    );
    let mut db = script("db");
    db["outputs"] = json!({"name": "db-${{ context.id }}"});
    let platform = platform.with_module("db", &db);
    let (one, two) = (resource("db", "one"), resource("db", "two"));
    let document = |output: &str| {
        workload("web")
            .asks_for("one", one.clone(), &json!({}))
            .asks_for(
                "two",
                two.clone(),
                &json!({"peer": format!("x-${{one.{output}}}")}),
            )
            .build()
    };
    let identity = platform.graph(&[document("name")]);
    assert!(identity.nodes[&two].needs.is_empty(), "identity does not order");
    assert_eq!(
        identity.nodes[&two].inputs.to_display(),
        json!({"inputs": {"peer": "x-db-one"}})
    );
    let applied = platform.graph(&[document("url")]);
    assert_eq!(
        applied.nodes[&two].needs.iter().collect::<Vec<_>>(),
        [&one],
        "what is made orders"
    );
    assert_eq!(
        applied.nodes[&two].inputs.to_display(),
        json!({"inputs": {"peer": "x-(later)"}})
    );
}

#[test]
fn an_applied_output_of_another_workload_adds_an_edge() {
    let platform = Platform::new()
        .with_type("after", &json!({"workload": {"type": "string"}}), &json!({}))
        .with_module(
            "after",
            &json!({
                "type": "after", "driver": "script", "script": {"apply": []},
                "inputs": {"since": "${{ workloads[params.workload].started }}"},
            }),
        );
    let graph = platform.graph(&[
        workload("first").build(),
        workload("then")
            .asks("first", "after", &json!({"workload": "first"}))
            .build(),
    ]);
    let needs: Vec<_> = graph.nodes[&resource("after", "then.first")]
        .needs
        .iter()
        .collect();
    assert_eq!(needs, [&Coordinate::workload("first")]);
}

#[test]
fn variables_of_the_environment_are_identity() {
    let platform = Platform::new();
    let mut platform = platform.with_module(
        "environment",
        &json!({"type": "environment", "driver": "template", "inputs": {}, "outputs": "${{ context.variables }}"}),
    );
    platform.input.types.push(podium_planner::TypeInput {
        resource_type: "environment".into(),
        owner: String::new(),
        params: None,
        outputs: Some(json!({
            "type": "object", "additionalProperties": {"type": "string", "x-podium-identity": true}
        })),
    });
    let document = |name: &str| {
        workload("web")
            .asks("env", "environment", &json!({}))
            .runs(&json!({"HERE": format!("${{env.{name}}}")}))
            .build()
    };
    let graph = platform.graph(&[document("REGION")]);
    let inputs = graph.nodes[&Coordinate::workload("web")].inputs.to_display();
    assert_eq!(inputs["inputs"]["containers"]["main"]["variables"]["HERE"], "eu");
    insta::assert_snapshot!(platform.problems(&[document("REGOIN")]));
}

#[test]
fn identity_outputs_cannot_come_from_what_is_made() {
    let with = |outputs: &serde_json::Value| {
        let mut db = script("db");
        db["outputs"] = outputs.clone();
        db["dependencies"] = json!({"part": {"type": "part"}});
        Platform::new()
            .with_type(
                "db",
                &json!({}),
                &json!({"name": {"type": "string", "x-podium-identity": true}}),
            )
            .with_module("db", &db)
            .with_plain("part", &json!({"made": {"type": "string"}}))
    };
    let document = || {
        workload("web")
            .asks("db", "db", &json!({}))
            .runs(&json!({"DB": "${db.name}"}))
            .build()
    };
    for (why, outputs) in [
        ("it is the tool's answer", json!({"name": "${{ outputs.name }}"})),
        ("it is not mapped", json!({})),
        (
            "it is made by another",
            json!({"name": "${{ resources.part.outputs.made }}"}),
        ),
        (
            "it is computed of what is made",
            json!({"name": "${{ resources.part.outputs.made + '-x' }}"}),
        ),
    ] {
        let text = with(&outputs).problems(&[document()]);
        assert_eq!(
            text.matches("promises `name`").count(),
            1,
            "{why}, told once: {text}"
        );
    }
    insta::assert_snapshot!(with(&json!({})).problems(&[document()]));
}

#[test]
fn identity_outputs_that_name_each_other_show_the_chain() {
    let platform = Platform::new()
        .with_type(
            "mirror",
            &json!({"of": {"type": "string"}}),
            &json!({"name": {"type": "string", "x-podium-identity": true}}),
        )
        .with_module(
            "mirror",
            &json!({
                "type": "mirror", "driver": "template", "inputs": {},
                "outputs": {"name": "${{ workloads[params.of].name }}"},
            }),
        )
        .with_version(
            "process",
            2,
            &json!({
                "type": "workload", "driver": "workload", "inputs": {},
                "outputs": {"name": "${{ workloads[params.containers.next].name }}", "host": "h", "ports": {}},
            }),
        );
    let next = |name: &str, next: &str| {
        workload(name)
            .param(
                "containers",
                podium_model::value::Value::from_json(&json!({"next": next})),
            )
            .build()
    };
    insta::assert_snapshot!(platform.problems(&[
        next("a", "b"),
        next("b", "c"),
        next("c", "a"),
        next("d", "a")
    ]));
    // A chain of many is bounded, as each link takes some stack.
    let many: Vec<_> = (0..500)
        .map(|n| next(&format!("w{n:03}"), &format!("w{:03}", n + 1)))
        .collect();
    let text = platform.problems(&many);
    assert!(
        text.contains("more than 100 outputs of which each names the next"),
        "{text}"
    );
}

#[test]
fn what_waits_is_computed_by_an_expression_later() {
    let mut db = script("db");
    db["dependencies"] = json!({"part": {"type": "part"}});
    db["inputs"] = json!({"next": "${{ int(resources.part.outputs.port) + 1 }}"});
    let platform = Platform::new()
        .with_type("db", &json!({}), &json!({}))
        .with_module("db", &db)
        .with_plain("part", &json!({"port": {"type": "string"}}));
    let graph = platform.graph(&[workload("web").asks("db", "db", &json!({})).build()]);
    let node = &graph.nodes[&resource("db", "web.db")];
    assert_eq!(
        node.needs.iter().collect::<Vec<_>>(),
        [&resource("part", "web.db")]
    );
    let part = podium_model::value::Value::from_json(&json!({"port": "41"}));
    let inputs = podium_planner::evaluate_inputs(&node.inputs, &|_| Some(part.clone())).unwrap();
    assert_eq!(inputs.to_display(), json!({"inputs": {"next": 42}}));
}
