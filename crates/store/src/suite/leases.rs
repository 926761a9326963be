//! Leases and their fencing tokens.

use std::sync::Arc;

use super::{change, key, numbered, put};
use crate::error::CommitError;
use crate::interface::Store;
use crate::types::{LeaseCheck, Revision, Transaction};

fn guarded(name: &str, token: u64) -> Transaction {
    Transaction {
        lease: Some(LeaseCheck {
            name: name.into(),
            token,
        }),
        ..change(vec![put("a", numbered(token))])
    }
}

pub(super) async fn one_holder_at_a_time(store: Arc<dyn Store>) {
    let lease = store
        .acquire_lease("run", "one", 1000, 500)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&*lease.name, &*lease.holder, lease.expires_ms),
        ("run", "one", 1500)
    );
    assert_eq!(store.acquire_lease("run", "two", 1499, 500).await.unwrap(), None);
    assert!(
        store
            .acquire_lease("another run", "two", 1000, 500)
            .await
            .unwrap()
            .is_some()
    );
    // Renewed: same token, later end.
    let renewed = store
        .acquire_lease("run", "one", 1400, 500)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((renewed.token, renewed.expires_ms), (lease.token, 1900));
    assert_eq!(store.acquire_lease("run", "two", 1500, 500).await.unwrap(), None);
    let taken = store
        .acquire_lease("run", "two", 1900, 500)
        .await
        .unwrap()
        .unwrap();
    assert!(taken.token > lease.token);
    assert_eq!(store.acquire_lease("run", "one", 1901, 500).await.unwrap(), None);
    let forever = store
        .acquire_lease("forever", "one", i64::MAX - 1, 500)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(forever.expires_ms, i64::MAX);
}

pub(super) async fn tokens_never_go_back(store: Arc<dyn Store>) {
    let mut last = 0;
    for round in 0..10_i64 {
        let holder = if round % 3 == 0 { "one" } else { "two" };
        let lease = store
            .acquire_lease("run", holder, round * 1000, 500)
            .await
            .unwrap()
            .unwrap();
        let kept = round % 3 == 2;
        assert!(
            if kept {
                lease.token == last
            } else {
                lease.token > last
            },
            "round {round}: {lease:?}, {last}"
        );
        last = lease.token;
        if round % 3 == 0 {
            // With another token nothing happens.
            store.release_lease("run", lease.token + 1).await.unwrap();
            store.release_lease("run", u64::MAX).await.unwrap();
            assert_eq!(
                store
                    .acquire_lease("run", "three", round * 1000, 1)
                    .await
                    .unwrap(),
                None
            );
            store.release_lease("run", lease.token).await.unwrap();
            let again = store
                .acquire_lease("run", holder, round * 1000, 500)
                .await
                .unwrap()
                .unwrap();
            assert!(
                again.token > lease.token,
                "a lease given up comes back with its token"
            );
            last = again.token;
        }
    }
    store.release_lease("never taken", 1).await.unwrap();
    assert_eq!(
        store.revision().await.unwrap(),
        Revision(0),
        "leases take no revision"
    );
}

pub(super) async fn a_lost_lease_stops_a_transaction(store: Arc<dyn Store>) {
    let lost =
        |result: Result<_, CommitError>| matches!(result, Err(CommitError::LeaseLost(name)) if name == "run");
    assert!(lost(store.commit(guarded("run", 0)).await));
    assert!(lost(store.commit(guarded("run", 1)).await));
    let one = store.acquire_lease("run", "one", 0, 500).await.unwrap().unwrap();
    store.commit(guarded("run", one.token)).await.unwrap();
    assert!(lost(store.commit(guarded("run", one.token + 1)).await));
    assert!(lost(store.commit(guarded("run", u64::MAX)).await));
    let two = store
        .acquire_lease("run", "two", 500, 500)
        .await
        .unwrap()
        .unwrap();
    assert!(lost(store.commit(guarded("run", one.token)).await));
    store.commit(guarded("run", two.token)).await.unwrap();
    store.release_lease("run", two.token).await.unwrap();
    assert!(lost(store.commit(guarded("run", two.token)).await));
    assert_eq!(
        *store.get(&key("a")).await.unwrap().unwrap().value,
        numbered(two.token)
    );
    assert_eq!(store.revision().await.unwrap(), Revision(2));
}

pub(super) async fn expiry_alone_does_not(store: Arc<dyn Store>) {
    let lease = store.acquire_lease("run", "one", 0, 1).await.unwrap().unwrap();
    // The store has no clock: long after, nobody replaced the holder.
    store.commit(guarded("run", lease.token)).await.unwrap();
    let renewed = store
        .acquire_lease("run", "one", 1_000_000, 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(renewed.token, lease.token);
}
