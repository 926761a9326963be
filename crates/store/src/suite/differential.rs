//! One random history, two stores, every answer compared.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{next, watch};
use crate::error::WatchError;
use crate::interface::Store;
use crate::types::{
    BlobDigest, Change, Event, JournalEntry, Key, LeaseCheck, ListRequest, Precondition, ResourceKey,
    Revision, Transaction, WatchRequest,
};

const RESOURCES: [(&str, &str); 3] = [
    ("podium.dev", "workloads"),
    ("podium.dev", "runs"),
    ("", "secrets"),
];
const NAMESPACES: [&str; 3] = ["", "one", "two"];
const NAMES: [&str; 4] = ["a", "b", "B", "a-b"];
const CONTENTS: [&str; 3] = ["first", "second", "third"];

/// Feeds both stores, which must be empty, one random history of so many steps, and compares every answer.
///
/// # Panics
/// When an answer differs; the message names seed and step.
pub async fn same_answers(left: Arc<dyn Store>, right: Arc<dyn Store>, seed: u64, steps: usize) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut watched = Vec::new();
    for step in 0..steps {
        let place = format!("seed {seed}, step {step}");
        match random.random_range(0..100) {
            0..55 => {
                let plan = transaction(&mut random, &*left).await;
                let answers = (
                    left.commit(fill(&plan, &*left)).await,
                    right.commit(fill(&plan, &*right)).await,
                );
                same(
                    &place,
                    &hide(&answers.0, &*left),
                    &hide(&answers.1, &*right),
                    &plan,
                );
            }
            55..65 => {
                let (name, holder) = (pick(&mut random, &NAMES), pick(&mut random, &["x", "y"]));
                let now = i64::try_from(step).unwrap();
                let duration = random.random_range(-1..20);
                let left = left.acquire_lease(name, holder, now, duration).await.unwrap();
                let right = right.acquire_lease(name, holder, now, duration).await.unwrap();
                same(&place, &left, &right, &(name, holder));
            }
            65..70 => {
                let (name, token) = (pick(&mut random, &NAMES), random.random_range(0..6));
                left.release_lease(name, token).await.unwrap();
                right.release_lease(name, token).await.unwrap();
            }
            70..74 => {
                let content = Bytes::from_static(pick(&mut random, &CONTENTS).as_bytes());
                left.put_blob(content.clone()).await.unwrap();
                right.put_blob(content).await.unwrap();
            }
            74..76 => {
                let revision = Revision(
                    left.revision()
                        .await
                        .unwrap()
                        .0
                        .saturating_sub(random.random_range(0..40)),
                );
                left.compact(revision).await.unwrap();
                right.compact(revision).await.unwrap();
            }
            76..88 => {
                let request = ListRequest {
                    resource: resource(&mut random),
                    namespace: random
                        .random_bool(0.5)
                        .then(|| pick(&mut random, &NAMESPACES).into()),
                    limit: random.random_range(0..5),
                    after: random.random_bool(0.5).then(|| {
                        (
                            pick(&mut random, &NAMESPACES).into(),
                            pick(&mut random, &NAMES).into(),
                        )
                    }),
                };
                let (left, right) = (
                    left.list(&request).await.unwrap(),
                    right.list(&request).await.unwrap(),
                );
                same(&place, &left, &right, &request);
            }
            88..94 => {
                let key = object(&mut random);
                same(
                    &place,
                    &left.get(&key).await.unwrap(),
                    &right.get(&key).await.unwrap(),
                    &key,
                );
                let (run, from) = (pick(&mut random, &NAMES), random.random_range(0..4));
                let rows = (
                    left.journal(run, from).await.unwrap(),
                    right.journal(run, from).await.unwrap(),
                );
                same(&place, &rows.0, &rows.1, &(run, from));
            }
            _ => {
                let current = left.revision().await.unwrap().0;
                let request = WatchRequest {
                    resource: random.random_bool(0.5).then(|| resource(&mut random)),
                    namespace: random
                        .random_bool(0.5)
                        .then(|| pick(&mut random, &NAMESPACES).into()),
                    after: Revision((current + 2).saturating_sub(random.random_range(0..60))),
                };
                let streams = (
                    left.watch(request.clone()).await,
                    right.watch(request.clone()).await,
                );
                match streams {
                    (Ok(left), Ok(right)) => watched.push((left, right, request)),
                    (Err(left), Err(right)) => same(&place, &told(&left), &told(&right), &request),
                    (left, right) => panic!("{place}: {:?} and {:?}", left.err(), right.err()),
                }
                // Some are read at once, and some at the end.
                if random.random_bool(0.5)
                    && let Some((mut left, mut right, request)) = watched.pop()
                {
                    let end = Revision(current);
                    let seen = (
                        events(&mut left, &request, end).await,
                        events(&mut right, &request, end).await,
                    );
                    same(&place, &seen.0, &seen.1, &request);
                }
            }
        }
        same(
            &place,
            &left.revision().await.unwrap(),
            &right.revision().await.unwrap(),
            &"the revision",
        );
    }
    // One more change ends every watch at a known place.
    let last = Transaction {
        changes: vec![Change::Put(object(&mut random), Arc::new(json!("the end")))],
        ..Transaction::default()
    };
    let end = left.commit(last.clone()).await.unwrap().revision;
    assert_eq!(right.commit(last).await.unwrap().revision, end);
    for (mut left, mut right, request) in watched {
        let seen = (
            events(&mut left, &request, end).await,
            events(&mut right, &request, end).await,
        );
        same(&format!("seed {seed}, at the end"), &seen.0, &seen.1, &request);
    }
    drop(watch(&left, end.0).await);
}

fn same<T: Debug>(place: &str, left: &T, right: &T, asked: &dyn Debug) {
    // Compared as text, since errors know no equality.
    let (left, right) = (format!("{left:?}"), format!("{right:?}"));
    assert_eq!(left, right, "{place}: {asked:?}");
}

fn told(error: &WatchError) -> String {
    error.to_string()
}

/// All that a watch tells up to a revision, and how it ends when it does. Empty batches are not compared: from
/// history they may be joined.
async fn events(
    stream: &mut crate::WatchStream,
    request: &WatchRequest,
    end: Revision,
) -> (Vec<(Revision, Vec<Event>)>, Option<String>) {
    let mut batches = Vec::new();
    let mut reached = request.after;
    while reached < end {
        match next(stream).await {
            Ok((revision, events)) => {
                assert!(revision > reached);
                reached = revision;
                if !events.is_empty() {
                    batches.push((revision, events));
                }
            }
            // Which stretch was read before the compaction depends on the store; that it says so does not.
            Err(WatchError::TooOld { oldest, .. }) => {
                return (Vec::new(), Some(format!("oldest is {oldest}")));
            }
            Err(error) => panic!("{error}"),
        }
    }
    (batches, None)
}

/// A transaction whose blobs are named by content, since each store has addresses of its own.
#[derive(Debug)]
struct Plan {
    transaction: Transaction,
    contents: Vec<&'static str>,
}

fn fill(plan: &Plan, store: &dyn Store) -> Transaction {
    let blobs = plan
        .contents
        .iter()
        .map(|content| store.digest(content.as_bytes()))
        .collect();
    Transaction {
        blobs,
        ..plan.transaction.clone()
    }
}

/// An answer without the addresses that differ from store to store.
fn hide(answer: &impl Debug, store: &dyn Store) -> String {
    CONTENTS.iter().fold(format!("{answer:?}"), |text, content| {
        let digest: BlobDigest = store.digest(content.as_bytes());
        text.replace(digest.as_str(), content)
    })
}

async fn transaction(random: &mut ChaCha8Rng, store: &dyn Store) -> Plan {
    let mut transaction = Transaction {
        principal: pick(random, &["ada", "bob"]).into(),
        ..Transaction::default()
    };
    for _ in 0..random.random_range(0..5) {
        let key = object(random);
        let again = transaction.changes.iter().any(|change| *change.key() == key);
        if again && random.random_bool(0.8) {
            continue;
        }
        transaction.changes.push(match random.random_range(0..3) {
            0 => Change::Delete(key),
            _ => Change::Put(key, Arc::new(value(random))),
        });
    }
    if random.random_bool(0.4) {
        let key = object(random);
        let at = store
            .get(&key)
            .await
            .unwrap()
            .map_or(Revision(1), |object| object.revision);
        transaction.preconditions.push(match random.random_range(0..4) {
            0 => Precondition::Absent(key),
            1 => Precondition::Exists(key),
            2 => Precondition::At(key, at),
            _ => Precondition::At(key, Revision(random.random_range(0..at.0 + 2))),
        });
    }
    if random.random_bool(0.3) {
        let run = pick(random, &NAMES);
        let next = store.journal(run, 0).await.unwrap().len() as u64;
        for place in 0..random.random_range(1..4) {
            let off = u64::from(random.random_bool(0.1));
            let record = Arc::new(value(random));
            transaction.journal.push(JournalEntry {
                run: run.into(),
                sequence: next + place + off,
                record,
            });
        }
    }
    if random.random_bool(0.2) {
        let name = pick(random, &NAMES).into();
        transaction.lease = Some(LeaseCheck {
            name,
            token: random.random_range(0..8),
        });
    }
    let mut contents = Vec::new();
    if random.random_bool(0.2) {
        contents.push(pick(random, &CONTENTS));
    }
    Plan {
        transaction,
        contents,
    }
}

fn value(random: &mut ChaCha8Rng) -> Value {
    json!({ "n": random.random::<u32>(), "f": random.random::<f64>(), "s": "x".repeat(random.random_range(0..200)) })
}

fn object(random: &mut ChaCha8Rng) -> Key {
    Key::namespaced(resource(random), pick(random, &NAMESPACES), pick(random, &NAMES))
}

fn resource(random: &mut ChaCha8Rng) -> ResourceKey {
    let (group, resource) = RESOURCES.choose(random).copied().unwrap();
    ResourceKey::new(group, resource)
}

fn pick(random: &mut ChaCha8Rng, from: &[&'static str]) -> &'static str {
    from.choose(random).copied().unwrap()
}
