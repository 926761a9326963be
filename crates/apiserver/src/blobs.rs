//! Upload of blobs: a module's bundle, the files of a Score document. There is no reading back: a blob is named by an
//! object, and whoever may read that object is served by what uses it.

use axum::body::Body;
use futures::StreamExt;
use http::Response;
use http::header::CONTENT_LENGTH;
use podium_store::{BlobError, put_upload};
use serde_json::json;

use crate::respond;
use crate::server::Inner;
use crate::status::StatusError;

/// Where blobs are uploaded.
pub(crate) const PATH: &str = "/podium/v1/blobs";

pub(crate) async fn upload(
    inner: &Inner,
    request: http::Request<Body>,
) -> Result<Response<Body>, StatusError> {
    let limit = inner.limits.blob_bytes;
    let too_large = || StatusError::too_large(format!("a blob has at most {limit} bytes"));
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let patience = inner.limits.body_idle;
    let pieces = request.into_body().into_data_stream();
    // Each piece must arrive in time, so that a client that stops sending holds nothing.
    let pieces = futures::stream::unfold(Some(pieces), move |pieces| async move {
        let mut pieces = pieces?;
        match tokio::time::timeout(patience, pieces.next()).await {
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            Ok(Some(Err(error))) => Some((Err(std::io::Error::other(error)), None)),
            Ok(None) => None,
            Err(_) => Some((Err(std::io::Error::from(std::io::ErrorKind::TimedOut)), None)),
        }
    });
    let digest = put_upload(&*inner.store, Box::pin(pieces), limit)
        .await
        .map_err(|error| match error {
            BlobError::TooLarge { .. } => too_large(),
            BlobError::Store(error) => error.into(),
            BlobError::Missing(_) | BlobError::Damaged(_) => StatusError::internal(),
        })?;
    Ok(respond::json(201, &json!({"digest": digest})))
}
