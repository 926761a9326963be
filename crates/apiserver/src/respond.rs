//! Answers: JSON with the headers that kube-apiserver sets.

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER, VARY,
};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use crate::status::StatusError;

const NEVER_CACHED: &str = "no-cache, private";
const WARNING: HeaderName = HeaderName::from_static("warning");
/// Most bytes of one warning.
const MAX_WARNING: usize = 512;

/// A body with a media type.
pub(crate) fn body(status: u16, content_type: &str, cache: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_str(content_type);
    response.headers_mut().insert(
        CONTENT_TYPE,
        content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// JSON.
pub(crate) fn json(status: u16, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => body(status, "application/json", NEVER_CACHED, Body::from(bytes)),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            self::error(&StatusError::internal())
        }
    }
}

/// JSON that comes in pieces.
pub(crate) fn stream(content_type: &str, content: Body) -> Response<Body> {
    body(200, content_type, NEVER_CACHED, content)
}

/// Plain text.
pub(crate) fn text(status: u16, content: &'static str) -> Response<Body> {
    body(
        status,
        "text/plain; charset=utf-8",
        NEVER_CACHED,
        Body::from(content),
    )
}

/// There is nothing at this path.
pub(crate) fn no_such_page() -> Response<Body> {
    text(404, "404 page not found\n")
}

/// An error as a `Status`.
pub(crate) fn error(error: &StatusError) -> Response<Body> {
    // A status always serialises; should it not, the code alone is told.
    let bytes = serde_json::to_vec(error).unwrap_or_default();
    let mut response = body(error.code, "application/json", NEVER_CACHED, Body::from(bytes));
    if let Some(seconds) = error
        .details
        .as_ref()
        .and_then(|details| details.retry_after_seconds)
    {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds warnings, which kubectl shows to its user.
pub(crate) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let plain: String = warning
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_WARNING)
            .collect();
        let quoted = plain.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// A document that clients keep until its digest changes.
pub(crate) fn cached(
    headers: &HeaderMap,
    content_type: &str,
    cache: &'static str,
    digest: &str,
    content: Bytes,
) -> Response<Body> {
    let tag = format!("\"{digest}\"");
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let unchanged = known
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().trim_start_matches("W/") == tag);
    let mut response = if unchanged {
        body(304, content_type, cache, Body::empty())
    } else {
        body(200, content_type, cache, Body::from(content))
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}
