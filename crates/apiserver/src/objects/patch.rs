//! Patches: JSON merge patch (RFC 7386) and JSON patch (RFC 6902).

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use json_patch::PatchOperation;
use serde_json::Value;

use super::Call;
use super::write::{self, ATTEMPTS, Refused};
use crate::decode::{self, Decoded};
use crate::duplicates;
use crate::negotiate;
use crate::printing::Shown;
use crate::status::StatusError;

/// The formats that are read.
const READ: &str = "application/json-patch+json, application/merge-patch+json";
/// Most operations of a JSON patch.
const MAX_OPERATIONS: usize = 10_000;

enum Patch {
    Merge(Value),
    Operations(Vec<PatchOperation>),
}

/// Changes a part of an object.
pub(crate) async fn patch(call: &Call, body: Body) -> Result<Response<Body>, StatusError> {
    negotiate::shape(&call.headers)?;
    let dry_run = call.dry_run("PatchOptions")?;
    let validation = write::field_validation(call)?;
    let media = decode::media_type(&call.headers);
    if !matches!(
        media.as_str(),
        "application/merge-patch+json" | "application/json-patch+json"
    ) {
        return Err(StatusError::unsupported_media_type(READ));
    }
    let bytes = call.inner.read_body(body, call.inner.limits.object_bytes).await?;
    let (patch, duplicates) = read(&media, &bytes)?;
    for attempt in 1..=ATTEMPTS {
        let old = call
            .inner
            .store
            .get(&call.kind.key(&call.namespace, &call.name))
            .await?;
        let old = old.ok_or_else(|| call.not_found())?;
        // The patch sees the resource version, so that it can test it, or refuse to overwrite.
        let mut value = Shown::new(&call.kind, &old).to_value();
        apply(&mut value, &patch, call.inner.limits.object_bytes)?;
        let decoded = Decoded {
            value,
            duplicates: duplicates.clone(),
        };
        let (object, warnings) = write::shape(call, decoded, validation)?;
        write::same_name(call, &object)?;
        write::same_namespace(call, &object)?;
        match write::replace(call, &old, object, dry_run).await {
            Ok(mut written) => {
                written.warnings.splice(0..0, warnings);
                return write::answer(call, 200, &written);
            }
            Err(Refused::Moved(_)) if attempt < ATTEMPTS => {}
            Err(Refused::Final(error) | Refused::Moved(error)) => return Err(error),
        }
    }
    Err(StatusError::internal())
}

fn read(media: &str, bytes: &Bytes) -> Result<(Patch, Vec<String>), StatusError> {
    let unreadable = |why: String| StatusError::bad_request(format!("error decoding patch: {why}"));
    if media == "application/merge-patch+json" {
        let (value, duplicates) = duplicates::parse(bytes).map_err(|error| unreadable(error.to_string()))?;
        if !value.is_object() {
            return Err(unreadable("a merge patch must be an object".to_owned()));
        }
        return Ok((Patch::Merge(value), duplicates));
    }
    let operations: Vec<PatchOperation> =
        serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(StatusError::too_large(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    Ok((Patch::Operations(operations), Vec::new()))
}

fn apply(value: &mut Value, patch: &Patch, limit: usize) -> Result<(), StatusError> {
    match patch {
        Patch::Merge(patch) => json_patch::merge(value, patch),
        Patch::Operations(operations) => {
            let mut copied = 0;
            for operation in operations {
                // Copies double what they copy: their sum is bounded, or a few of them would fill the memory.
                if let PatchOperation::Copy(copy) = operation
                    && let Some(source) = value.pointer(copy.from.as_str())
                {
                    copied += source.to_string().len();
                    if copied > limit {
                        return Err(StatusError::too_large(format!(
                            "the copies of a JSON patch have more than {limit} bytes"
                        )));
                    }
                }
                if json_patch::patch_unsafe(value, std::slice::from_ref(operation)).is_err() {
                    let message = "the server rejected our request due to an error in our request";
                    let mut error = StatusError::new(422, "Invalid", message);
                    error.details = Some(Box::default());
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn copies_cannot_explode() {
        let mut operations = vec![json!({"op": "add", "path": "/a", "value": "x".repeat(1000)})];
        for _ in 0..40 {
            operations.push(json!({"op": "copy", "from": "", "path": "/b"}));
        }
        let (patch, _) = read(
            "application/json-patch+json",
            &Bytes::from(json!(operations).to_string()),
        )
        .expect("patch");
        let error = apply(&mut json!({}), &patch, 100_000).expect_err("too much");
        assert_eq!(error.code, 413);
    }
}
