//! The suite that every store must pass, written once against [`Store`].
//!
//! [`CASES`] are run one by one, each on an empty store; [`same_answers`] feeds two stores one random history and
//! compares every answer. A store's own tests add what only it can do (reopening, damage).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: a panic is how they tell that a store is wrong"
)]

mod basics;
mod blobs;
mod differential;
mod leases;
mod lists;
mod watches;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

pub use self::differential::same_answers;
use crate::error::{CommitError, WatchError};
use crate::interface::{Store, WatchStream};
use crate::types::{
    Change, Committed, Event, Key, Precondition, ResourceKey, Revision, Transaction, WatchRequest,
};

/// One test of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What holds when it passes.
    pub name: &'static str,
    /// Runs it on an empty store; panics when the store is wrong.
    pub run: Run,
}

/// Runs a test on an empty store.
pub type Run = fn(Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($($module:ident::$name:ident,)*) => {
        /// All tests of the suite.
        pub const CASES: &[Case] = &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |store| Box::pin($module::$name(store)),
        },)*];
    };
}

cases! {
    basics::an_empty_store_is_at_revision_0,
    basics::what_is_written_is_read_back,
    basics::numbers_and_order_of_members_survive,
    basics::each_precondition_is_checked,
    basics::a_refused_transaction_changes_nothing,
    basics::changes_take_a_contiguous_block,
    basics::no_revision_is_used_twice,
    basics::created_begins_anew_after_a_delete,
    basics::an_object_changed_twice_is_refused,
    basics::too_large_and_too_deep_are_refused,
    basics::journal_rows_follow_each_other,
    basics::counters_count_under_contention,
    leases::one_holder_at_a_time,
    leases::tokens_never_go_back,
    leases::a_lost_lease_stops_a_transaction,
    leases::expiry_alone_does_not,
    lists::pages_are_ordered_and_complete,
    lists::namespaces_and_resources_are_kept_apart,
    lists::an_empty_list_has_a_revision,
    watches::every_change_arrives_once_and_in_order,
    watches::a_commit_is_one_batch,
    watches::unselected_commits_move_the_revision,
    watches::filters_select,
    watches::previous_values_are_told,
    watches::a_watch_resumes_from_any_revision,
    watches::a_watch_from_the_future_is_refused,
    watches::compaction_ends_old_watches_only,
    watches::compaction_keeps_objects_and_previous_values,
    watches::a_slow_watcher_misses_nothing,
    watches::watchers_beside_writers_see_everything,
    watches::large_commits_arrive_whole,
    blobs::content_is_read_back_at_every_size,
    blobs::equal_content_has_one_address,
    blobs::streams_are_bounded,
    blobs::a_broken_stream_stores_nothing,
    blobs::an_unknown_blob_is_missing,
    blobs::a_transaction_names_only_blobs_that_exist,
}

/// Runs all cases, each on a store of its own, and panics with the names of those that failed.
///
/// # Panics
/// When a case fails.
pub async fn run_all<F>(open: impl Fn() -> F)
where
    F: Future<Output = Arc<dyn Store>>,
{
    let mut failed = Vec::new();
    for case in CASES {
        let store = open().await;
        if let Err(error) = tokio::spawn((case.run)(store)).await {
            failed.push(format!("{}: {error}", case.name));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n{}",
        failed.len(),
        CASES.len(),
        failed.join("\n")
    );
}

/// A resource to test with.
fn workloads() -> ResourceKey {
    ResourceKey::new("podium.dev", "workloads")
}

/// An object to test with.
fn key(name: &str) -> Key {
    Key::namespaced(workloads(), "shop-dev", name)
}

fn change(changes: Vec<Change>) -> Transaction {
    Transaction {
        principal: "ada".into(),
        changes,
        ..Transaction::default()
    }
}

fn put(name: &str, value: Value) -> Change {
    Change::Put(key(name), Arc::new(value))
}

fn delete(name: &str) -> Change {
    Change::Delete(key(name))
}

async fn write(store: &Arc<dyn Store>, changes: Vec<Change>) -> Committed {
    store.commit(change(changes)).await.expect("an unguarded write")
}

/// A write that is guarded, as those of controllers are.
async fn replace(
    store: &Arc<dyn Store>,
    name: &str,
    at: Revision,
    value: Value,
) -> Result<Committed, CommitError> {
    let mut transaction = change(vec![put(name, value)]);
    transaction.preconditions.push(Precondition::At(key(name), at));
    store.commit(transaction).await
}

async fn watch(store: &Arc<dyn Store>, after: u64) -> WatchStream {
    store.watch(everything(after)).await.expect("a watch")
}

fn everything(after: u64) -> WatchRequest {
    WatchRequest {
        resource: None,
        namespace: None,
        after: Revision(after),
    }
}

/// The next batch, which must come soon.
async fn batch(stream: &mut WatchStream) -> (Revision, Vec<Event>) {
    next(stream).await.expect("the watch goes on")
}

async fn next(stream: &mut WatchStream) -> Result<(Revision, Vec<Event>), WatchError> {
    tokio::time::timeout(Duration::from_secs(20), stream.next())
        .await
        .expect("a batch within 20 seconds")
        .expect("the watch has not ended")
}

/// All events up to a revision. Checks on the way that batches come in order.
async fn until(stream: &mut WatchStream, revision: Revision) -> Vec<Event> {
    let mut events = Vec::new();
    let mut reached = Revision(0);
    while reached < revision {
        let (seen, more) = batch(stream).await;
        assert!(seen > reached, "batch {seen} came after {reached}");
        assert!(
            more.iter()
                .all(|event| event.object.revision > reached && event.object.revision <= seen)
        );
        reached = seen;
        events.extend(more);
    }
    events
}

fn revisions(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.object.revision.0).collect()
}

fn numbered(number: u64) -> Value {
    json!({ "number": number })
}
