//! What holds of any platform and any documents.

use std::collections::BTreeSet;

use podium_model::coordinate::Coordinate;
use podium_model::graph::Graph;
use podium_planner::{Draft, WorkloadInput, resolve};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value as Json, json};

use crate::support::{Platform, World, shown, workload};

const TYPES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const IDS: [&str; 3] = ["one", "two", "three"];
const NAMES: [&str; 4] = ["web", "jobs", "mail", "shop"];

/// A request of a module: often sensible, sometimes a cycle, a chain without end or a conflict.
fn module_request(own: usize) -> impl Strategy<Value = Json> {
    (
        // Mostly a type further on, so that chains end.
        (0..20usize).prop_map(move |n| TYPES[if n == 0 { 0 } else { (own + 1 + n % 3).min(3) }]),
        prop_oneof![
            1 => Just(None),
            8 => Just(Some("@.part".to_owned())),
            2 => select(IDS.to_vec()).prop_map(|id| Some(id.to_owned())),
            1 => Just(Some("${{ has(params.size) ? 'big' : 'small' }}".to_owned())),
        ],
        prop_oneof![
            20 => Just(json!({})),
            10 => Just(json!({"size": "${{ params.size }}"})),
            2 => Just(json!({"size": 3})),
            1 => Just(json!({"size": "${{ params.size + 1 }}"})),
            1 => Just(json!({"sise": 3})),
        ],
        any::<bool>(),
    )
        .prop_map(|(resource_type, id, params, waits)| {
            let mut request = json!({"type": resource_type, "params": params, "dependsOnThis": waits});
            if let Some(id) = id {
                request["id"] = json!(id);
            }
            request
        })
}

fn expression(dependencies: usize) -> impl Strategy<Value = String> {
    let mut all = vec![
        "${{ params.size }}".to_owned(),
        "${{ context.id }}".to_owned(),
        "${{ context.variables.REGION }}".to_owned(),
        "${{ workloads.web.name }}".to_owned(),
        "${{ context.name }}-${{ context.environment }}".to_owned(),
        "${{ has(params.text) ? params.text : 'none' }}".to_owned(),
        "${{ workloads.web.ports.http }}".to_owned(),
        "${{ workloads.web.host }}:1".to_owned(),
        "${{ [1, 2].map(n, n + params.size) }}".to_owned(),
    ];
    for index in 0..dependencies {
        all.push(format!("${{{{ resources.d{index}.outputs.made }}}}"));
        all.push(format!("x-${{{{ resources.d{index}.outputs.known }}}}"));
        all.push(format!("${{{{ size(resources.d{index}.outputs.made) + 1 }}}}"));
    }
    select(all)
}

fn module(own: usize) -> impl Strategy<Value = Json> {
    let resource_type = TYPES[own];
    // The last type asks for nothing, most of the time.
    let most = if own == 3 { 1 } else { 3 };
    (
        prop::collection::vec(module_request(own), 0..most),
        prop::collection::vec(module_request(own), 0..most.min(2)),
        select(vec!["script", "template", "workload"]),
    )
        .prop_flat_map(move |(dependencies, coprovisioned, driver)| {
            let count = dependencies.len();
            (
                Just(dependencies),
                Just(coprovisioned),
                Just(driver),
                prop::collection::vec(expression(count), 1..4),
                prop_oneof![
                    10 => Just("${{ context.id }}".to_owned()),
                    5 => Just("${{ workloads.web.host }}".to_owned()),
                    1 => expression(count),
                ],
            )
        })
        .prop_map(move |(dependencies, coprovisioned, driver, inputs, known)| {
            let mut content = json!({
                "type": resource_type,
                "driver": driver,
                "inputs": {"size": "${{ params.size }}", "made": "m", "more": inputs},
                "outputs": {"known": known},
                "coprovisioned": coprovisioned,
                "replaceOn": ["size"],
            });
            for (index, mut request) in dependencies.into_iter().enumerate() {
                request["dependsOnThis"] = json!(false);
                content["dependencies"][format!("d{index}")] = request;
            }
            if driver == "script" {
                content["script"] =
                    json!({"apply": [{"name": "make", "run": "true", "env": {"A": "${{ context.id }}"}}]});
            }
            content
        })
}

fn platform() -> impl Strategy<Value = Platform> {
    (module(0), module(1), module(2), module(3), any::<[bool; 4]>()).prop_map(
        |(alpha, beta, gamma, delta, also)| {
            let mut platform = Platform::new();
            for ((name, content), also) in TYPES.iter().zip([alpha, beta, gamma, delta]).zip(also) {
                platform = platform
                    .with_type(
                        name,
                        &json!({
                            "size": {"type": "integer", "default": 1}, "text": {"type": "string"},
                        }),
                        &json!({
                            "known": {"type": "string", "x-podium-identity": true}, "made": {"type": "string"},
                        }),
                    )
                    .with_module(name, &content);
                if also {
                    let other = format!("{name}-other");
                    platform = platform
                        .with_version(&other, 4, &crate::support::script(name))
                        .with_rule(&other, &json!({"module": other, "resourceId": "two"}));
                }
            }
            platform
        },
    )
}

fn document(name: &'static str) -> impl Strategy<Value = WorkloadInput> {
    let request = (
        select(TYPES.to_vec()),
        prop_oneof![5 => Just(None), 2 => select(IDS.to_vec()).prop_map(Some)],
        prop_oneof![
            12 => Just(json!({})),
            4 => (1..3).prop_map(|size| json!({"size": size})),
            8 => Just(json!({"text": "${PREVIOUS.known}"})),
            4 => Just(json!({"text": "t-${PREVIOUS.made}"})),
            1 => Just(json!({"size": "wrong"})),
        ],
    );
    (prop::collection::vec(request, 0..4), prop::bool::weighted(0.9)).prop_map(move |(requests, listens)| {
        let mut document = workload(name);
        if listens {
            document = document.listens("http");
        }
        let mut variables = serde_json::Map::new();
        for (index, (resource_type, id, params)) in requests.into_iter().enumerate() {
            let alias = format!("r{index}");
            let params = if index == 0 && params.get("text").is_some() {
                // There is none before the first.
                json!({})
            } else {
                let text = params
                    .to_string()
                    .replace("PREVIOUS", &format!("r{}", index.saturating_sub(1)));
                serde_json::from_str(&text).unwrap()
            };
            document = match id {
                None => document.asks(&alias, resource_type, &params),
                Some(id) => document.asks_for(&alias, Coordinate::new(resource_type, "default", id), &params),
            };
            variables.insert(
                format!("V{index}"),
                json!(format!("${{{alias}.made}}/${{{alias}.known}}")),
            );
        }
        document.runs(&Json::Object(variables)).build()
    })
}

fn documents() -> impl Strategy<Value = Vec<WorkloadInput>> {
    (
        document(NAMES[0]),
        document(NAMES[1]),
        document(NAMES[2]),
        document(NAMES[3]),
        1..=4usize,
    )
        .prop_map(|(web, jobs, mail, shop, count)| [web, jobs, mail, shop].into_iter().take(count).collect())
}

/// A platform of which all four workloads are needed often enough, and an order to give the documents in.
fn case() -> impl Strategy<Value = (Platform, Vec<WorkloadInput>, Vec<Index>)> {
    (platform(), documents(), prop::collection::vec(any::<Index>(), 4))
}

fn shuffled<T: Clone>(items: &[T], order: &[Index]) -> Vec<T> {
    let mut left = items.to_vec();
    let mut mixed = Vec::new();
    for index in order.iter().cycle() {
        if left.is_empty() {
            return mixed;
        }
        let at = index.index(left.len());
        mixed.push(left.remove(at));
    }
    left
}

fn bytes(graph: &Graph) -> String {
    serde_json::to_string(graph).unwrap()
}

fn check_graph(graph: &Graph) {
    for node in graph.nodes.values() {
        for need in &node.needs {
            assert!(
                graph.nodes.contains_key(need),
                "{} needs {need}, which is there",
                node.coordinate
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_same_bytes((platform, documents, order) in case()) {
        let catalogue = platform.catalogue();
        let one = resolve(&catalogue, &platform.context, &documents, &platform.live);
        check_graph(&one.graph);
        let mut mixed = shuffled(&documents, &order);
        for document in &mut mixed {
            document.requests = shuffled(&document.requests, &order);
            document.uses = shuffled(&document.uses, &order);
        }
        let mut other = platform.clone();
        other.input.modules = shuffled(&other.input.modules, &order);
        other.input.rules = shuffled(&other.input.rules, &order);
        other.input.types = shuffled(&other.input.types, &order);
        let two = resolve(&other.catalogue(), &platform.context, &mixed, &platform.live);
        prop_assert_eq!(shown(&one.problems), shown(&two.problems));
        prop_assert_eq!(bytes(&one.graph), bytes(&two.graph));
        if one.problems.is_empty() {
            let plan = |graph: &Graph| {
                let plan = World::default().plan(&platform, graph);
                serde_json::to_string(&plan).unwrap()
            };
            prop_assert_eq!(plan(&one.graph), plan(&two.graph));
        }
    }

    #[test]
    fn what_was_planned_and_applied_is_unchanged(
        (platform, documents, order) in case(),
        others in documents(),
    ) {
        let mut platform = platform;
        let mut world = World::default();
        for documents in [documents, others] {
            let resolution = platform.resolve(&documents);
            if !resolution.problems.is_empty() {
                continue;
            }
            platform.allot_ports(&resolution.graph);
            let graph = platform.resolve(&documents).graph;
            // A computed list inside a text may only fail once it is known; then there is nothing to apply.
            let Ok(draft) = Draft::assemble(&graph, &world.resources, &platform.context) else { continue };
            let mut seen: BTreeSet<&Coordinate> = BTreeSet::new();
            let all: BTreeSet<&Coordinate> = draft.nodes.iter().map(|node| &node.coordinate).collect();
            for node in &draft.nodes {
                for need in &node.needs {
                    prop_assert!(all.contains(need) && seen.contains(need), "{} after {need}", node.coordinate);
                }
                prop_assert!(seen.insert(&node.coordinate), "{} once", node.coordinate);
            }
            for unchanged in &draft.unchanged {
                prop_assert!(!all.contains(&unchanged.coordinate));
            }
            world.apply(&platform, &graph);
            let again = platform.resolve(&shuffled(&documents, &order)).graph;
            let plan = world.plan(&platform, &again);
            prop_assert!(plan.is_empty(), "{}", crate::support::planned(&plan));
            prop_assert_eq!(world.resources.keys().collect::<Vec<_>>(), graph.nodes.keys().collect::<Vec<_>>());
            world.apply(&platform, &again);
        }
        world.apply(&platform, &Graph::default());
        prop_assert!(world.resources.is_empty(), "everything can be removed");
    }
}

/// The cases above are worth something only when enough of them have no mistakes, and enough have some.
#[test]
fn the_cases_are_of_both_kinds() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut right, mut wrong, mut edges) = (0, 0, 0);
    for _ in 0..200 {
        let (platform, documents, _) = case().new_tree(&mut runner).unwrap().current();
        let resolution = platform.resolve(&documents);
        if resolution.problems.is_empty() {
            right += 1;
            edges += resolution
                .graph
                .nodes
                .values()
                .map(|node| node.needs.len())
                .sum::<usize>();
        } else {
            wrong += 1;
        }
    }
    assert!(
        right >= 30 && wrong >= 30 && edges >= 60,
        "{right} right, {wrong} wrong, {edges} edges"
    );
}
