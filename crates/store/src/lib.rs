//! The versioned store: the one truth of a Podium server.
//!
//! **What it knows.** Keys of four parts (group, resource, namespace, name) and JSON; nothing of Rust kinds, so
//! that Promises and custom resource definitions add kinds at run time. Beside objects it keeps blobs, the
//! journal of runs, and leases.
//!
//! **What it guarantees.**
//! 1. [`Store::commit`] is the only write of objects and journal rows: preconditions, object changes, journal
//!    rows and the lease check go in together or not at all.
//! 2. Each object change takes its own [`Revision`] from one strictly increasing space, never reused; the changes
//!    of a transaction take a contiguous block and are published after the commit, in order.
//! 3. An acknowledged commit survives power loss. Concurrent commits share one sync (group commit).
//! 4. A watch is ordered, gap-free and resumable; when it cannot be (history compacted), it says so.
//! 5. A blob is immutable, compressed, sealed, addressed by a keyed digest, and durable before a transaction can
//!    name it. Reading one that was tampered with is an error, never other bytes.
//! 6. Who: every object change carries the principal that made it.
//! 7. A lease has a fencing token that only grows; a transaction that names a lost lease changes nothing.
//!
//! **What it refuses.** Values above [`MAX_OBJECT_BYTES`]; a data folder in use by another server; a missing or
//! wrong master key; a schema newer than it knows.
//!
//! **Rejected.** A key-value engine (no PostgreSQL parity); one table per kind (kinds are open); watch by polling
//! (latency and cost); object values through the type system (the store would need every kind at compile time).

mod error;
mod interface;
mod memory;
mod prepare;
mod sealing;
mod sqlite;
#[cfg(feature = "suite")]
pub mod suite;
mod types;
mod uploads;

pub use error::{BlobError, CommitError, OpenError, SealError, StoreError, WatchError};
pub use interface::{SharedStore, Store, WatchStream};
pub use memory::MemoryStore;
pub use sealing::Sealer;
pub use sqlite::{MasterKey, OpenOptions, SqliteStore, Statistics};
pub use types::{
    BlobDigest, Change, Committed, Event, EventKind, JournalEntry, JournalRow, Key, Lease, LeaseCheck,
    ListPage, ListRequest, MAX_OBJECT_BYTES, Precondition, ResourceKey, Revision, StoredObject, Transaction,
    WatchRequest,
};
pub use uploads::{get_upload, put_upload};
