//! What clients upload, kept apart from what the server seals.
//!
//! An object may name an upload by its digest: a file of a workload, a module's bundle. Digests of the server's own
//! blobs (sealed inputs and outputs, driver states, secrets) can be seen in the status of objects as well, so a digest
//! alone must not open a blob: otherwise whoever may mount a file could mount somebody's password. Each upload is
//! stored behind a mark, and only what has the mark is handed out as an upload; anything else does not exist here.
//!
//! **Rejected.** A list of uploads beside the blobs (two truths that can drift apart); a second blob table (each store
//! would need it, and its sweep); trusting that digests cannot be guessed (they need not be: they are shown).

use std::pin::Pin;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};

use crate::error::BlobError;
use crate::interface::Store;
use crate::types::BlobDigest;

/// What stands before the content of each upload.
const MARK: &[u8] = b"podium upload\0";

/// Stores what a client sends, at most `limit` bytes of it.
///
/// # Errors
/// As [`Store::put_blob_stream`].
pub async fn put_upload(
    store: &dyn Store,
    content: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
    limit: u64,
) -> Result<BlobDigest, BlobError> {
    let marked = stream::iter([Ok(Bytes::from_static(MARK))]).chain(content);
    let with_mark = limit.saturating_add(MARK.len() as u64);
    store
        .put_blob_stream(Box::pin(marked), with_mark)
        .await
        .map_err(|error| match error {
            BlobError::TooLarge { .. } => BlobError::TooLarge { limit },
            error => error,
        })
}

/// Reads an upload.
///
/// # Errors
/// [`BlobError::Missing`] also for a blob that no client uploaded.
pub async fn get_upload(store: &dyn Store, digest: &BlobDigest) -> Result<Bytes, BlobError> {
    let content = store.get_blob(digest).await?;
    if content.starts_with(MARK) {
        Ok(content.slice(MARK.len()..))
    } else {
        Err(BlobError::Missing(digest.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(content: &'static str) -> Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>> {
        Box::pin(stream::iter([Ok(Bytes::from_static(content.as_bytes()))]))
    }

    #[tokio::test]
    async fn only_uploads_are_read_as_uploads() {
        let store = crate::MemoryStore::new().unwrap();
        let upload = put_upload(&store, pieces("motd"), 4).await.unwrap();
        assert_eq!(get_upload(&store, &upload).await.unwrap(), "motd");

        // The server's own blob with the same content has another address, and is not handed out.
        let sealed = store.put_blob(Bytes::from_static(b"motd")).await.unwrap();
        assert_ne!(sealed, upload);
        let refused = get_upload(&store, &sealed).await;
        assert!(matches!(refused, Err(BlobError::Missing(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn the_mark_takes_nothing_of_the_limit() {
        let store = crate::MemoryStore::new().unwrap();
        let refused = put_upload(&store, pieces("motd!"), 4).await;
        assert!(
            matches!(refused, Err(BlobError::TooLarge { limit: 4 })),
            "{refused:?}"
        );
    }
}
