//! The store on SQLite passes the suite, answers as the store in memory does, and keeps what only it promises:
//! durability, keys, locks, damage.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use podium_store::{
    BlobError, Change, CommitError, JournalEntry, Key, LeaseCheck, MasterKey, MemoryStore, OpenError,
    OpenOptions, ResourceKey, Revision, SqliteStore, Store, StoreError, Transaction, WatchError,
    WatchRequest, suite,
};
use serde_json::json;
use tempfile::TempDir;

fn options(folder: &Path) -> OpenOptions {
    OpenOptions {
        folder: folder.to_owned(),
        master_key: MasterKey::Folder,
    }
}

fn open(folder: &TempDir) -> Arc<SqliteStore> {
    SqliteStore::open(&options(folder.path())).unwrap()
}

fn refused(options: &OpenOptions) -> OpenError {
    SqliteStore::open(options).map(drop).unwrap_err()
}

fn key(name: &str) -> Key {
    Key::namespaced(ResourceKey::new("podium.dev", "workloads"), "shop-dev", name)
}

fn put(name: &str, number: u64) -> Transaction {
    let value = Arc::new(json!({ "number": number }));
    Transaction {
        principal: "ada".into(),
        changes: vec![Change::Put(key(name), value)],
        ..Transaction::default()
    }
}

fn delete(name: &str) -> Transaction {
    Transaction {
        changes: vec![Change::Delete(key(name))],
        ..Transaction::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    suite::run_all(async || {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.path().join(number.to_string());
        SqliteStore::open(&options(&path)).unwrap() as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_as_the_store_in_memory_does() {
    for seed in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let memory = Arc::new(MemoryStore::new().unwrap());
        suite::same_answers(open(&folder), memory, seed, 250).await;
    }
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.commit(put("a", 1)).await.unwrap();
    store.commit(put("b", 2)).await.unwrap();
    store.commit(delete("b")).await.unwrap();
    let row = JournalEntry {
        run: "run".into(),
        sequence: 0,
        record: Arc::new(json!("row")),
    };
    store
        .commit(Transaction {
            journal: vec![row],
            ..Transaction::default()
        })
        .await
        .unwrap();
    let lease = store.acquire_lease("run", "one", 0, 10).await.unwrap().unwrap();
    store.release_lease("run", lease.token).await.unwrap();
    let small = store.put_blob(Bytes::from_static(b"content")).await.unwrap();
    let large = Bytes::from((0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    let large_digest = store.put_blob(large.clone()).await.unwrap();
    let sealed = store.seal("context", b"plaintext").unwrap();
    let (derived, installation) = (store.derive_key("shim"), store.installation().to_owned());
    // The first time without a word, as if the process had ended; then gracefully.
    drop(store);
    let mut reopened = SqliteStore::open(&options(folder.path()));
    while matches!(reopened, Err(OpenError::InUse { .. })) {
        tokio::task::yield_now().await;
        reopened = SqliteStore::open(&options(folder.path()));
    }
    let mut store = reopened.unwrap();
    for round in 0..2 {
        assert_eq!(store.revision().await.unwrap(), Revision(3 + round));
        assert_eq!(store.get(&key("a")).await.unwrap().unwrap().revision, Revision(1));
        assert_eq!(store.get(&key("b")).await.unwrap(), None);
        assert_eq!(store.journal("run", 0).await.unwrap().len(), 1);
        assert_eq!(store.get_blob(&small).await.unwrap(), b"content"[..]);
        assert!(store.get_blob(&large_digest).await.unwrap() == large);
        assert_eq!(store.digest(b"content"), small);
        assert_eq!(
            store.open_sealed("context", &sealed).unwrap().as_slice(),
            b"plaintext"
        );
        assert_eq!(
            (store.derive_key("shim"), store.installation()),
            (derived, installation.as_str())
        );
        let check = Some(LeaseCheck {
            name: "run".into(),
            token: lease.token,
        });
        let late = store
            .commit(Transaction {
                lease: check,
                ..put("late", 1)
            })
            .await;
        assert!(matches!(late, Err(CommitError::LeaseLost(_))));
        let request = WatchRequest {
            resource: None,
            namespace: None,
            after: Revision(0),
        };
        let events: usize = store
            .watch(request)
            .await
            .unwrap()
            .take(3 + usize::try_from(round).unwrap())
            .map(|batch| batch.unwrap().1.len())
            .fold(0, async |sum, length| sum + length)
            .await;
        assert_eq!(events as u64, 3 + round);
        // A revision that a delete took is not given again.
        assert_eq!(
            store.commit(put("c", round)).await.unwrap().revision,
            Revision(4 + round)
        );
        store.close().await;
        assert_eq!(
            std::fs::metadata(folder.path().join("podium.db-wal")).map_or(0, |log| log.len()),
            0
        );
        store = open(&folder);
    }
    let again = store.acquire_lease("run", "one", 0, 10).await.unwrap().unwrap();
    assert!(again.token > lease.token);
}

#[tokio::test]
async fn a_second_server_is_refused_and_told_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let OpenError::InUse { pid, .. } = refused(&options(folder.path())) else {
        panic!("not in use")
    };
    assert_eq!(pid, std::process::id().to_string());
    store.close().await;
    open(&folder).close().await;
}

#[tokio::test]
async fn the_folder_is_closed_to_others() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new").join("data");
    let store = SqliteStore::open(&options(&folder)).unwrap();
    store.commit(put("a", 1)).await.unwrap();
    store.put_blob(Bytes::from_static(b"content")).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 6, "lock, key, two databases and their logs");
}

#[tokio::test]
async fn a_key_that_is_missing_wrong_or_open_to_others_refuses_to_open() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).close().await;
    let key = folder.path().join("master.key");
    let text = std::fs::read_to_string(&key).unwrap();

    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    let error = refused(&options(folder.path()));
    assert!(
        matches!(&error, OpenError::KeyUnusable { reason, .. } if reason.contains("0640")),
        "{error}"
    );
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();

    let other = format!("{}{}", if text.starts_with('A') { 'B' } else { 'A' }, &text[1..]);
    std::fs::write(&key, &other).unwrap();
    assert!(
        matches!(refused(&options(folder.path())), OpenError::KeyWrong { path } if path.ends_with("master.key"))
    );
    for broken in [
        "",
        "AAAA",
        "not base64 at all",
        &format!("{}{}", text.trim(), text.trim()),
    ] {
        std::fs::write(&key, broken).unwrap();
        assert!(
            matches!(refused(&options(folder.path())), OpenError::KeyUnusable { .. }),
            "{broken}"
        );
    }
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(
        refused(&options(folder.path())),
        OpenError::KeyMissing { .. }
    ));
    assert!(!key.exists(), "a new key beside sealed data");

    let value = |value: &str| OpenOptions {
        folder: folder.path().to_owned(),
        master_key: MasterKey::Value {
            variable: "PODIUM_MASTER_KEY".into(),
            value: value.to_owned().into(),
        },
    };
    let error = refused(&value(&other));
    assert!(
        matches!(&error, OpenError::KeyWrong { path } if path.contains("PODIUM_MASTER_KEY")),
        "{error}"
    );
    assert!(!format!("{:?}", value(&other)).contains(other.trim()));
    SqliteStore::open(&value(&text)).unwrap().close().await;
    assert!(!key.exists(), "a key that was given by value lies on the disk");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    for database in ["podium.db", "blobs.db"] {
        let folder = tempfile::tempdir().unwrap();
        open(&folder).close().await;
        let path = folder.path().join(database);
        rusqlite::Connection::open(&path)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(
            refused(&options(folder.path())),
            OpenError::TooNew { found: 99, known: 1 }
        ));
        assert!(std::fs::read(&path).unwrap() == before);
    }
}

#[tokio::test]
async fn databases_that_are_none_or_of_another_installation_are_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&one, &two] {
        open(folder).close().await;
    }
    std::fs::copy(two.path().join("blobs.db"), one.path().join("blobs.db")).unwrap();
    let error = refused(&options(one.path()));
    assert!(
        matches!(&error, OpenError::Damaged { path, .. } if path.ends_with("blobs.db")),
        "{error}"
    );
    std::fs::write(
        two.path().join("podium.db"),
        "this is no database, whatever its name says".repeat(200),
    )
    .unwrap();
    let error = refused(&options(two.path()));
    assert!(
        matches!(&error, OpenError::Damaged { path, .. } if path.ends_with("podium.db")),
        "{error}"
    );
}

#[tokio::test]
async fn a_blob_that_was_tampered_with_is_damaged() {
    let large = Bytes::from(
        (0..1_000_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect::<Vec<_>>(),
    );
    let tampers = [
        "UPDATE chunks SET sealed = CAST(sealed || x'00' AS BLOB) WHERE number = 2",
        "UPDATE chunks SET sealed = CAST(substr(sealed, 1, 500) || x'5a5a' || substr(sealed, 503) AS BLOB)",
        "DELETE FROM chunks WHERE number = 3",
        "UPDATE chunks SET sealed = (SELECT c.sealed FROM chunks c WHERE c.blob = chunks.blob AND c.number = 1)
            WHERE number = 2",
        "UPDATE chunks SET sealed = (SELECT c.sealed FROM chunks c WHERE c.blob != chunks.blob AND c.number = 0)
            WHERE number = 0",
        "UPDATE blobs SET header = (SELECT b.header FROM blobs b WHERE b.digest != blobs.digest)",
    ];
    for tamper in tampers {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let digests = [
            store.put_blob(large.clone()).await.unwrap(),
            store.put_blob(large.slice(4..)).await.unwrap(),
        ];
        store.close().await;
        let database = rusqlite::Connection::open(folder.path().join("blobs.db")).unwrap();
        assert!(database.execute(tamper, []).unwrap() > 0, "{tamper}");
        drop(database);
        let store = open(&folder);
        let mut damaged = 0;
        for (digest, content) in digests.iter().zip([large.clone(), large.slice(4..)]) {
            match store.get_blob(digest).await {
                // A swap by one statement may leave one of the two as it was.
                Ok(read) => assert!(read == content, "other bytes: {tamper}"),
                Err(BlobError::Damaged(of)) if of == *digest => damaged += 1,
                Err(error) => panic!("{tamper}: {error}"),
            }
        }
        assert!(damaged > 0, "{tamper}");
        store.close().await;
    }
}

#[tokio::test]
async fn the_folder_holds_no_plaintext_of_blobs_and_seals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let marker = b"a password that nobody may find: 8f1e-77aa";
    store.put_blob(Bytes::from_static(marker)).await.unwrap();
    let mut long = vec![b'.'; 2_000_000];
    long.extend_from_slice(marker);
    let pieces: Vec<_> = long
        .chunks(65_536)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    store
        .put_blob_stream(Box::pin(futures::stream::iter(pieces)), u64::MAX)
        .await
        .unwrap();
    std::fs::write(
        folder.path().join("sealed"),
        store.seal("context", marker).unwrap(),
    )
    .unwrap();
    // A control, to know that the search finds what is there.
    let control = Arc::new(json!("an object is not sealed"));
    let change = vec![Change::Put(key("control"), control)];
    store
        .commit(Transaction {
            changes: change,
            ..Transaction::default()
        })
        .await
        .unwrap();
    let mut found = 0;
    for round in 0..2 {
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
            assert!(!holds(&marker[..16]), "{} in round {round}", path.display());
            found += u32::from(holds(b"an object is not sealed"));
        }
        store.close().await;
    }
    assert!(found >= 2);
}

#[tokio::test]
async fn an_upload_that_was_cut_short_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let kept = store.put_blob(Bytes::from(vec![1; 3_000_000])).await.unwrap();
    store.close().await;
    let count = || {
        let database = rusqlite::Connection::open(folder.path().join("blobs.db")).unwrap();
        database
            .query_row("SELECT count(*) FROM chunks", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(count(), 3);
    let database = rusqlite::Connection::open(folder.path().join("blobs.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO uploads VALUES (9); INSERT INTO chunks VALUES (9, 0, x'00'), (9, 1, x'00')",
        )
        .unwrap();
    drop(database);
    let store = open(&folder);
    assert_eq!(store.get_blob(&kept).await.unwrap().len(), 3_000_000);
    // Refused in the midst, an upload is removed at once; dropped by its client, too.
    let pieces = (0..40).map(|_| Ok(Bytes::from(vec![2; 100_000])));
    assert!(
        store
            .put_blob_stream(Box::pin(futures::stream::iter(pieces)), 3_500_000)
            .await
            .is_err()
    );
    store.close().await;
    assert_eq!(count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for round in 0..20 {
                    store.commit(put(&format!("{task}"), round)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let statistics = store.statistics();
    assert_eq!(statistics.transactions, 64 * 20);
    assert!(statistics.physical_commits < 64 * 20 / 4, "{statistics:?}");
    // Alone, each commit is one of its own: nothing is acknowledged before it.
    for round in 0..5 {
        store.commit(put("alone", round)).await.unwrap();
    }
    assert_eq!(
        store.statistics().physical_commits,
        statistics.physical_commits + 5
    );
    // What is refused writes nothing.
    let mut late = put("alone", 9);
    late.preconditions
        .push(podium_store::Precondition::Absent(key("alone")));
    assert!(store.commit(late).await.is_err());
    assert_eq!(
        store.statistics().physical_commits,
        statistics.physical_commits + 5
    );
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let request = || WatchRequest {
        resource: None,
        namespace: None,
        after: Revision(0),
    };
    let mut stream = store.watch(request()).await.unwrap();
    store.close().await;
    store.close().await;
    assert!(matches!(
        stream.next().await,
        Some(Err(WatchError::Store(StoreError::Closed)))
    ));
    assert!(stream.next().await.is_none());
    assert!(matches!(
        store.watch(request()).await.err(),
        Some(WatchError::Store(StoreError::Closed))
    ));
    assert!(matches!(
        store.commit(put("a", 1)).await,
        Err(CommitError::Store(StoreError::Closed))
    ));
    assert!(matches!(store.get(&key("a")).await, Err(StoreError::Closed)));
    assert!(matches!(store.revision().await, Err(StoreError::Closed)));
    let put = store.put_blob(Bytes::from_static(b"content")).await;
    assert!(matches!(put, Err(BlobError::Store(StoreError::Closed))));
}

#[tokio::test]
async fn compaction_frees_what_was_superseded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    // More revisions than one step forgets.
    for round in 0..50 {
        let one = |name: u32| {
            if round % 5 == 4 {
                delete(&name.to_string())
            } else {
                put(&name.to_string(), round)
            }
        };
        let changes = (0..50).flat_map(|name| one(name).changes).collect();
        store
            .commit(Transaction {
                changes,
                ..Transaction::default()
            })
            .await
            .unwrap();
    }
    store.commit(put("kept", 1)).await.unwrap();
    store.compact(Revision(u64::MAX)).await.unwrap();
    store.close().await;
    let database = rusqlite::Connection::open(folder.path().join("podium.db")).unwrap();
    let rows: i64 = database
        .query_row("SELECT count(*) FROM versions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1, "the one object that exists");
}
