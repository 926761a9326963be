//! Lists, watches and what the API says about itself.
#![allow(missing_docs, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use support::{ADMIN, APPS, World, events, read};

#[tokio::test]
async fn pages_follow_each_other_with_selectors() {
    let world = World::new().await;
    for index in 0..25 {
        world
            .create(
                &format!("n{index:02}"),
                json!({"labels": {"even": (index % 2 == 0).to_string()}}),
            )
            .await;
    }
    let mut names = Vec::new();
    let mut next = String::new();
    let mut versions = std::collections::BTreeSet::new();
    loop {
        let (status, page) = world
            .call(
                "GET",
                &format!("{APPS}?limit=5&labelSelector=even%3Dtrue&continue={next}"),
                Value::Null,
            )
            .await;
        assert_eq!(status, 200, "{page}");
        versions.insert(page["metadata"]["resourceVersion"].to_string());
        for item in page["items"].as_array().expect("items") {
            names.push(item["metadata"]["name"].as_str().expect("name").to_owned());
        }
        world.create(&format!("z{}", names.len()), json!({})).await;
        next = page["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 13, "{names:?}");
    assert!(names.is_sorted());
    assert_eq!(
        versions.len(),
        1,
        "all pages name the first page's version, from which a watch misses nothing"
    );
}

#[tokio::test]
async fn a_watch_sees_the_selection_change() {
    let world = World::new().await;
    world.create("one", json!({"labels": {"team": "a"}})).await;
    let (_, list) = world.call("GET", APPS, Value::Null).await;
    let from = list["metadata"]["resourceVersion"].as_str().expect("version");
    let path = format!(
        "{APPS}?watch=1&resourceVersion={from}&labelSelector=team%3Da&timeoutSeconds=1&allowWatchBookmarks=true"
    );
    let watch = world.send("GET", &path, &[("authorization", ADMIN)], "").await;
    let one = format!("{APPS}/one");
    world.call("PATCH", &one, json!({"spec": {"size": 3}})).await;
    world
        .call("PATCH", &one, json!({"metadata": {"labels": {"team": "b"}}}))
        .await;
    world.call("PATCH", &one, json!({"spec": {"size": 4}})).await;
    world
        .call("PATCH", &one, json!({"metadata": {"labels": {"team": "a"}}}))
        .await;
    world.call("DELETE", &one, Value::Null).await;
    world.create("other", json!({})).await;
    let seen = events(watch).await;
    let kinds: Vec<&str> = seen
        .iter()
        .map(|event| event["type"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(kinds, ["MODIFIED", "DELETED", "ADDED", "DELETED", "BOOKMARK"]);
    let versions: Vec<u64> = seen
        .iter()
        .map(|event| {
            event["object"]["metadata"]["resourceVersion"]
                .as_str()
                .and_then(|v| v.parse().ok())
                .expect("version")
        })
        .collect();
    assert!(versions.is_sorted(), "{versions:?}");
    let now = world.store.revision().await.expect("revision").0;
    assert_eq!(
        versions.last(),
        Some(&now),
        "the last bookmark tells what was seen besides"
    );
}

#[tokio::test]
async fn a_watch_of_namespaces_follows_environments() {
    let world = World::new().await;
    let path = "/api/v1/namespaces?watch=1&timeoutSeconds=1";
    let watch = world
        .send(
            "GET",
            path,
            &[
                ("authorization", ADMIN),
                ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
            ],
            "",
        )
        .await;
    world.call("DELETE", "/api/v1/namespaces/rec", Value::Null).await;
    let seen = events(watch).await;
    let cells: Vec<&Value> = seen
        .iter()
        .map(|event| &event["object"]["rows"][0]["cells"][1])
        .collect();
    assert_eq!(cells, [&json!("Active"), &json!("Terminating")]);
    assert!(
        seen[0]["object"]["columnDefinitions"].is_array() && seen[1]["object"]["columnDefinitions"].is_null()
    );
}

#[tokio::test]
async fn a_watch_ends_when_the_server_stops() {
    let world = World::new().await;
    let watch = world
        .send("GET", &format!("{APPS}?watch=1"), &[("authorization", ADMIN)], "")
        .await;
    world.api.begin_shutdown();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), events(watch)).await;
    assert_eq!(ended.map(|events| events.len()), Ok(0));
}

#[tokio::test]
async fn discovery_and_openapi_say_what_kubectl_needs() {
    let world = World::new().await;
    let (_, index) = world.call("GET", "/openapi/v3", Value::Null).await;
    let url = index["paths"]["apis/demo.dev/v1"]["serverRelativeURL"]
        .as_str()
        .expect("an address")
        .to_owned();
    let response = world.send("GET", &url, &[("authorization", ADMIN)], "").await;
    assert_eq!(response.headers()["cache-control"], "public, immutable");
    let tag = response.headers()["etag"].to_str().expect("text").to_owned();
    let document = read(response).await;
    let recorded: Value =
        serde_json::from_str(include_str!("recorded/16-openapi-v3-group-version.json")).expect("JSON");
    let recorded = &recorded["response"]["body"];
    for (path, operations) in recorded["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .filter(|(path, _)| !path.ends_with("scale"))
    {
        for (method, operation) in operations.as_object().expect("operations") {
            if method == "parameters" || (path.ends_with("status") && method != "get") {
                continue;
            }
            let ours = &document["paths"][path][method];
            for field in [
                "operationId",
                "x-kubernetes-action",
                "x-kubernetes-group-version-kind",
            ] {
                assert_eq!(ours[field], operation[field], "{path} {method} {field}");
            }
        }
    }
    let item = "/apis/demo.dev/v1/namespaces/{namespace}/apps/{name}";
    let patch = document["paths"][item]["patch"]["parameters"]
        .as_array()
        .expect("parameters");
    let names: Vec<&str> = patch.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    let schema = "dev.demo.v1.App";
    let (ours, theirs) = (
        &document["components"]["schemas"][schema],
        &recorded["components"]["schemas"][schema],
    );
    assert_eq!(ours["properties"]["status"], theirs["properties"]["status"]);
    assert_eq!(
        ours["x-kubernetes-group-version-kind"],
        theirs["x-kubernetes-group-version-kind"]
    );
    assert_eq!(
        document["paths"][format!("{item}/plan")]["post"]["description"],
        "Says what would change."
    );
    // Every reference leads somewhere.
    let text = document.to_string();
    for name in text
        .split("#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
    let known = [("authorization", ADMIN), ("if-none-match", tag.as_str())];
    assert_eq!(world.send("GET", &url, &known, "").await.status(), 304);
    let old = format!("{}?hash=OLD", url.split('?').next().unwrap_or_default());
    assert_eq!(
        world
            .send("GET", &old, &[("authorization", ADMIN)], "")
            .await
            .status(),
        301
    );
    assert_eq!(world.call("GET", "/openapi/v2", Value::Null).await.0, 404);
}
