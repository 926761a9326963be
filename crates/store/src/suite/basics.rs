//! Reading, writing, preconditions, revisions, journals.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{change, delete, key, numbered, put, replace, write};
use crate::error::CommitError;
use crate::interface::Store;
use crate::types::{Change, JournalEntry, MAX_OBJECT_BYTES, Precondition, Revision, Transaction};

pub(super) async fn an_empty_store_is_at_revision_0(store: Arc<dyn Store>) {
    assert_eq!(store.revision().await.unwrap(), Revision(0));
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
    assert_eq!(store.journal("run", 0).await.unwrap(), Vec::new());
    let nothing = write(&store, vec![delete("a")]).await;
    assert_eq!(
        (nothing.revisions, nothing.revision),
        (vec![Revision(0)], Revision(0))
    );
    let nothing = write(&store, vec![]).await;
    assert_eq!((nothing.revisions, nothing.revision), (vec![], Revision(0)));
}

pub(super) async fn what_is_written_is_read_back(store: Arc<dyn Store>) {
    let first = write(&store, vec![put("a", numbered(1))]).await;
    let object = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!(
        (&object.key, object.revision, object.created),
        (&key("a"), first.revision, first.revision)
    );
    assert_eq!((&*object.principal, &*object.value), ("ada", &numbered(1)));

    let mut by_bob = change(vec![put("a", numbered(2))]);
    by_bob.principal = "bob".into();
    let second = store.commit(by_bob).await.unwrap();
    let object = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!(
        (object.revision, object.created),
        (second.revision, first.revision)
    );
    assert_eq!((&*object.principal, &*object.value), ("bob", &numbered(2)));

    write(&store, vec![delete("a")]).await;
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
}

pub(super) async fn numbers_and_order_of_members_survive(store: Arc<dyn Store>) {
    let value: Value = serde_json::from_str(
        r#"{"z":1,"a":{"y":-0.0,"b":18446744073709551615},"f":[0.1,5e-324,1.7976931348623157e308,
            0.30000000000000004,-9223372036854775808,9007199254740993],"t":"\u0000é\ud83c\udfad\"\\","n":null}"#,
    )
    .unwrap();
    let text = value.to_string();
    write(
        &store,
        vec![Change::Put(key("ü 'quoted\" \u{0}name"), Arc::new(value))],
    )
    .await;
    let object = store.get(&key("ü 'quoted\" \u{0}name")).await.unwrap().unwrap();
    assert_eq!(object.value.to_string(), text);
    let awkward: Vec<f64> = (1..2000_u32).map(|n| f64::from(n) / 977.0 * 1e17).collect();
    write(&store, vec![put("floats", json!(awkward))]).await;
    assert_eq!(
        *store.get(&key("floats")).await.unwrap().unwrap().value,
        json!(awkward)
    );
}

pub(super) async fn each_precondition_is_checked(store: Arc<dyn Store>) {
    let at = write(&store, vec![put("there", numbered(1))]).await.revision;
    let attempt = |precondition| {
        let mut transaction = change(vec![put("other", numbered(2))]);
        transaction.preconditions.push(precondition);
        store.commit(transaction)
    };
    let refused = attempt(Precondition::Absent(key("there"))).await;
    assert!(matches!(refused, Err(CommitError::Exists(of)) if of == key("there")));
    let refused = attempt(Precondition::Exists(key("gone"))).await;
    assert!(matches!(refused, Err(CommitError::Missing(of)) if of == key("gone")));
    let refused = attempt(Precondition::At(key("gone"), Revision(1))).await;
    assert!(matches!(refused, Err(CommitError::Missing(of)) if of == key("gone")));
    let refused = attempt(Precondition::At(key("there"), Revision(u64::MAX))).await;
    assert!(
        matches!(refused, Err(CommitError::Conflict { expected: Revision(u64::MAX), actual, .. })
        if actual == at)
    );
    assert_eq!(store.get(&key("other")).await.unwrap(), None);
    attempt(Precondition::Absent(key("gone"))).await.unwrap();
    attempt(Precondition::Exists(key("there"))).await.unwrap();
    attempt(Precondition::At(key("there"), at)).await.unwrap();
    // A precondition speaks of the state before the transaction.
    let mut create = change(vec![put("new", numbered(1))]);
    create.preconditions.push(Precondition::Absent(key("new")));
    store.commit(create.clone()).await.unwrap();
    assert!(matches!(store.commit(create).await, Err(CommitError::Exists(_))));
}

pub(super) async fn a_refused_transaction_changes_nothing(store: Arc<dyn Store>) {
    let before = write(&store, vec![put("a", numbered(1))]).await.revision;
    let journal = vec![entry("run", 0)];
    let mut transaction = Transaction {
        journal,
        ..change(vec![put("a", numbered(2)), put("b", numbered(2))])
    };
    transaction.preconditions = vec![
        Precondition::At(key("a"), before),
        Precondition::Exists(key("missing")),
    ];
    assert!(matches!(
        store.commit(transaction.clone()).await,
        Err(CommitError::Missing(_))
    ));
    transaction.preconditions.pop();
    transaction.journal.push(entry("run", 2));
    assert!(matches!(
        store.commit(transaction).await,
        Err(CommitError::JournalConflict { next: 1, .. })
    ));
    assert_eq!(store.revision().await.unwrap(), before);
    assert_eq!(*store.get(&key("a")).await.unwrap().unwrap().value, numbered(1));
    assert_eq!(store.get(&key("b")).await.unwrap(), None);
    assert_eq!(store.journal("run", 0).await.unwrap(), Vec::new());
    assert_eq!(
        write(&store, vec![put("b", numbered(1))]).await.revision,
        Revision(before.0 + 1)
    );
}

pub(super) async fn changes_take_a_contiguous_block(store: Arc<dyn Store>) {
    write(&store, vec![put("old", numbered(0))]).await;
    let changes = vec![
        delete("gone"),
        put("a", numbered(1)),
        delete("old"),
        delete("gone too"),
        put("b", numbered(2)),
    ];
    let committed = write(&store, changes).await;
    assert_eq!(committed.revisions, [1, 2, 3, 3, 4].map(Revision));
    assert_eq!(committed.revision, Revision(4));
    assert_eq!(store.revision().await.unwrap(), Revision(4));
    assert_eq!(store.get(&key("a")).await.unwrap().unwrap().revision, Revision(2));
    assert_eq!(store.get(&key("b")).await.unwrap().unwrap().revision, Revision(4));
}

pub(super) async fn no_revision_is_used_twice(store: Arc<dyn Store>) {
    let mut used = BTreeSet::new();
    for round in 0..20 {
        let committed = write(&store, vec![put("a", numbered(round)), put("b", numbered(round))]).await;
        let deleted = write(&store, vec![delete("a"), delete("b")]).await;
        for revision in committed.revisions.into_iter().chain(deleted.revisions) {
            assert!(used.insert(revision), "{revision} was given twice");
        }
    }
    assert_eq!(used.len(), 80);
    assert_eq!(used.last(), Some(&store.revision().await.unwrap()));
}

pub(super) async fn created_begins_anew_after_a_delete(store: Arc<dyn Store>) {
    let first = write(&store, vec![put("a", numbered(1))]).await.revision;
    write(&store, vec![delete("a")]).await;
    let second = write(&store, vec![put("a", numbered(1))]).await.revision;
    let object = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!((object.revision, object.created), (second, second));
    assert!(matches!(
        replace(&store, "a", first, numbered(2)).await,
        Err(CommitError::Conflict { .. })
    ));
}

pub(super) async fn an_object_changed_twice_is_refused(store: Arc<dyn Store>) {
    for again in [put("a", numbered(2)), delete("a")] {
        let twice = change(vec![put("a", numbered(1)), put("b", numbered(1)), again]);
        assert!(matches!(store.commit(twice).await, Err(CommitError::ChangedTwice(of)) if of == key("a")));
    }
    assert_eq!(store.revision().await.unwrap(), Revision(0));
}

pub(super) async fn too_large_and_too_deep_are_refused(store: Arc<dyn Store>) {
    // Two quotes go around the text.
    let largest = json!("x".repeat(MAX_OBJECT_BYTES - 2));
    write(&store, vec![put("largest", largest.clone())]).await;
    assert_eq!(*store.get(&key("largest")).await.unwrap().unwrap().value, largest);
    let larger = json!("x".repeat(MAX_OBJECT_BYTES - 1));
    let refused = store.commit(change(vec![put("larger", larger.clone())])).await;
    assert!(
        matches!(refused, Err(CommitError::TooLarge { bytes, limit: MAX_OBJECT_BYTES, .. })
        if bytes == MAX_OBJECT_BYTES + 1)
    );
    let row = JournalEntry {
        run: "run".into(),
        sequence: 0,
        record: Arc::new(larger),
    };
    let refused = store
        .commit(Transaction {
            journal: vec![row],
            ..Transaction::default()
        })
        .await;
    assert!(matches!(
        refused,
        Err(CommitError::RecordTooLarge { sequence: 0, .. })
    ));
    let deep = |levels| (0..levels).fold(json!({}), |inner, _| json!([inner]));
    write(&store, vec![put("deep", deep(100))]).await;
    assert_eq!(*store.get(&key("deep")).await.unwrap().unwrap().value, deep(100));
    let refused = store.commit(change(vec![put("deeper", deep(200))])).await;
    assert!(matches!(refused, Err(CommitError::TooDeep { .. })));
}

fn entry(run: &str, sequence: u64) -> JournalEntry {
    JournalEntry {
        run: run.into(),
        sequence,
        record: Arc::new(numbered(sequence)),
    }
}

pub(super) async fn journal_rows_follow_each_other(store: Arc<dyn Store>) {
    let append = |rows: &[(&str, u64)]| {
        let journal = rows.iter().map(|(run, sequence)| entry(run, *sequence)).collect();
        store.commit(Transaction {
            journal,
            ..Transaction::default()
        })
    };
    let conflict = |result: Result<_, CommitError>| match result {
        Err(CommitError::JournalConflict { run, sequence, next }) => (run, sequence, next),
        other => panic!("not a conflict: {other:?}"),
    };
    assert_eq!(conflict(append(&[("one", 1)]).await), ("one".to_owned(), 1, 0));
    // Rows alone take no revision.
    assert_eq!(
        append(&[("one", 0), ("two", 0), ("one", 1)])
            .await
            .unwrap()
            .revision,
        Revision(0)
    );
    assert_eq!(conflict(append(&[("one", 1)]).await), ("one".to_owned(), 1, 2));
    assert_eq!(conflict(append(&[("one", 3)]).await), ("one".to_owned(), 3, 2));
    assert_eq!(
        conflict(append(&[("two", 1), ("two", 1)]).await),
        ("two".to_owned(), 1, 2)
    );
    assert_eq!(
        conflict(append(&[("two", u64::MAX)]).await),
        ("two".to_owned(), u64::MAX, 1)
    );
    append(&[("one", 2)]).await.unwrap();
    let sequences = |rows: Vec<crate::JournalRow>| rows.iter().map(|row| row.sequence).collect::<Vec<_>>();
    let all = store.journal("one", 0).await.unwrap();
    assert!(all.iter().all(|row| row.record == numbered(row.sequence)));
    assert_eq!(sequences(all), [0, 1, 2]);
    assert_eq!(sequences(store.journal("one", 2).await.unwrap()), [2]);
    assert_eq!(sequences(store.journal("one", u64::MAX).await.unwrap()), [0; 0]);
    assert_eq!(sequences(store.journal("two", 0).await.unwrap()), [0]);
}

pub(super) async fn counters_count_under_contention(store: Arc<dyn Store>) {
    const TASKS: u64 = 64;
    const EACH: u64 = 5;
    write(&store, vec![put("counter", numbered(0))]).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut done = 0;
                while done < EACH {
                    let read = store.get(&key("counter")).await.unwrap().unwrap();
                    let count = read.value["number"].as_u64().unwrap();
                    match replace(&store, "counter", read.revision, numbered(count + 1)).await {
                        Ok(_) => done += 1,
                        Err(CommitError::Conflict { actual, .. }) => assert!(actual > read.revision),
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let counter = store.get(&key("counter")).await.unwrap().unwrap();
    assert_eq!(*counter.value, numbered(TASKS * EACH));
    assert_eq!(counter.revision, Revision(TASKS * EACH + 1));
}
