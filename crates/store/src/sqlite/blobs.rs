//! Blobs: cut, compressed and sealed outside the writer, and read back whole.
//!
//! A blob is a header, found by the digest, and chunks, found by the blob's number. The header is sealed for its
//! digest and holds number, chunk count and size; each chunk is sealed for (number, place). So no chunk can be
//! moved, dropped or taken from another blob, and the keyed digest of the whole is checked on top. (Sealing each
//! chunk for the digest itself would need the digest before the first chunk, and a stream has it after the last.)

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};

use super::apply::blob_exists;
use super::blob_writer::BlobJob;
use super::failure::database;
use super::pool::Pool;
use crate::error::{BlobError, SealError, StoreError};
use crate::sealing::Sealer;
use crate::types::BlobDigest;

/// Plaintext of one chunk; sealed it stays below 1 MiB.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024 - 1024;
const RAW: u8 = 0;
const ZSTD: u8 = 1;
const LEVEL: i32 = 3;

/// The store's way to blobs.
pub(super) struct Blobs {
    pub(super) pool: Arc<Pool>,
    pub(super) jobs: mpsc::Sender<BlobJob>,
    pub(super) sealer: Arc<Sealer>,
    /// The next number of a blob.
    pub(super) next: AtomicU64,
}

/// What the header holds.
struct Header {
    number: u64,
    chunks: u32,
    size: u64,
}

impl Blobs {
    /// Stores content that is at hand.
    pub(super) async fn put(&self, content: Bytes) -> Result<BlobDigest, BlobError> {
        let sealer = Arc::clone(&self.sealer);
        let whole = content.clone();
        let digest = blocking(move || Ok(sealer.digest(&whole))).await?;
        if self.exists(&digest).await? {
            return Ok(digest);
        }
        let mut upload = self.upload();
        let mut rest = content;
        while rest.len() > CHUNK_BYTES {
            upload.chunk(rest.split_to(CHUNK_BYTES)).await?;
        }
        upload.finish(rest, &digest).await?;
        Ok(digest)
    }

    /// Stores content as it arrives.
    pub(super) async fn put_stream(
        &self,
        mut content: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
        limit: u64,
    ) -> Result<BlobDigest, BlobError> {
        let mut upload = self.upload();
        let mut digester = self.sealer.digester();
        let mut size = 0_u64;
        let mut waiting = BytesMut::new();
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|source| StoreError::Database {
                context: "receiving a blob",
                source: source.into(),
            })?;
            size = size.saturating_add(piece.len() as u64);
            if size > limit {
                return Err(BlobError::TooLarge { limit });
            }
            digester.update(&piece);
            waiting.extend_from_slice(&piece);
            while waiting.len() > CHUNK_BYTES {
                upload.chunk(waiting.split_to(CHUNK_BYTES).freeze()).await?;
            }
        }
        let digest = digester.finish();
        if !self.exists(&digest).await? {
            upload.finish(waiting.freeze(), &digest).await?;
        }
        Ok(digest)
    }

    /// Reads a blob.
    pub(super) async fn get(&self, digest: &BlobDigest) -> Result<Bytes, BlobError> {
        let (sealer, digest) = (Arc::clone(&self.sealer), digest.clone());
        self.pool
            .read(move |connection| read(connection, &sealer, &digest))
            .await
    }

    async fn exists(&self, digest: &BlobDigest) -> Result<bool, StoreError> {
        let digest = digest.clone();
        self.pool
            .read(move |connection| blob_exists(connection, &digest))
            .await
    }

    fn upload(&self) -> Upload {
        Upload {
            jobs: self.jobs.clone(),
            sealer: Arc::clone(&self.sealer),
            number: self.next.fetch_add(1, Ordering::Relaxed),
            chunks: 0,
            size: 0,
            outstanding: None,
            finished: false,
        }
    }
}

/// A blob on its way in. Dropped before its end, what was written of it is removed.
struct Upload {
    jobs: mpsc::Sender<BlobJob>,
    sealer: Arc<Sealer>,
    number: u64,
    /// Chunks given to the writer.
    chunks: u32,
    size: u64,
    /// The answer to the chunk before: one is written while the next is sealed.
    outstanding: Option<oneshot::Receiver<Result<(), StoreError>>>,
    finished: bool,
}

impl Upload {
    async fn chunk(&mut self, plain: Bytes) -> Result<(), BlobError> {
        let sealed = self.seal(plain).await?;
        self.settle().await?;
        let (reply, answer) = oneshot::channel();
        let job = BlobJob::Chunk {
            blob: self.number,
            number: self.chunks - 1,
            sealed,
            reply,
        };
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        self.outstanding = Some(answer);
        Ok(())
    }

    /// Writes the last chunk, and makes the blob known by its digest.
    async fn finish(mut self, plain: Bytes, digest: &BlobDigest) -> Result<(), BlobError> {
        let sealed = self.seal(plain).await?;
        self.settle().await?;
        let header = Header {
            number: self.number,
            chunks: self.chunks,
            size: self.size,
        };
        let header = self
            .sealer
            .seal_in("blob", digest.as_str(), &header.encode())
            .map_err(sealing)?;
        let (reply, answer) = oneshot::channel();
        let job = BlobJob::Finish {
            blob: self.number,
            number: self.chunks - 1,
            sealed,
            digest: digest.clone(),
            header,
            reply,
        };
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        // From here on the writer decides; a failed finish is told to the caller and swept at the next start.
        self.finished = true;
        Ok(answer.await.map_err(|_| StoreError::Closed)??)
    }

    async fn seal(&mut self, plain: Bytes) -> Result<Vec<u8>, BlobError> {
        let sealer = Arc::clone(&self.sealer);
        let place = chunk_place(self.number, self.chunks);
        self.chunks = self.chunks.checked_add(1).ok_or(BlobError::TooLarge {
            limit: u64::from(u32::MAX),
        })?;
        self.size += plain.len() as u64;
        blocking(move || sealer.seal_in("chunk", &place, &pack(&plain)).map_err(sealing)).await
    }

    async fn settle(&mut self) -> Result<(), BlobError> {
        match self.outstanding.take() {
            Some(answer) => Ok(answer.await.map_err(|_| StoreError::Closed)??),
            None => Ok(()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished && self.chunks > 0 {
            // With a full queue the rest stays until the next start, which sweeps it.
            let _ = self.jobs.try_send(BlobJob::Abandon { blob: self.number });
        }
    }
}

impl Header {
    const BYTES: usize = 8 + 4 + 8;

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.chunks.to_le_bytes());
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (chunks, rest) = rest.split_first_chunk::<4>()?;
        let size = rest.try_into().ok()?;
        Some(Self {
            number: u64::from_le_bytes(*number),
            chunks: u32::from_le_bytes(*chunks),
            size: u64::from_le_bytes(size),
        })
    }
}

fn read(connection: &Connection, sealer: &Sealer, digest: &BlobDigest) -> Result<Bytes, BlobError> {
    let failed = database("reading a blob");
    let damaged = || BlobError::Damaged(digest.clone());
    let snapshot = connection.unchecked_transaction().map_err(&failed)?;
    let header: Option<Vec<u8>> = snapshot
        .prepare_cached("SELECT header FROM blobs WHERE digest = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([digest.as_str()], |row| row.get(0))
                .optional()
        })
        .map_err(&failed)?;
    let header = header.ok_or_else(|| BlobError::Missing(digest.clone()))?;
    let header = sealer
        .open_in("blob", digest.as_str(), &header)
        .map_err(|_| damaged())?;
    let header = Header::decode(&header).ok_or_else(damaged)?;
    // The header is authentic, so its size is what was once stored.
    let mut content = Vec::with_capacity(usize::try_from(header.size).map_err(|_| damaged())?);
    let mut statement = snapshot
        .prepare_cached("SELECT sealed FROM chunks WHERE blob = ?1 AND number = ?2")
        .map_err(&failed)?;
    for number in 0..header.chunks {
        let sealed: Option<Vec<u8>> = statement
            .query_row(params![header.number, number], |row| row.get(0))
            .optional()
            .map_err(&failed)?;
        let sealed = sealed.ok_or_else(damaged)?;
        let packed = sealer
            .open_in("chunk", &chunk_place(header.number, number), &sealed)
            .map_err(|_| damaged())?;
        unpack(&packed, &mut content).ok_or_else(damaged)?;
    }
    if content.len() as u64 != header.size || sealer.digest(&content) != *digest {
        return Err(damaged());
    }
    Ok(content.into())
}

fn chunk_place(blob: u64, number: u32) -> String {
    format!("{blob}/{number}")
}

/// Compresses a chunk when that makes it smaller.
fn pack(plain: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(plain, LEVEL)
        .ok()
        .filter(|packed| packed.len() < plain.len());
    let (how, body) = match &packed {
        Some(packed) => (ZSTD, packed.as_slice()),
        None => (RAW, plain),
    };
    let mut chunk = Vec::with_capacity(body.len() + 1);
    chunk.push(how);
    chunk.extend_from_slice(body);
    chunk
}

fn unpack(chunk: &[u8], content: &mut Vec<u8>) -> Option<()> {
    match chunk.split_first()? {
        (&RAW, body) => content.extend_from_slice(body),
        (&ZSTD, body) => content.extend_from_slice(&zstd::bulk::decompress(body, CHUNK_BYTES).ok()?),
        _ => return None,
    }
    Some(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| StoreError::Database {
            context: "sealing a blob",
            source: source.into(),
        })?
}

fn sealing(source: SealError) -> BlobError {
    BlobError::Store(StoreError::Database {
        context: "sealing a blob",
        source: source.into(),
    })
}
