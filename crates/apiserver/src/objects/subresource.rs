//! The verbs that kinds have beside the usual ones.

use axum::body::Body;
use futures::StreamExt;
use http::{Method, Response};
use serde_json::Value;

use super::Call;
use crate::decode;
use crate::negotiate;
use crate::registry::ServedSubresource;
use crate::respond;
use crate::seams::{Answer, SubresourceCall};
use crate::server::not_this_method;
use crate::status::{Cause, StatusError};

/// Query parameters that clients of Kubernetes send everywhere.
const EVERYWHERE: &[&str] = &["pretty", "timeout", "fieldManager", "fieldValidation", "dryRun"];

/// Checks a call against its documentation and passes it on.
pub(crate) async fn call(
    call: &Call,
    method: &Method,
    name: &str,
    body: Body,
) -> Result<Response<Body>, StatusError> {
    let Some(served) = find(call, method, name)? else {
        return Ok(respond::no_such_page());
    };
    let body = match method {
        &Method::POST => Some(request(call, served, body).await?),
        _ => None,
    };
    let answer = call
        .inner
        .subresources
        .call(SubresourceCall {
            principal: &call.principal,
            kind: &call.kind.definition,
            namespace: &call.namespace,
            name: &call.name,
            subresource: name,
            method: method.clone(),
            query: call.query.0.clone(),
            body,
        })
        .await?;
    Ok(match answer {
        Answer::Json(value) => respond::json(200, &value),
        Answer::Created(value) => respond::json(201, &value),
        Answer::Bytes { content_type, body } => respond::stream(&content_type, Body::from(body)),
        Answer::Stream { content_type, body } => {
            let mut stopping = call.inner.stopping();
            let ended = async move {
                // An error means that the server is gone: that ends the stream as well.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            };
            respond::stream(&content_type, Body::from_stream(body.take_until(Box::pin(ended))))
        }
    })
}

/// The subresource that is called, when there is one of that name; its method and query are those documented.
fn find<'c>(
    call: &'c Call,
    method: &Method,
    name: &str,
) -> Result<Option<&'c ServedSubresource>, StatusError> {
    let named: Vec<&ServedSubresource> = call
        .kind
        .subresources
        .iter()
        .filter(|served| served.definition.name == name)
        .collect();
    if named.is_empty() {
        return Ok(None);
    }
    let served = named
        .into_iter()
        .find(|served| served.definition.method == method.as_str());
    let served = served.ok_or_else(not_this_method)?;
    let known: Vec<&str> = served.definition.query.iter().map(|(name, _)| *name).collect();
    for parameter in call.query.0.keys().map(String::as_str) {
        if !EVERYWHERE.contains(&parameter) && !known.contains(&parameter) {
            let known = if known.is_empty() {
                "it has none".to_owned()
            } else {
                format!("known are {}", known.join(", "))
            };
            return Err(StatusError::bad_request(format!(
                "{name} has no query parameter \"{parameter}\": {known}"
            )));
        }
    }
    Ok(Some(served))
}

/// The body, valid against its schema.
async fn request(call: &Call, served: &ServedSubresource, body: Body) -> Result<Value, StatusError> {
    negotiate::json(&call.headers)?;
    let name = served.definition.name;
    let bytes = call.inner.read_body(body, call.inner.limits.object_bytes).await?;
    let mut decoded = if bytes.is_empty() {
        decode::Decoded {
            value: Value::Object(serde_json::Map::new()),
            duplicates: Vec::new(),
        }
    } else {
        decode::object(&call.headers, &bytes, name)?
    };
    let Some(schema) = &served.request else {
        return Ok(decoded.value);
    };
    let mut told: Vec<String> = decoded
        .duplicates
        .iter()
        .map(|field| format!("duplicate field \"{field}\""))
        .collect();
    told.extend(
        schema
            .unknown_fields(&decoded.value)
            .iter()
            .map(ToString::to_string),
    );
    if !told.is_empty() {
        return Err(StatusError::bad_request(format!(
            "the request of {name} is not understood: {}",
            told.join(", ")
        )));
    }
    schema.apply_defaults(&mut decoded.value);
    let causes: Vec<Cause> = schema.validate(&decoded.value).iter().map(Cause::from).collect();
    if causes.is_empty() {
        Ok(decoded.value)
    } else {
        let definition = &call.kind.definition;
        let what = format!("{}/{name}", definition.plural);
        Err(StatusError::invalid(definition.group, &what, &call.name, causes))
    }
}
