//! Reviews by which clients ask who they are and what they may do.

use axum::body::Body;
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use crate::decode;
use crate::metadata;
use crate::respond;
use crate::seams::{Attributes, Decision, Principal};
use crate::server::Inner;
use crate::status::StatusError;

/// A kind that exists only as a question and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Review {
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
}

pub(crate) const REVIEWS: &[Review] = &[
    Review {
        group: "authentication.k8s.io",
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        kind: "SelfSubjectReview",
    },
    Review {
        group: "authorization.k8s.io",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        kind: "SelfSubjectAccessReview",
    },
];

pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Review> {
    REVIEWS
        .iter()
        .find(|review| review.group == group && version == "v1" && review.plural == plural)
}

pub(crate) async fn answer(
    inner: &Inner,
    review: &Review,
    principal: &Principal,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, StatusError> {
    let bytes = inner.read_body(body, inner.limits.object_bytes).await?;
    let api_version = format!("{}/v1", review.group);
    if review.kind == "SelfSubjectReview" {
        // The question has no content, so its format (kubectl sends protobuf) does not matter.
        let user = json!({"username": principal.name, "groups": principal.groups});
        return Ok(respond::json(
            201,
            &json!({"kind": review.kind, "apiVersion": api_version,
                "metadata": {"creationTimestamp": metadata::time(inner.clock.now())}, "status": {"userInfo": user}}),
        ));
    }
    let question = decode::object(headers, &bytes, review.kind)?.value;
    let spec = question.get("spec").cloned().unwrap_or_default();
    let attributes = asked(review, &spec)?;
    let status = match inner.authorizer.authorize(principal, &attributes).await {
        Decision::Allow => json!({"allowed": true}),
        Decision::Deny(None) => json!({"allowed": false}),
        Decision::Deny(Some(reason)) => json!({"allowed": false, "reason": reason}),
    };
    Ok(respond::json(
        201,
        &json!({"kind": review.kind, "apiVersion": api_version, "metadata": {}, "spec": spec, "status": status}),
    ))
}

/// What the client wants to know about.
fn asked(review: &Review, spec: &Value) -> Result<Attributes, StatusError> {
    let text = |place: &Value, field: &str| {
        place
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if let Some(asked) = spec.get("resourceAttributes") {
        return Ok(Attributes {
            verb: text(asked, "verb"),
            group: text(asked, "group"),
            resource: text(asked, "resource"),
            subresource: text(asked, "subresource"),
            namespace: text(asked, "namespace"),
            name: text(asked, "name"),
            path: String::new(),
        });
    }
    if let Some(asked) = spec.get("nonResourceAttributes") {
        return Ok(Attributes {
            verb: text(asked, "verb"),
            path: text(asked, "path"),
            ..Attributes::default()
        });
    }
    let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    Err(StatusError::invalid_field(
        review.group,
        review.kind,
        "",
        "spec.resourceAttributes",
        "null",
        why,
    ))
}
