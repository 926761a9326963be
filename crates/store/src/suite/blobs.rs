//! Blobs.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{change, key, numbered, put};
use crate::error::{BlobError, CommitError};
use crate::interface::Store;
use crate::types::{BlobDigest, Revision, Transaction};

/// Content that does not compress.
fn noise(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    ChaCha8Rng::seed_from_u64(size as u64).fill_bytes(&mut bytes);
    bytes.into()
}

fn stream(
    content: &Bytes,
    piece: usize,
) -> std::pin::Pin<Box<dyn futures::Stream<Item = io::Result<Bytes>> + Send>> {
    let pieces: Vec<_> = content
        .chunks(piece)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Box::pin(futures::stream::iter(pieces))
}

pub(super) async fn content_is_read_back_at_every_size(store: Arc<dyn Store>) {
    const MIB: usize = 1024 * 1024;
    for size in [0, 1, 1000, MIB - 1024, MIB - 1023, MIB, 3 * MIB + 17] {
        for content in [noise(size), Bytes::from(vec![b'x'; size])] {
            let digest = store.put_blob(content.clone()).await.unwrap();
            assert_eq!(digest, store.digest(&content));
            assert!(store.get_blob(&digest).await.unwrap() == content, "{size} bytes");
        }
        let mut content = noise(size).to_vec();
        content.extend_from_slice(b"streamed");
        let content = Bytes::from(content);
        let digest = store
            .put_blob_stream(stream(&content, 70_000), 4 * MIB as u64)
            .await
            .unwrap();
        assert_eq!(digest, store.digest(&content));
        assert!(
            store.get_blob(&digest).await.unwrap() == content,
            "{size} bytes streamed"
        );
    }
    assert_eq!(
        store.revision().await.unwrap(),
        Revision(0),
        "blobs take no revision"
    );
}

pub(super) async fn equal_content_has_one_address(store: Arc<dyn Store>) {
    let content = noise(2_500_000);
    let puts: Vec<_> = (0..4)
        .map(|number| {
            let (store, content) = (Arc::clone(&store), content.clone());
            tokio::spawn(async move {
                match number % 2 {
                    0 => store.put_blob(content).await.unwrap(),
                    _ => store
                        .put_blob_stream(stream(&content, 100_000), 3_000_000)
                        .await
                        .unwrap(),
                }
            })
        })
        .collect();
    for put in puts {
        assert_eq!(put.await.unwrap(), store.digest(&content));
    }
    assert!(store.get_blob(&store.digest(&content)).await.unwrap() == content);
    assert_ne!(store.digest(b"a"), store.digest(b"b"));
    assert_eq!(
        BlobDigest::parse(store.digest(b"a").as_str()).unwrap(),
        store.digest(b"a")
    );
}

pub(super) async fn streams_are_bounded(store: Arc<dyn Store>) {
    let content = noise(3_000_000);
    let refused = store.put_blob_stream(stream(&content, 100_000), 2_999_999).await;
    assert!(matches!(refused, Err(BlobError::TooLarge { limit: 2_999_999 })));
    assert!(matches!(
        store.get_blob(&store.digest(&content)).await,
        Err(BlobError::Missing(_))
    ));
    store
        .put_blob_stream(stream(&content, 100_000), 3_000_000)
        .await
        .unwrap();
    let nothing = store.put_blob_stream(stream(&Bytes::new(), 1), 0).await.unwrap();
    assert_eq!(store.get_blob(&nothing).await.unwrap(), Bytes::new());
}

pub(super) async fn a_broken_stream_stores_nothing(store: Arc<dyn Store>) {
    let content = noise(2_500_000);
    let pieces = [Ok(content.clone()), Err(io::Error::other("the client went away"))];
    let refused = store
        .put_blob_stream(Box::pin(futures::stream::iter(pieces)), u64::MAX)
        .await;
    assert!(matches!(refused, Err(BlobError::Store(_))));
    assert!(matches!(
        store.get_blob(&store.digest(&content)).await,
        Err(BlobError::Missing(_))
    ));
    assert_eq!(
        store.put_blob(content.clone()).await.unwrap(),
        store.digest(&content)
    );
    assert!(store.get_blob(&store.digest(&content)).await.unwrap() == content);
}

pub(super) async fn an_unknown_blob_is_missing(store: Arc<dyn Store>) {
    let digest = store.digest(b"never stored");
    assert!(matches!(store.get_blob(&digest).await, Err(BlobError::Missing(of)) if of == digest));
}

pub(super) async fn a_transaction_names_only_blobs_that_exist(store: Arc<dyn Store>) {
    let here = store.put_blob(Bytes::from_static(b"here")).await.unwrap();
    let gone = store.digest(b"not here");
    let naming = |blobs| Transaction {
        blobs,
        ..change(vec![put("a", numbered(1))])
    };
    let refused = store.commit(naming(vec![here.clone(), gone.clone()])).await;
    assert!(matches!(refused, Err(CommitError::MissingBlob(of)) if of == gone));
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
    store.commit(naming(vec![here])).await.unwrap();
}
