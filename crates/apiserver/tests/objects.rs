//! Rules of objects that the recorded pairs do not show.
#![allow(missing_docs, clippy::needless_pass_by_value)]

mod support;

use podium_apiserver::Operation;
use podium_store::{Key, ResourceKey};
use serde_json::{Value, json};
use support::{ADMIN, APPS, World, read};

fn object(name: &str, metadata: Value, spec: Value) -> Value {
    let mut object = json!({"apiVersion": "demo.dev/v1", "kind": "App", "metadata": metadata, "spec": spec});
    object["metadata"]["name"] = json!(name);
    object
}

#[tokio::test]
async fn a_namespace_is_a_view_of_its_environment() {
    let world = World::new().await;
    let (status, body) = world.call("GET", "/api/v1/namespaces/rec", Value::Null).await;
    assert_eq!((status, &body["status"]["phase"]), (200, &json!("Active")));
    let (_, list) = world.call("GET", "/api/v1/namespaces", Value::Null).await;
    assert_eq!(list["kind"], "NamespaceList");
    assert_eq!(list["items"][0]["metadata"]["name"], "rec");
    let (status, body) = world.call("POST", "/api/v1/namespaces", json!({})).await;
    assert_eq!(status, 405);
    assert!(
        body["message"]
            .as_str()
            .is_some_and(|text| text.contains("podium create environment")),
        "{body}"
    );
    let (status, body) = world.call("DELETE", "/api/v1/namespaces/rec", Value::Null).await;
    assert_eq!((status, &body["status"]["phase"]), (200, &json!("Terminating")));
    assert_eq!(
        world.admission.seen.lock().expect("lock")[0],
        (Operation::Delete, "rec".to_owned(), false)
    );
    let (_, environment) = world
        .call("GET", "/apis/podium.dev/v1alpha1/environments/rec", Value::Null)
        .await;
    assert!(
        environment["metadata"]["deletionTimestamp"].is_string(),
        "{environment}"
    );
    let (status, body) = world
        .call("POST", APPS, object("late", json!({}), json!({"size": 1})))
        .await;
    assert_eq!(status, 403);
    assert_eq!(body["details"]["causes"][0]["reason"], "NamespaceTerminating");
    world.put_environment("bare", json!({})).await;
    let (status, body) = world.call("DELETE", "/api/v1/namespaces/bare", Value::Null).await;
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("Success")),
        "nothing holds it"
    );
    assert_eq!(
        world.call("GET", "/api/v1/namespaces/bare", Value::Null).await.0,
        404
    );
}

#[tokio::test]
async fn derived_objects_are_read_only() {
    let world = World::new().await;
    let key = Key::namespaced(ResourceKey::new("demo.dev", "mades"), "rec", "one");
    world.put(key, json!({"apiVersion": "demo.dev/v1", "kind": "Made", "metadata": {"name": "one", "namespace": "rec"}, "spec": {}})).await;
    let path = "/apis/demo.dev/v1/namespaces/rec/mades";
    assert_eq!(
        world.call("GET", path, Value::Null).await.1["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    for (method, path) in [
        ("POST", path.to_owned()),
        ("DELETE", path.to_owned()),
        ("PUT", format!("{path}/one")),
        ("PATCH", format!("{path}/one")),
        ("DELETE", format!("{path}/one")),
    ] {
        let (status, body) = world.call(method, &path, json!({})).await;
        assert_eq!(status, 405, "{method} {path}");
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|text| text.contains("change what they come from")),
            "{body}"
        );
    }
    let (_, resources) = world.call("GET", "/apis/demo.dev/v1", Value::Null).await;
    let made = resources["resources"]
        .as_array()
        .and_then(|list| list.iter().find(|one| one["name"] == "mades"));
    assert_eq!(
        made.map(|made| made["verbs"].clone()),
        Some(json!(["get", "list", "watch"]))
    );
}

#[tokio::test]
async fn clients_never_write_status() {
    let world = World::new().await;
    let mut sent = object("one", json!({}), json!({"size": 1}));
    sent["status"] = json!({"replicas": 9});
    let (_, created) = world.call("POST", APPS, sent).await;
    assert_eq!(created.get("status"), None);
    let path = format!("{APPS}/one");
    let (_, patched) = world
        .call("PATCH", &path, json!({"status": {"replicas": 9}}))
        .await;
    assert_eq!(patched.get("status"), None);
    assert_eq!(
        patched["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"],
        "nothing changed"
    );
    for method in ["PUT", "PATCH"] {
        let (status, body) = world.call(method, &format!("{path}/status"), json!({})).await;
        assert_eq!(status, 405, "{body}");
    }
    assert_eq!(
        world.call("GET", &format!("{path}/status"), Value::Null).await.0,
        200
    );
}

#[tokio::test]
async fn the_admission_refuses_changes_and_adds() {
    let world = World::new().await;
    let with = |what: &str| json!({"annotations": {"test": what}});
    let (status, body) = world
        .call("POST", APPS, object("no", with("refuse"), json!({"size": 1})))
        .await;
    assert_eq!((status, &body["message"]), (403, &json!("the admission says no")));
    let headers = [("authorization", ADMIN), ("content-type", "application/json")];
    let text = object("changed", with("change"), json!({"size": 1})).to_string();
    let response = world.send("POST", APPS, &headers, &text).await;
    assert_eq!(
        response
            .headers()
            .get("warning")
            .and_then(|value| value.to_str().ok()),
        Some("299 - \"the owner was changed\"")
    );
    assert_eq!(read(response).await["spec"]["owner"], "admission");
    let (status, _) = world
        .call("POST", APPS, object("spoilt", with("spoil"), json!({"size": 1})))
        .await;
    assert_eq!(status, 422, "what the admission makes is judged like all else");
    let (status, _) = world
        .call("POST", APPS, object("moved", with("moved"), json!({"size": 1})))
        .await;
    assert_eq!(status, 409, "a precondition that never holds");
    let before = world.store.revision().await.expect("revision");
    let dry = format!("{APPS}?dryRun=All");
    assert_eq!(
        world
            .call("POST", &dry, object("also", with("also"), json!({"size": 1})))
            .await
            .0,
        201
    );
    assert_eq!(
        world.store.revision().await.expect("revision"),
        before,
        "a dry run keeps nothing"
    );
    assert_eq!(
        world
            .call("POST", APPS, object("also", with("also"), json!({"size": 1})))
            .await
            .0,
        201
    );
    assert_eq!(
        world.store.revision().await.expect("revision").0,
        before.0 + 2,
        "both in one transaction"
    );
    assert_eq!(
        world
            .call("GET", "/apis/demo.dev/v1/namespaces/rec/mades/also", Value::Null)
            .await
            .0,
        200
    );
    assert!(world.admission.seen.lock().expect("lock").contains(&(
        Operation::Create,
        "also".to_owned(),
        true
    )));
}

#[tokio::test]
async fn bodies_are_bounded_and_told_apart() {
    let world = World::new().await;
    let headers = |media: &'static str| [("authorization", ADMIN), ("content-type", media)];
    let large = object(
        "large",
        json!({"annotations": {"a": "x".repeat(4 << 20)}}),
        json!({"size": 1}),
    )
    .to_string();
    assert_eq!(
        world
            .send("POST", APPS, &headers("application/json"), &large)
            .await
            .status(),
        413
    );
    for (media, path, why) in [
        ("application/vnd.kubernetes.protobuf", APPS.to_owned(), "protobuf"),
        (
            "application/apply-patch+yaml",
            format!("{APPS}/one"),
            "server-side apply",
        ),
        (
            "application/strategic-merge-patch+json",
            format!("{APPS}/one"),
            "strategic",
        ),
    ] {
        let method = if why == "protobuf" { "POST" } else { "PATCH" };
        let response = world.send(method, &path, &headers(media), "{}").await;
        assert_eq!(response.status(), 415, "{why}");
        assert!(
            read(response).await["message"]
                .as_str()
                .is_some_and(|text| text.contains("accepted media types include: application/json"))
        );
    }
    let bomb = format!(
        "a: &a [x]\nb: &b [{0}]\nc: &c [{1}]\nd: [{2}]\n",
        ["*a"; 900].join(","),
        ["*b"; 900].join(","),
        ["*c"; 900].join(",")
    );
    assert_eq!(
        world
            .send("POST", APPS, &headers("application/yaml"), &bomb)
            .await
            .status(),
        400
    );
    let (status, body) = world
        .call(
            "POST",
            "/apis/podium.dev/v1alpha1/environments",
            json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "Environment",
        "metadata": {"name": "big"}, "spec": {"project": "x".repeat(300_000)}}),
        )
        .await;
    assert_eq!(status, 413, "own kinds are held to 256 KiB: {body}");
}

#[tokio::test]
async fn unknown_fields_come_with_what_was_meant() {
    let world = World::new().await;
    let strict = format!("{APPS}?fieldValidation=Strict");
    let (status, body) = world
        .call(
            "POST",
            &strict,
            object("a", json!({"lables": {}}), json!({"size": 1, "ownr": "x"})),
        )
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        body["message"],
        "App in version \"v1\" cannot be handled as a App: strict decoding error: unknown field \
        \"metadata.lables\" (did you mean \"labels\"?), unknown field \"spec.ownr\" (did you mean \"owner\"?)"
    );
    world.create("b", json!({})).await;
    let (status, body) = world
        .call(
            "PATCH",
            &format!("{APPS}/b?fieldValidation=Strict"),
            json!({"spec": {"sise": 2}}),
        )
        .await;
    assert_eq!(status, 400, "{body}");
    let (status, body) = world
        .call(
            "POST",
            &format!("{APPS}?fieldValidation=Maybe&dryRun=Some"),
            json!({}),
        )
        .await;
    assert_eq!((status, &body["reason"]), (422, &json!("Invalid")));
}

#[tokio::test]
async fn updates_keep_what_clients_cannot_change() {
    let world = World::new().await;
    let created = world.create("one", json!({"labels": {"a": "b"}})).await;
    let path = format!("{APPS}/one");
    let mut changed = created.clone();
    changed["metadata"]["creationTimestamp"] = json!("2000-01-01T00:00:00Z");
    changed["metadata"]["generation"] = json!(77);
    changed["metadata"]["deletionTimestamp"] = json!("2000-01-01T00:00:00Z");
    changed["metadata"]["labels"] = json!({"c": "d"});
    let (status, updated) = world.call("PUT", &path, changed).await;
    assert_eq!(status, 200, "{updated}");
    assert_eq!(
        updated["metadata"]["creationTimestamp"],
        created["metadata"]["creationTimestamp"]
    );
    assert_eq!(updated["metadata"].get("deletionTimestamp"), None);
    assert_eq!(
        updated["metadata"]["generation"], 1,
        "labels are not what is desired"
    );
    assert_eq!(updated["metadata"]["labels"], json!({"c": "d"}));
    let mut other = updated.clone();
    other["metadata"]["uid"] = json!("another");
    assert_eq!(world.call("PUT", &path, other).await.0, 409);
    let (status, _) = world
        .call(
            "PATCH",
            &path,
            json!({"metadata": {"resourceVersion": "1"}, "spec": {"size": 3}}),
        )
        .await;
    assert_eq!(status, 409, "a patch may name the version it is meant for");
    assert_eq!(
        world
            .call("PATCH", &path, json!({"metadata": {"name": "two"}}))
            .await
            .0,
        400
    );
    assert_eq!(
        world
            .call(
                "PATCH",
                &format!("{path}?dryRun=All"),
                json!({"spec": {"size": 3}})
            )
            .await
            .0,
        200
    );
    assert_eq!(
        world.call("GET", &path, Value::Null).await.1["spec"]["size"],
        2,
        "a dry run keeps nothing"
    );
    assert_eq!(
        world.call("PATCH", &path, json!({"spec": {"size": 3}})).await.1["metadata"]["generation"],
        2
    );
}

#[tokio::test]
async fn deletes_in_collections_and_by_precondition() {
    let world = World::new().await;
    for (name, team) in [("a", "x"), ("b", "y"), ("c", "x")] {
        world.create(name, json!({"labels": {"team": team}})).await;
    }
    let (status, _) = world
        .call(
            "DELETE",
            &format!("{APPS}/a"),
            json!({"apiVersion": "v1", "kind": "DeleteOptions",
        "preconditions": {"resourceVersion": "1"}}),
        )
        .await;
    assert_eq!(status, 409);
    let (status, _) = world
        .call("DELETE", &format!("{APPS}/a"), json!({"dryRun": ["All"]}))
        .await;
    assert_eq!(status, 200);
    let (_, deleted) = world
        .call("DELETE", &format!("{APPS}?labelSelector=team%3Dx"), Value::Null)
        .await;
    let names = |list: &Value| {
        list["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|one| one["metadata"]["name"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&deleted), ["a", "c"]);
    assert_eq!(names(&world.call("GET", APPS, Value::Null).await.1), ["b"]);
    assert_eq!(
        world
            .call("DELETE", "/apis/demo.dev/v1/apps", Value::Null)
            .await
            .0,
        405,
        "not everywhere at once"
    );
}

#[tokio::test]
async fn subresources_are_called_as_documented() {
    let world = World::new().await;
    let plan = format!("{APPS}/one/plan");
    let (status, body) = world
        .call("POST", &format!("{plan}?depth=2"), json!({"size": 1}))
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["seen"], "admin rec/one {\"depth\": \"2\"}");
    assert_eq!(
        body["body"],
        json!({"size": 1, "note": "none"}),
        "with its defaults"
    );
    for (path, sent, code, says) in [
        (plan.clone(), json!({"size": "x"}), 422, "must be of type integer"),
        (plan.clone(), json!({}), 422, "size: Required value"),
        (
            plan.clone(),
            json!({"size": 1, "nte": "x"}),
            400,
            "did you mean \"note\"?",
        ),
        (
            format!("{plan}?dept=1"),
            json!({"size": 1}),
            400,
            "known are depth",
        ),
    ] {
        let (status, body) = world.call("POST", &path, sent).await;
        assert_eq!(status, code, "{body}");
        assert!(
            body["message"].as_str().is_some_and(|text| text.contains(says)),
            "{body}"
        );
    }
    assert_eq!(world.call("GET", &plan, Value::Null).await.0, 405);
    assert_eq!(
        world
            .call("POST", &format!("{APPS}/one/nothing"), json!({}))
            .await
            .0,
        404
    );
    let logs = world
        .send(
            "GET",
            &format!("{APPS}/one/logs?follow=true"),
            &[("authorization", ADMIN)],
            "",
        )
        .await;
    assert_eq!(logs.headers()["content-type"], "text/plain");
    assert_eq!(read(logs).await, json!("one\ntwo\n"));
}

#[tokio::test]
async fn blobs_are_uploaded_and_not_read_back() {
    let world = World::new().await;
    let auth = [("authorization", ADMIN)];
    let response = world.send("POST", "/podium/v1/blobs", &auth, "content").await;
    assert_eq!(response.status(), 201);
    let digest = read(response).await["digest"]
        .as_str()
        .expect("a digest")
        .to_owned();
    assert_ne!(
        digest,
        world.store.digest(b"content").as_str(),
        "an upload is no sealed blob of the same content"
    );
    let digest = podium_store::BlobDigest::parse(&digest).expect("a digest");
    let kept = podium_store::get_upload(&*world.store, &digest).await;
    assert_eq!(&*kept.expect("the upload"), b"content");
    let too_large = [("authorization", ADMIN), ("content-length", "999999999999")];
    assert_eq!(
        world
            .send("POST", "/podium/v1/blobs", &too_large, "x")
            .await
            .status(),
        413
    );
    assert_eq!(
        world.send("GET", "/podium/v1/blobs", &auth, "").await.status(),
        405
    );
    assert_eq!(
        world
            .send("GET", &format!("/podium/v1/blobs/{digest}"), &auth, "")
            .await
            .status(),
        404
    );
    assert_eq!(
        read(world.send("GET", "/extra", &auth, "").await).await,
        json!("extra")
    );
}

#[test]
fn podiums_own_kinds_can_be_served() {
    let registry = podium_apiserver::Registry::new(podium_model::kinds::definitions());
    assert!(registry.is_ok(), "{:?}", registry.err());
}
