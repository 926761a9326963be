//! Watches and compaction.

use std::sync::Arc;

use serde_json::json;

use super::{batch, delete, everything, key, next, numbered, put, revisions, until, watch, workloads, write};
use crate::error::WatchError;
use crate::interface::Store;
use crate::types::{Change, EventKind, Key, ResourceKey, Revision, WatchRequest};

pub(super) async fn every_change_arrives_once_and_in_order(store: Arc<dyn Store>) {
    let mut early = watch(&store, 0).await;
    for round in 0..50 {
        write(
            &store,
            vec![
                put("a", numbered(round)),
                put(&format!("b{round}"), numbered(round)),
            ],
        )
        .await;
    }
    let mut late = watch(&store, 0).await;
    write(&store, vec![delete("a")]).await;
    let end = Revision(101);
    let seen = until(&mut early, end).await;
    assert_eq!(revisions(&seen), (1..=101).collect::<Vec<_>>());
    assert_eq!(until(&mut late, end).await, seen);
}

pub(super) async fn a_commit_is_one_batch(store: Arc<dyn Store>) {
    let mut live = watch(&store, 0).await;
    for size in [3_u64, 1, 700, 2] {
        write(
            &store,
            (0..size)
                .map(|n| put(&format!("{size}-{n}"), numbered(n)))
                .collect(),
        )
        .await;
    }
    let mut from_history = watch(&store, 0).await;
    let mut end = 0;
    for size in [3, 1, 700, 2] {
        let begin = end + 1;
        end += size;
        for stream in [&mut live, &mut from_history] {
            let (revision, events) = batch(stream).await;
            assert_eq!(revision, Revision(end));
            assert_eq!(revisions(&events), (begin..=end).collect::<Vec<_>>());
        }
    }
}

pub(super) async fn unselected_commits_move_the_revision(store: Arc<dyn Store>) {
    let other = WatchRequest {
        resource: Some(ResourceKey::new("podium.dev", "runs")),
        ..everything(0)
    };
    let mut stream = store.watch(other.clone()).await.unwrap();
    write(&store, vec![put("a", numbered(1))]).await;
    assert!(until(&mut stream, Revision(1)).await.is_empty());
    write(&store, vec![put("a", numbered(2)), put("b", numbered(2))]).await;
    let (revision, events) = batch(&mut stream).await;
    assert_eq!((revision, events), (Revision(3), vec![]));
    let mut later = store.watch(other).await.unwrap();
    assert!(until(&mut later, Revision(3)).await.is_empty());
}

pub(super) async fn filters_select(store: Arc<dyn Store>) {
    let runs = ResourceKey::new("podium.dev", "runs");
    let keys = [
        Key::namespaced(workloads(), "one", "a"),
        Key::namespaced(workloads(), "two", "a"),
        Key::namespaced(runs.clone(), "one", "a"),
        Key::cluster(ResourceKey::new("podium.dev", "projects"), "one"),
    ];
    let put_all = || {
        keys.iter()
            .map(|key| Change::Put(key.clone(), Arc::new(numbered(1))))
            .collect()
    };
    let requests = [
        (None, None, vec![1, 2, 3, 4]),
        (Some(workloads()), None, vec![1, 2]),
        (None, Some("one"), vec![1, 3]),
        (Some(runs), Some("one"), vec![3]),
        (Some(workloads()), Some(""), vec![]),
        (None, Some(""), vec![4]),
    ];
    let mut streams = Vec::new();
    for (resource, namespace, expected) in &requests {
        let namespace = namespace.map(Into::into);
        let request = WatchRequest {
            resource: resource.clone(),
            namespace,
            after: Revision(0),
        };
        streams.push((store.watch(request.clone()).await.unwrap(), request, expected));
    }
    write(&store, put_all()).await;
    for (live, request, expected) in &mut streams {
        assert_eq!(
            revisions(&until(live, Revision(4)).await),
            **expected,
            "live: {request:?}"
        );
        let mut later = store.watch(request.clone()).await.unwrap();
        assert_eq!(
            revisions(&until(&mut later, Revision(4)).await),
            **expected,
            "history: {request:?}"
        );
    }
}

pub(super) async fn previous_values_are_told(store: Arc<dyn Store>) {
    let mut live = watch(&store, 0).await;
    write(&store, vec![put("a", numbered(1))]).await;
    write(&store, vec![put("a", numbered(2))]).await;
    let mut by_bob = super::change(vec![delete("a")]);
    by_bob.principal = "bob".into();
    store.commit(by_bob).await.unwrap();
    write(&store, vec![put("a", numbered(4))]).await;
    let expected = [
        (EventKind::Created, numbered(1), None, 1, "ada"),
        (EventKind::Updated, numbered(2), Some(numbered(1)), 1, "ada"),
        (EventKind::Deleted, numbered(2), Some(numbered(2)), 1, "bob"),
        (EventKind::Created, numbered(4), None, 4, "ada"),
    ];
    let mut later = watch(&store, 0).await;
    for stream in [&mut live, &mut later] {
        let events = until(stream, Revision(4)).await;
        assert_eq!(events.len(), expected.len());
        for (event, (kind, value, previous, created, principal)) in events.iter().zip(&expected) {
            assert_eq!((event.kind, &*event.object.value), (*kind, value));
            assert_eq!(event.previous.as_deref(), previous.as_ref());
            assert_eq!(
                (event.object.created.0, &*event.object.principal),
                (*created, *principal)
            );
            assert_eq!(event.object.key, key("a"));
        }
    }
}

pub(super) async fn a_watch_resumes_from_any_revision(store: Arc<dyn Store>) {
    for round in 0..10 {
        write(
            &store,
            vec![
                put("a", numbered(round)),
                put("b", numbered(round)),
                put("c", numbered(round)),
            ],
        )
        .await;
    }
    // Also from the midst of a commit: an object's own revision is a place to resume from.
    for after in 0..30 {
        let mut stream = watch(&store, after).await;
        let events = until(&mut stream, Revision(30)).await;
        assert_eq!(revisions(&events), (after + 1..=30).collect::<Vec<_>>());
    }
    let mut stream = watch(&store, 30).await;
    write(&store, vec![delete("a")]).await;
    assert_eq!(revisions(&batch(&mut stream).await.1), [31]);
}

pub(super) async fn a_watch_from_the_future_is_refused(store: Arc<dyn Store>) {
    write(&store, vec![put("a", numbered(1))]).await;
    for after in [2, u64::MAX] {
        let refused = store.watch(everything(after)).await.err();
        assert!(
            matches!(refused, Some(WatchError::TooNew { requested, current: Revision(1) })
            if requested == Revision(after))
        );
    }
}

pub(super) async fn compaction_ends_old_watches_only(store: Arc<dyn Store>) {
    for round in 0..20 {
        write(&store, vec![put("a", numbered(round))]).await;
    }
    let mut at_the_end = watch(&store, 20).await;
    store.compact(Revision(10)).await.unwrap();
    // Backwards there is no way.
    store.compact(Revision(5)).await.unwrap();
    for after in [0, 9] {
        let refused = store.watch(everything(after)).await.err();
        assert!(
            matches!(refused, Some(WatchError::TooOld { requested, oldest: Revision(10) })
            if requested == Revision(after))
        );
    }
    let mut kept = watch(&store, 10).await;
    assert_eq!(
        revisions(&until(&mut kept, Revision(20)).await),
        (11..=20).collect::<Vec<_>>()
    );
    store.compact(Revision(u64::MAX)).await.unwrap();
    write(&store, vec![put("a", numbered(20))]).await;
    for stream in [&mut at_the_end, &mut kept] {
        assert_eq!(revisions(&until(stream, Revision(21)).await), [21]);
    }
    // One that had not begun to read what is gone now says so, and ends.
    let mut behind = watch(&store, 20).await;
    write(&store, vec![put("a", numbered(21))]).await;
    store.compact(Revision(22)).await.unwrap();
    assert!(matches!(
        next(&mut behind).await,
        Err(WatchError::TooOld {
            oldest: Revision(22),
            ..
        })
    ));
    assert!(futures::StreamExt::next(&mut behind).await.is_none());
}

pub(super) async fn compaction_keeps_objects_and_previous_values(store: Arc<dyn Store>) {
    // More revisions than one step of a compaction takes.
    for round in 0..430_u64 {
        let one = |number: u64| {
            let name = format!("o{number}");
            if (round * 7 + number) % 11 == 10 {
                delete(&name)
            } else {
                put(&name, numbered(round))
            }
        };
        write(&store, (0..7).map(one).collect()).await;
    }
    let end = store.revision().await.unwrap();
    let half = end.0 / 2;
    let expected = until(&mut watch(&store, half).await, end).await;
    let mut objects = Vec::new();
    for number in 0..7 {
        objects.push(store.get(&key(&format!("o{number}"))).await.unwrap());
    }
    store.compact(Revision(half)).await.unwrap();
    assert_eq!(until(&mut watch(&store, half).await, end).await, expected);
    store.compact(end).await.unwrap();
    for (number, object) in objects.iter().enumerate() {
        assert_eq!(store.get(&key(&format!("o{number}"))).await.unwrap(), *object);
    }
    let mut stream = watch(&store, end.0).await;
    let existing = objects.iter().position(Option::is_some).unwrap();
    write(&store, vec![delete(&format!("o{existing}"))]).await;
    let (_, events) = batch(&mut stream).await;
    assert_eq!(
        events[0].previous,
        objects[existing].as_ref().map(|object| Arc::clone(&object.value))
    );
}

pub(super) async fn a_slow_watcher_misses_nothing(store: Arc<dyn Store>) {
    let mut slow = watch(&store, 0).await;
    write(&store, vec![put("first", numbered(0))]).await;
    assert_eq!(revisions(&until(&mut slow, Revision(1)).await), [1]);
    // More than any buffer holds.
    for round in 0..1500 {
        write(&store, vec![put("a", numbered(round))]).await;
    }
    let events = until(&mut slow, Revision(1501)).await;
    assert_eq!(revisions(&events), (2..=1501).collect::<Vec<_>>());
    write(&store, vec![put("a", numbered(9))]).await;
    assert_eq!(revisions(&until(&mut slow, Revision(1502)).await), [1502]);
}

pub(super) async fn watchers_beside_writers_see_everything(store: Arc<dyn Store>) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 100;
    let end = Revision(WRITERS * EACH * 2);
    let follow = |after: Revision| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut stream = watch(&store, after.0).await;
            let events = if after < end {
                until(&mut stream, end).await
            } else {
                Vec::new()
            };
            assert_eq!(revisions(&events), (after.0 + 1..=end.0).collect::<Vec<_>>());
        })
    };
    let mut tasks: Vec<_> = (0..3).map(|_| follow(Revision(0))).collect();
    for writer in 0..WRITERS {
        let writing = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for round in 0..EACH {
                let name = format!("w{writer}");
                write(
                    &writing,
                    vec![put(&name, numbered(round)), put("shared", numbered(round))],
                )
                .await;
            }
        }));
        // One that begins where the store happens to be.
        tasks.push(follow(store.revision().await.unwrap()));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

pub(super) async fn large_commits_arrive_whole(store: Arc<dyn Store>) {
    let mut live = watch(&store, 0).await;
    let large = |letter: &str| json!({ "text": letter.repeat(600_000) });
    write(
        &store,
        vec![put("a", large("a")), put("b", large("b")), put("c", large("c"))],
    )
    .await;
    write(&store, vec![put("a", numbered(1))]).await;
    let (revision, events) = batch(&mut live).await;
    assert_eq!((revision, revisions(&events)), (Revision(3), vec![1, 2, 3]));
    let (revision, events) = batch(&mut live).await;
    assert_eq!(
        (revision, events[0].previous.as_deref()),
        (Revision(4), Some(&large("a")))
    );
}
