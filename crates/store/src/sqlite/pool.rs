//! Connections to read with, used on the blocking threads of the runtime.
//!
//! A read never waits for the writer (write-ahead log). When all connections are in use a read waits for one, so the
//! memory of page caches is bounded.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::failure::database;
use super::schema::open_reader;
use crate::error::StoreError;

/// Most connections to one database.
const CONNECTIONS: u32 = 8;

/// The read connections of one database.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(CONNECTIONS as usize)),
        }
    }

    /// Runs `work` with a connection.
    pub(super) async fn read<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&pool.path).map_err(database("opening a connection to read"))?,
            };
            let result = work(&connection);
            if connection.is_autocommit() {
                pool.idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(connection);
            }
            // Given back after the connection, so that `close` finds them all.
            drop(permit);
            result
        });
        task.await.map_err(|source| StoreError::Database {
            context: "reading",
            source: source.into(),
        })?
    }

    /// Waits for the reads under way, refuses new ones, and closes the connections.
    pub(super) async fn close(&self) {
        // An error means that somebody else closes.
        let all = self.permits.acquire_many(CONNECTIONS).await;
        self.permits.close();
        drop(all);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
