//! Whoever does not know the token gets nothing: every verb of every kind, on objects that are really there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod support;

use podium_model::kinds::{api_version, definitions};
use support::platform::sleeper;
use support::{Api, World};

#[test]
fn every_verb_is_closed_to_strangers() {
    let world = World::with_quickstart();
    world.write("score.yaml", &sleeper("app", "", "env: {type: environment}"));
    world.ok("deploy score.yaml -p demo -e dev");
    let api = Api::of(&world);
    let mut requests: Vec<(&str, String)> = Vec::new();
    let mut found = 0;
    for kind in definitions() {
        let root = if kind.group.is_empty() {
            format!("/api/{}", kind.version)
        } else {
            format!("/apis/{}/{}", kind.group, kind.version)
        };
        let collection = if kind.namespaced {
            format!("{root}/namespaces/demo-dev/{}", kind.plural)
        } else {
            format!("{root}/{}", kind.plural)
        };
        // One that exists, so that nobody can tell by the answer whether it does.
        let (code, text) = api.send("GET", &collection, Some(&api.token), None);
        assert_eq!(code, 200, "{collection}: {text}");
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        let name = list
            .pointer("/items/0/metadata/name")
            .and_then(serde_json::Value::as_str);
        found += usize::from(name.is_some());
        let mut names = vec!["no-such-object"];
        names.extend(name);
        requests.extend(["GET", "POST", "DELETE"].map(|method| (method, collection.clone())));
        requests.push(("GET", format!("{collection}?watch=true&timeoutSeconds=1")));
        requests.push(("GET", format!("{root}/{}", kind.plural)));
        for name in names {
            let object = format!("{collection}/{name}");
            for method in ["GET", "PUT", "PATCH", "DELETE"] {
                requests.push((method, object.clone()));
                requests.push((method, format!("{object}/status")));
            }
            for subresource in &kind.subresources {
                requests.push((subresource.method, format!("{object}/{}", subresource.name)));
            }
        }
    }
    assert!(found >= 12, "objects of {found} kinds were found to try it on");
    requests.push(("GET", "/openapi/v3".to_owned()));
    requests.push(("GET", format!("/apis/{}", api_version())));
    requests.push(("POST", "/podium/v1/blobs".to_owned()));

    let before = world.revision();
    for (method, path) in &requests {
        let body = || (*method != "GET").then(|| b"{}".to_vec());
        let (code, text) = api.send(method, path, None, body());
        assert!(
            matches!(code, 401 | 403),
            "anonymous {method} {path}: {code} {text}"
        );
        for wrong in ["wrong", "", &api.token.to_lowercase(), &format!("{}x", api.token)] {
            let (code, text) = api.send(method, path, Some(wrong), body());
            let expected: &[u16] = if wrong.is_empty() { &[401, 403] } else { &[401] };
            assert!(
                expected.contains(&code),
                "{wrong:?} {method} {path}: {code} {text}"
            );
        }
    }
    assert_eq!(world.revision(), before);
}

#[test]
fn the_token_and_the_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.data()), 0o700);
    for file in ["kubeconfig", "admin-token", "master.key", "podium.db", "blobs.db"] {
        assert_eq!(mode(&world.data().join(file)), 0o600, "{file}");
    }
}
