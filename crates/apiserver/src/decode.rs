//! From the bytes of a body to a value.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use podium_document::{Document, Limits};
use serde_json::Value;

use crate::duplicates;
use crate::status::StatusError;

/// The formats of objects that are read.
const READ: &str = "application/json, application/yaml";

/// A body that was read.
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// Fields that were set twice.
    pub(crate) duplicates: Vec<String>,
}

/// The media type of a body, without parameters; empty when none is given.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    text.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Reads an object, by the media type of the request. `expected` is what it must be, for the message.
pub(crate) fn object(headers: &HeaderMap, body: &Bytes, expected: &str) -> Result<Decoded, StatusError> {
    let unreadable = |why: &str| {
        StatusError::bad_request(format!(
            "the object provided is unrecognized (must be of type {expected}): couldn't get version/kind; {why}"
        ))
    };
    match media_type(headers).as_str() {
        "" | "application/json" => {
            let (value, duplicates) =
                duplicates::parse(body).map_err(|error| unreadable(&format!("json parse error: {error}")))?;
            Ok(Decoded { value, duplicates })
        }
        "application/yaml" => {
            let parsed = Document::parse_all_bytes("body", body, Limits::default()).map_err(|found| {
                let told: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
                unreadable(&format!("yaml parse error: {}", told.join("; ")))
            })?;
            match parsed.documents.as_slice() {
                [only] => Ok(Decoded {
                    value: only.root().to_json(),
                    duplicates: Vec::new(),
                }),
                documents => Err(unreadable(&format!(
                    "the body has {} documents, not one",
                    documents.len()
                ))),
            }
        }
        _ => Err(StatusError::unsupported_media_type(READ)),
    }
}

/// What `fieldValidation` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Unknown and duplicate fields are dropped.
    Ignore,
    /// They are dropped, and told.
    Warn,
    /// They are refused.
    Strict,
}
