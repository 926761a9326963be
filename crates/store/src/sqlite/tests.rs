//! What needs the writer's own connection: a disk that is full, and a group with a failing member.

use std::sync::Arc;

use serde_json::json;

use super::{MasterKey, OpenOptions, SqliteStore};
use crate::error::{CommitError, StoreError};
use crate::interface::Store;
use crate::types::{Change, Key, ResourceKey, Revision, Transaction};

fn open(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
    let folder = folder.path().to_owned();
    SqliteStore::open(&OpenOptions {
        folder,
        master_key: MasterKey::Folder,
    })
    .unwrap()
}

fn put(name: &str, size: usize) -> Transaction {
    let key = Key::namespaced(ResourceKey::new("podium.dev", "workloads"), "shop", name);
    Transaction {
        changes: vec![Change::Put(key, Arc::new(json!("x".repeat(size))))],
        ..Transaction::default()
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let first = store.commit(put("a", 10)).await.unwrap().revision;
    // SQLite answers as it does when the disk is full.
    store.statement("PRAGMA max_page_count = 1").await.unwrap();
    for _ in 0..3 {
        let refused = store.commit(put("b", 500_000)).await;
        assert!(
            matches!(refused, Err(CommitError::Store(StoreError::ReadOnly { .. }))),
            "{refused:?}"
        );
    }
    assert_eq!(store.revision().await.unwrap(), first);
    let Change::Put(key, value) = &put("a", 10).changes[0] else {
        unreachable!()
    };
    assert_eq!(store.get(key).await.unwrap().unwrap().value, *value);
    store.statement("PRAGMA max_page_count = 1000000").await.unwrap();
    assert_eq!(
        store.commit(put("b", 500_000)).await.unwrap().revision,
        Revision(first.0 + 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_many_writers_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.commit(put("first", 10)).await.unwrap();
    store.statement("PRAGMA max_page_count = 300").await.unwrap();
    let writers: Vec<_> = (0..32)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut done = Vec::new();
                for round in 0..10 {
                    let name = format!("{writer}-{round}");
                    match store
                        .commit(put(&name, if writer % 2 == 0 { 40_000 } else { 10 }))
                        .await
                    {
                        Ok(committed) => done.push((name, committed.revision)),
                        Err(CommitError::Store(error)) => assert!(error.is_transient(), "{error}"),
                        Err(error) => panic!("{error}"),
                    }
                }
                done
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    assert!(acknowledged.len() < 320, "the disk was never full");
    store.close().await;
    let store = open(&folder);
    acknowledged.sort_by_key(|(_, revision)| *revision);
    let count = acknowledged.len() as u64;
    assert_eq!(
        store.revision().await.unwrap(),
        Revision(count + 1),
        "what failed took revisions"
    );
    for (name, revision) in acknowledged {
        let key = put(&name, 0).changes[0].key().clone();
        assert_eq!(store.get(&key).await.unwrap().unwrap().revision, revision);
    }
}

#[tokio::test]
async fn a_failing_member_leaves_its_group_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (good, bad, also_good) = tokio::join!(
        store.commit(put("a", 1)),
        store.statement("INSERT INTO no_such_table VALUES (1)"),
        async { store.commit(put("b", 1)).await }
    );
    assert!(matches!(bad, Err(StoreError::Database { .. })));
    assert_eq!(good.unwrap().revision, Revision(1));
    assert_eq!(also_good.unwrap().revision, Revision(2));
}
