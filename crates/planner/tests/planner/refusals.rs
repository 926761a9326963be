//! What is refused: each mistake with its document, its place and what to do. The texts are snapshots.

use std::collections::BTreeSet;

use podium_planner::{CompiledModule, ModuleVersionInput, WorkloadInput};
use serde_json::{Value as Json, json};

use crate::support::{Platform, resource, script, shown, workload};

fn platform() -> Platform {
    Platform::new()
        .with_type(
            "postgres",
            &json!({"size": {"type": "integer", "minimum": 1}, "tier": {"type": "string", "enum": ["s", "l"]}}),
            &json!({"host": {"type": "string"}, "port": {"type": "integer"}}),
        )
        .with_module("postgres", &script("postgres"))
}

fn refused(platform: &Platform, documents: &[WorkloadInput]) -> String {
    let text = platform.problems(documents);
    assert_ne!(text, "", "the document is refused");
    text
}

#[test]
fn unknown_type() {
    let document = workload("web")
        .asks("db", "postgers", &json!({}))
        .asks("x", "queue", &json!({}))
        .build();
    insta::assert_snapshot!(refused(&platform(), &[document]));
}

#[test]
fn unknown_output() {
    let document = workload("web")
        .asks("db", "postgres", &json!({}))
        .runs(&json!({"URL": "postgres://${db.hots}/x", "NAME": "${db.name}", "PORT": "${db.port}"}))
        .build();
    insta::assert_snapshot!(refused(&platform(), &[document]));
}

#[test]
fn wrong_params() {
    let documents = [
        workload("web")
            .asks("db", "postgres", &json!({"size": "big", "sise": 3}))
            .build(),
        workload("jobs")
            .asks("db", "postgres", &json!({"size": 0, "tier": "xl"}))
            .build(),
        workload("mail")
            .asks("db", "postgres", &json!({"tier": ["l"]}))
            .build(),
    ];
    insta::assert_snapshot!(refused(&platform(), &documents));
}

#[test]
fn params_that_are_not_known_yet_are_taken_to_be_right_as_far_as_they_can_be() {
    let platform = platform().with_type(
        "either",
        &json!({"port": {"type": "integer"}, "text": {"type": "string", "pattern": "^x"}}),
        &json!({}),
    );
    let mut platform = platform.with_module("either", &script("either"));
    for entry in platform
        .input
        .types
        .iter_mut()
        .filter(|entry| entry.resource_type == "either")
    {
        entry.params.as_mut().unwrap()["anyOf"] = json!([
            {"properties": {"port": {"minimum": 10}}, "required": ["port"]},
            {"properties": {"port": {"maximum": 0}}, "required": ["port"]},
        ]);
    }
    let document = |params: &Json| {
        workload("web")
            .asks("db", "postgres", &json!({}))
            .asks("e", "either", params)
            .build()
    };
    for right in [
        json!({"port": "${db.port}"}),
        json!({"port": 11, "text": "${db.host}-x"}),
    ] {
        assert_eq!(platform.problems(&[document(&right)]), "", "{right}");
    }
    let text = refused(&platform, &[document(&json!({"port": "${db.port}0"}))]);
    assert!(
        text.contains("must be of type integer"),
        "a text is a text for certain: {text}"
    );
    let text = refused(&platform, &[document(&json!({"port": 5}))]);
    assert!(text.contains("anyOf"), "what is known is judged: {text}");
}

#[test]
fn no_module_for_this_environment_or_class() {
    let platform = Platform::new()
        .with_type("db", &json!({}), &json!({}))
        .with_type("queue", &json!({}), &json!({}))
        .with_version("db", 1, &script("db"))
        .with_rule("prod", &json!({"module": "db", "environmentType": "production"}))
        .with_rule("large", &json!({"module": "db", "class": "large"}));
    let document = workload("web")
        .asks("db", "db", &json!({}))
        .asks("q", "queue", &json!({}))
        .build();
    insta::assert_snapshot!(refused(&platform, &[document]));
}

#[test]
fn missing_tool() {
    let mut db = script("db");
    db["tools"] = json!(["psql", "jq", "sh"]);
    let mut platform = Platform::new()
        .with_type("db", &json!({}), &json!({}))
        .with_module("db", &db);
    let document = workload("web").asks("db", "db", &json!({})).build();
    assert_eq!(
        platform.problems(std::slice::from_ref(&document)),
        "",
        "a runner that has not reported is not known to lack anything"
    );
    platform
        .input
        .tools
        .insert("process".into(), BTreeSet::from(["sh".to_owned()]));
    insta::assert_snapshot!(refused(&platform, &[document]));
}

fn with_service_ports() -> Platform {
    Platform::new()
        .with_type(
            "service-port",
            &json!({"workload": {"type": "string"}, "port": {"type": "string"}}),
            &json!({"port": {"type": "integer", "x-podium-identity": true}, "since": {"type": "string"}}),
        )
        .with_module(
            "service-port",
            &json!({
                "type": "service-port", "driver": "template", "inputs": {},
                "outputs": {
                    "port": "${{ workloads[params.workload].ports[params.port] }}",
                    "since": "${{ workloads[params.workload].started }}",
                },
            }),
        )
}

#[test]
fn missing_workload_and_missing_port() {
    let documents = [
        workload("shop").listens("web").build(),
        workload("near")
            .asks("s", "service-port", &json!({"workload": "shpo", "port": "web"}))
            .build(),
        workload("far")
            .asks(
                "s",
                "service-port",
                &json!({"workload": "warehouse", "port": "web"}),
            )
            .build(),
        workload("port")
            .asks("s", "service-port", &json!({"workload": "shop", "port": "wbe"}))
            .runs(&json!({"PORT": "${s.port}"}))
            .build(),
    ];
    insta::assert_snapshot!(refused(&with_service_ports(), &documents));
}

#[test]
fn cycles_are_shown_as_cycles() {
    let documents = |names: &[(&str, &str)]| -> Vec<WorkloadInput> {
        names
            .iter()
            .map(|(name, other)| {
                workload(name)
                    .listens("web")
                    .asks(
                        "other",
                        "service-port",
                        &json!({"workload": other, "port": "web"}),
                    )
                    .runs(&json!({"SINCE": "${other.since}"}))
                    .build()
            })
            .collect()
    };
    let platform = with_service_ports();
    let text = refused(&platform, &documents(&[("z", "b"), ("b", "c"), ("c", "b")]));
    insta::assert_snapshot!("cycle_of_workloads", text);
    // Within a workload.
    let postgres = crate::refusals::platform();
    let (one, two) = (resource("postgres", "one"), resource("postgres", "two"));
    let mut document = workload("web")
        .asks_for("one", one, &json!({}))
        .asks_for("two", two, &json!({}))
        .build();
    let reference = |node: &podium_model::coordinate::Coordinate| {
        podium_model::value::Value::Reference(podium_model::value::Reference {
            node: node.clone(),
            source: podium_model::value::Source::Declared,
            path: vec!["port".into()],
        })
    };
    let coordinates: Vec<_> = document
        .requests
        .iter()
        .map(|request| request.coordinate.clone())
        .collect();
    for (request, other) in document.requests.iter_mut().zip(coordinates.iter().rev()) {
        request.params = podium_model::value::Value::Map([("size".to_owned(), reference(other))].into());
    }
    insta::assert_snapshot!("cycle_of_resources", refused(&postgres, &[document]));
    // A module that asks for the very resource that it makes.
    let mut own = script("own");
    own["dependencies"] = json!({"me": {"type": "own"}});
    let platform = Platform::new()
        .with_type("own", &json!({}), &json!({}))
        .with_module("own", &own);
    let text = refused(&platform, &[workload("web").asks("o", "own", &json!({})).build()]);
    insta::assert_snapshot!("cycle_of_one", text);
}

#[test]
fn module_chains_without_end() {
    let mut doll = script("doll");
    doll["dependencies"] = json!({"inner": {"type": "doll", "id": "@i"}});
    let platform = Platform::new()
        .with_type("doll", &json!({}), &json!({}))
        .with_module("doll", &doll);
    let document = workload("web")
        .asks_for("d", resource("doll", "d"), &json!({}))
        .build();
    insta::assert_snapshot!("dolls", refused(&platform, &[document]));
    // Twice as many at each level, and twice as much in each param or id.
    let mut pair = script("doll");
    pair["dependencies"] = json!({"a": {"type": "doll", "id": "@a"}, "b": {"type": "doll", "id": "@b"}});
    let platform = Platform::new()
        .with_type("doll", &json!({}), &json!({}))
        .with_module("doll", &pair);
    let document = || {
        workload("web")
            .asks_for("d", resource("doll", "d"), &json!({}))
            .build()
    };
    insta::assert_snapshot!("pairs", refused(&platform, &[document()]));
    let mut names = script("doll");
    names["dependencies"] = json!({"inner": {"type": "doll", "id": "@@"}});
    let platform = Platform::new()
        .with_type("doll", &json!({}), &json!({}))
        .with_module("doll", &names);
    let text = refused(&platform, &[document()]);
    assert!(
        text.contains("dependencies.inner.id: it has 1024 bytes, more than 512"),
        "{text}"
    );
    let mut params = script("doll");
    params["dependencies"] = json!({"inner": {
        "type": "doll", "id": "@i", "params": {"a": "${{ params }}", "b": "${{ params }}"}
    }});
    let mut platform = Platform::new().with_module("doll", &params);
    platform.input.types.push(podium_planner::TypeInput {
        resource_type: "doll".into(),
        owner: String::new(),
        params: None,
        outputs: None,
    });
    let text = refused(&platform, &[document()]);
    assert!(text.contains("they hold more than"), "{text}");
}

#[test]
fn mistakes_of_modules_name_whom_to_ask() {
    let mut db = script("db");
    db["dependencies"] = json!({
        "a": {"type": "nowhere"},
        "b": {"type": "postgres", "params": {"size": 0}},
        "c": {"type": "unserved"},
    });
    let mut broken = script("broken");
    broken["inputs"] = json!({"x": {"y": "${{ params.missing }}"}});
    let mut late = script("late");
    late["dependencies"] = json!({"b": {"type": "postgres", "id": "${{ resources.b.outputs.host }}"}});
    let mut named = script("named");
    named["dependencies"] = json!({"b": {"type": "postgres", "class": "a#b"}});
    let mut ports = script("ports");
    ports["dependencies"] = json!({"b": {"type": "postgres"}});
    ports["allotPorts"] = json!("${{ resources.b.outputs.port }}");
    let mut dynamic = script("dynamic");
    dynamic["dependencies"] = json!({"b": {"type": "postgres"}});
    dynamic["inputs"] = json!({"x": "${{ resources['b'].outputs[context.id] }}"});
    let mut platform = platform().with_type("unserved", &json!({}), &json!({}));
    for (name, content) in [
        ("db", db),
        ("broken", broken),
        ("late", late),
        ("named", named),
        ("ports", ports),
        ("dynamic", dynamic),
    ] {
        platform = platform
            .with_type(name, &json!({"missing": {"type": "string"}}), &json!({}))
            .with_module(name, &content);
    }
    let documents: Vec<WorkloadInput> = ["db", "broken", "late", "named", "ports", "dynamic"]
        .into_iter()
        .map(|name| workload(name).asks("r", name, &json!({})).build())
        .collect();
    insta::assert_snapshot!(refused(&platform, &documents));
}

#[test]
fn modules_are_checked_before_they_are_used() {
    let platform = platform();
    let catalogue = platform.catalogue();
    let check = |content: &Json| {
        let version = ModuleVersionInput {
            reference: podium_model::graph::ModuleReference {
                module: "m".into(),
                version: 1,
            },
            owner: "team".into(),
            content: std::sync::Arc::new(serde_json::from_value(content.clone()).unwrap()),
        };
        match CompiledModule::compile(version) {
            Ok(module) => shown(&catalogue.check_module(&module)),
            Err(problems) => shown(&problems),
        }
    };
    let mut wrong = script("postgres");
    wrong["inputs"] = json!({
        "a": "${{ params.sise }}", "b": ["${{ context.envronment }}"], "c": "${{ resources.db.outputs.host }}",
        "d": "${{ outputs.host }}", "e": "${{ something.else }}", "f": "${{ resources.part.outputs.hots }}",
        "g": "${{ resources.part.host }}",
    });
    wrong["dependencies"] = json!({
        "part": {"type": "postgres", "id": "${{ resources.part.outputs.host }}"},
        "other": {"type": "postgers"},
    });
    wrong["outputs"] = json!({"hots": "x", "port": "${{ outputs.port }}"});
    insta::assert_snapshot!("checked", check(&wrong));
    let mut unparsable = script("postgres");
    unparsable["inputs"] = json!({"a": "${{ params. }}", "b": ["${{ params.size"]});
    unparsable["dependencies"] = json!({"x": {"type": "postgres", "id": "${{", "params": {"p": "${{ ( }}"}}});
    insta::assert_snapshot!("not_compiled", check(&unparsable));
    let mut unknown = script("postgers");
    unknown["inputs"] = json!({});
    assert!(check(&unknown).contains("did you mean `postgres`?"));
    assert_eq!(
        check(&script("postgres")),
        "",
        "nothing is wrong with a right one"
    );
}

#[test]
fn two_documents_of_one_name() {
    let documents = [
        workload("web").asks("db", "postgres", &json!({})).build(),
        workload("web").build(),
        workload("jobs").build(),
    ];
    insta::assert_snapshot!(refused(&platform(), &documents));
}

#[test]
fn more_resources_than_one_environment_may_have() {
    let mut document = workload("web");
    for index in 0..podium_planner::MAX_NODES {
        document = document.asks_for(
            &format!("r{index}"),
            resource("postgres", &format!("r{index}")),
            &json!({}),
        );
    }
    insta::assert_snapshot!(refused(&platform(), &[document.build()]));
}

#[test]
fn all_mistakes_of_all_documents_come_at_once() {
    let documents = [
        workload("b")
            .asks("db", "postgres", &json!({"size": "x"}))
            .asks("q", "queue", &json!({}))
            .build(),
        workload("a")
            .asks("db", "postgres", &json!({}))
            .runs(&json!({"X": "${db.nope}", "Y": "${db.nope}"}))
            .build(),
    ];
    insta::assert_snapshot!(refused(&platform(), &documents));
}
