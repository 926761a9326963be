//! Default deny: every endpoint, for somebody unknown, somebody known without rights, and somebody who lies.
#![allow(missing_docs, clippy::expect_used)]

mod support;

use support::{ADMIN, STRANGER, World};

/// What the registry and the fixed paths offer: method and path, each once.
fn endpoints(world: &World) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for kind in world.registry.kinds() {
        let definition = kind.definition();
        let root = if definition.group.is_empty() {
            format!("/api/{}", definition.version)
        } else {
            format!("/apis/{}/{}", definition.group, definition.version)
        };
        let scope = if definition.namespaced {
            "/namespaces/rec"
        } else {
            ""
        };
        let collection = format!("{root}{scope}/{}", definition.plural);
        for method in ["GET", "POST", "DELETE"] {
            found.push((method, collection.clone()));
        }
        found.push(("GET", format!("{collection}?watch=1&timeoutSeconds=1")));
        found.push(("GET", format!("{root}/{}", definition.plural)));
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            found.push((method, format!("{collection}/one")));
            found.push((method, format!("{collection}/one/status")));
        }
        for subresource in &definition.subresources {
            found.push((
                subresource.method,
                format!("{collection}/one/{}", subresource.name),
            ));
        }
    }
    found.push(("POST", "/podium/v1/blobs".to_owned()));
    found.push(("GET", "/extra".to_owned()));
    found
}

/// Paths that everybody who is known may read.
const DISCOVERY: &[&str] = &[
    "/api",
    "/api/v1",
    "/apis",
    "/apis/demo.dev",
    "/apis/demo.dev/v1",
    "/openapi/v3",
    "/openapi/v3/api/v1",
    "/openapi/v3/apis/demo.dev/v1",
];
/// Paths that everybody may read.
const OPEN: &[&str] = &["/healthz", "/livez", "/readyz", "/version"];
/// Reviews about oneself.
const REVIEWS: &[&str] = &[
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
];

async fn status(world: &World, who: Option<&str>, method: &str, path: &str) -> u16 {
    let headers: Vec<(&str, &str)> = who.map(|who| ("authorization", who)).into_iter().collect();
    world.send(method, path, &headers, "").await.status().as_u16()
}

#[tokio::test]
async fn nothing_is_open_to_those_without_rights() {
    let world = World::new().await;
    let endpoints = endpoints(&world);
    assert!(
        endpoints.len() > 40,
        "the list is made from the registry: {}",
        endpoints.len()
    );
    let before = world.store.revision().await.expect("revision");
    for (method, path) in &endpoints {
        assert_eq!(
            status(&world, None, method, path).await,
            403,
            "anonymous {method} {path}"
        );
        assert_eq!(
            status(&world, Some(STRANGER), method, path).await,
            403,
            "stranger {method} {path}"
        );
        assert_eq!(
            status(&world, Some("Bearer wrong"), method, path).await,
            401,
            "liar {method} {path}"
        );
        let admin = status(&world, Some(ADMIN), method, path).await;
        assert!(!matches!(admin, 401 | 403), "admin {method} {path}: {admin}");
    }
    assert_eq!(
        world.admission.seen.lock().expect("lock").len(),
        1,
        "only the admin's delete of the namespace"
    );
    assert!(world.store.revision().await.expect("revision") > before);
}

#[tokio::test]
async fn discovery_is_for_those_who_are_known() {
    let world = World::new().await;
    for path in DISCOVERY {
        assert_eq!(status(&world, None, "GET", path).await, 403, "anonymous {path}");
        assert_eq!(
            status(&world, Some(STRANGER), "GET", path).await,
            200,
            "stranger {path}"
        );
        assert_eq!(
            status(&world, Some(STRANGER), "POST", path).await,
            403,
            "stranger posts {path}"
        );
        assert_eq!(
            status(&world, Some(ADMIN), "POST", path).await,
            405,
            "admin posts {path}"
        );
    }
    for path in OPEN {
        assert_eq!(status(&world, None, "GET", path).await, 200, "anonymous {path}");
        assert_eq!(
            status(&world, Some("Bearer wrong"), "GET", path).await,
            401,
            "liar {path}"
        );
    }
    for path in REVIEWS {
        assert_eq!(status(&world, None, "POST", path).await, 403, "anonymous {path}");
        assert!(
            status(&world, Some(STRANGER), "POST", path).await < 403,
            "stranger {path}"
        );
        assert_eq!(
            status(&world, Some(STRANGER), "GET", path).await,
            403,
            "stranger reads {path}"
        );
    }
    for path in ["/", "/metrics", "/apisx", "/openapi/v2", "/podium/v1/blobs/abc"] {
        assert_eq!(
            status(&world, Some(STRANGER), "GET", path).await,
            if path == "/openapi/v2" { 404 } else { 403 },
            "{path}"
        );
    }
}

#[tokio::test]
async fn refusals_say_who_may_not_do_what() {
    let world = World::new().await;
    let response = world
        .send(
            "GET",
            "/apis/demo.dev/v1/namespaces/rec/apps/one/plan",
            &[("authorization", STRANGER)],
            "",
        )
        .await;
    let body = support::read(response).await;
    assert_eq!(
        body["message"],
        "apps.demo.dev \"one\" is forbidden: User \"stranger\" cannot get resource \"apps/plan\" in API group \
         \"demo.dev\" in the namespace \"rec\""
    );
    let response = world.send("POST", "/podium/v1/blobs", &[], "").await;
    let body = support::read(response).await;
    assert_eq!(
        body["message"],
        "forbidden: User \"system:anonymous\" cannot post path \"/podium/v1/blobs\""
    );
}
