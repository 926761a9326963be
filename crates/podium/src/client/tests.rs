//! The client against a server over real TLS.

use serde_json::{Value as Json, json};

use super::ClientError;
use super::target::{Selection, Target};
use super::testing::{Reply, Server};
use super::watch::Watch;

#[tokio::test]
async fn the_token_goes_to_the_server_of_the_kubeconfig_and_nowhere_else() {
    let server = Server::start([Reply::Nothing, Reply::Whole(200, "{\"a\":1}".into())]).await;
    let stranger = server.stranger().await;
    let error = stranger.get::<Json>("/x", &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::Unverified { .. }), "{error:?}");
    assert!(server.requests().is_empty(), "nothing was sent");

    let answer: Json = server.client().get("/x", &[("q", "a b".into())]).await.unwrap();
    assert_eq!(answer, json!({"a": 1}));
    let request = server.requests().remove(0);
    assert!(request.starts_with("GET /x?q=a+b HTTP/1.1"), "{request}");
    assert!(
        request.contains("authorization: Bearer s3cr3t-token"),
        "{request}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let server = Server::start([]).await;
    let error = server.client().get::<Json>("/x", &[]).await.unwrap_err();
    assert!(error.is_passing());
    let text = error.to_string();
    assert!(
        text.contains("cannot be reached") && text.contains("podium serve"),
        "{text}"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start([Reply::Whole(307, String::new())]).await;
    let error = server.client().get::<Json>("/x", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(307));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let status =
        json!({"kind": "Status", "code": 409, "reason": "Conflict", "message": "it is pinned to release 3"});
    let server = Server::start([Reply::Whole(409, status.to_string())]).await;
    let error = server.client().get::<Json>("/x", &[]).await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (Some(409), "it is pinned to release 3")
    );
}

fn environment(name: &str, project: &str, short: &str) -> Json {
    json!({"metadata": {"name": name}, "spec": {"project": project, "name": short, "type": "development"}})
}

#[tokio::test]
async fn an_environment_with_a_name_of_its_own_is_found() {
    let list = json!({"items": [environment("x", "demo", "prod"), environment("elsewhere", "demo", "dev")]});
    let server = Server::start([
        // `demo-dev` is the environment of somebody else.
        Reply::Whole(200, environment("demo-dev", "demo-dev", "x").to_string()),
        Reply::Whole(200, list.to_string()),
    ])
    .await;
    let selection = Selection::Named {
        project: "demo".into(),
        environment: "dev".into(),
    };
    let target = Target::find(&server.client(), &selection).await.unwrap();
    assert_eq!(target.namespace, "elsewhere");
}

#[tokio::test]
async fn a_watch_goes_on_where_it_broke() {
    let event = |kind: &str, revision: &str| {
        json!({"type": kind, "object": {"metadata": {"name": "a", "resourceVersion": revision}}}).to_string()
            + "\n"
    };
    let server = Server::start([
        Reply::Broken(event("ADDED", "5") + &event("BOOKMARK", "9")),
        Reply::Whole(200, event("DELETED", "11")),
    ])
    .await;
    let mut watch = Watch::new(&server.client(), "/things", Some("a"), "3");
    assert_eq!(watch.next().await.unwrap().event_type, "ADDED");
    assert_eq!(watch.next().await.unwrap().event_type, "DELETED");
    let requests = server.requests();
    assert!(requests[0].contains("resourceVersion=3"), "{}", requests[0]);
    assert!(requests[1].contains("resourceVersion=9"), "{}", requests[1]);
    assert!(
        requests[1].contains("fieldSelector=metadata.name%3Da"),
        "{}",
        requests[1]
    );
}
