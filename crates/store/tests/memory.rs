//! The store in memory passes the suite.

use std::sync::Arc;

use podium_store::{MemoryStore, Store, suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    suite::run_all(async || Arc::new(MemoryStore::new().unwrap()) as Arc<dyn Store>).await;
}

#[tokio::test]
async fn answers_are_the_same_each_time() {
    for seed in 0..20 {
        let stores = (MemoryStore::new().unwrap(), MemoryStore::new().unwrap());
        suite::same_answers(Arc::new(stores.0), Arc::new(stores.1), seed, 200).await;
    }
}

#[tokio::test]
async fn the_store_may_go_before_its_watchers() {
    use futures::StreamExt;
    let store = MemoryStore::new().unwrap();
    let request = podium_store::WatchRequest {
        resource: None,
        namespace: None,
        after: podium_store::Revision(0),
    };
    let mut stream = store.watch(request).await.unwrap();
    drop(store);
    assert!(stream.next().await.unwrap().is_err());
    assert!(stream.next().await.is_none());
}
