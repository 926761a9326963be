//! Watch: every change of selected objects, as it happens.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::Response;
use podium_store::{Event, EventKind, Revision, WatchError, WatchRequest, WatchStream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, Sleep};

use super::Call;
use super::read::{check_options, revision_parameter, select};
use crate::negotiate::{self, Shape};
use crate::printing::Shown;
use crate::respond;
use crate::selector::Selector;
use crate::status::StatusError;
use crate::table;

/// Objects of the beginning that are written at once.
const CHUNK: usize = 64;

/// Answers with a stream of events.
pub(crate) async fn watch(call: &Call) -> Result<Response<Body>, StatusError> {
    let shape = negotiate::shape(&call.headers)?;
    check_options(call, true)?;
    let selector = Selector::parse(call.query.text("labelSelector"), call.query.text("fieldSelector"))?;
    let wanted = revision_parameter(call)?;
    let announced = call.query.0.contains_key("sendInitialEvents");
    let initial_wanted = if announced {
        call.query.flag("sendInitialEvents")
    } else {
        wanted.is_none()
    };
    // A table's columns are refused here rather than in the middle of the stream.
    call.table(&[], &Value::Null, false)?;
    let mut initial = VecDeque::new();
    let mut after = Revision(wanted.unwrap_or(0));
    if initial_wanted {
        if let Some(wanted) = wanted {
            super::read::wait_for(call, wanted).await?;
        }
        let page = select(call, &selector, 0, None).await?;
        initial = page.items.into();
        after = page.revision;
    } else if wanted.is_none() {
        after = call.inner.store.revision().await?;
    }
    let request = WatchRequest {
        resource: Some(call.kind.storage.clone()),
        namespace: (!call.namespace.is_empty()).then(|| call.namespace.as_str().into()),
        after,
    };
    let events = match call.inner.store.watch(request).await {
        Ok(events) => events,
        Err(WatchError::TooNew { requested, current }) => {
            return Err(StatusError::resource_version_too_large(requested.0, current.0));
        }
        // The stream begins and says so, as clients expect it.
        Err(error) => Box::pin(futures::stream::once(async move { Err(error) })),
    };
    let seconds = call
        .query
        .number("timeoutSeconds")?
        .filter(|seconds| *seconds > 0);
    let longest = call.inner.limits.watch_time;
    let time = seconds.map_or(longest, |seconds| {
        Duration::from_secs(seconds).min(longest.max(Duration::from_hours(2)))
    });
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let mut pause = tokio::time::interval(call.inner.limits.bookmark_pause);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pause.reset();
    let watcher = Watcher {
        call: call.clone(),
        shape,
        selector,
        initial,
        end_of_initial: (initial_wanted && announced).then_some(after),
        events,
        deadline: Box::pin(tokio::time::sleep(time)),
        pause,
        bookmarks,
        seen: after,
        told: after,
        headings: true,
        ended: false,
        stopping: call.inner.stopping(),
    };
    let body = futures::stream::unfold(watcher, |mut watcher| async move {
        let bytes = watcher.next().await?;
        Some((Ok::<_, std::io::Error>(bytes), watcher))
    });
    Ok(respond::stream("application/json", Body::from_stream(body)))
}

struct Watcher {
    call: Call,
    shape: Shape,
    selector: Selector,
    initial: VecDeque<Shown>,
    /// The bookmark that ends the initial events, when it is still to be sent.
    end_of_initial: Option<Revision>,
    events: WatchStream,
    deadline: Pin<Box<Sleep>>,
    pause: Interval,
    bookmarks: bool,
    /// The store's revision as far as this watcher has seen it.
    seen: Revision,
    /// The revision that the client knows.
    told: Revision,
    /// Whether a table still has to name its columns.
    headings: bool,
    ended: bool,
    stopping: tokio::sync::watch::Receiver<bool>,
}

enum Woken {
    Events(Option<Result<(Revision, Vec<Event>), WatchError>>),
    Bookmark,
    Deadline,
    Stopping,
}

impl Watcher {
    /// The next bytes for the client; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = Vec::new();
        if !self.initial.is_empty() {
            for _ in 0..CHUNK {
                let Some(object) = self.initial.pop_front() else {
                    break;
                };
                self.event(&mut out, "ADDED", &object);
            }
            return Some(out.into());
        }
        if let Some(revision) = self.end_of_initial.take() {
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            self.bookmark(&mut out, revision, Some(annotations));
            return Some(out.into());
        }
        loop {
            let woken = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => Woken::Stopping,
                batch = self.events.next() => Woken::Events(batch),
                _ = self.pause.tick(), if self.bookmarks => Woken::Bookmark,
                () = &mut self.deadline => Woken::Deadline,
            };
            match woken {
                Woken::Stopping | Woken::Events(None) => return None,
                Woken::Events(Some(Err(error))) => {
                    self.ended = true;
                    Self::failure(&mut out, &error);
                    return Some(out.into());
                }
                Woken::Events(Some(Ok((revision, events)))) => {
                    self.seen = revision;
                    for event in &events {
                        self.change(&mut out, event);
                    }
                    if !out.is_empty() {
                        return Some(out.into());
                    }
                }
                Woken::Bookmark => {
                    self.bookmark(&mut out, self.seen, None);
                    return Some(out.into());
                }
                Woken::Deadline => {
                    // The client goes on from here: tell it how far it is, when it does not know.
                    if !self.bookmarks || self.seen == self.told {
                        return None;
                    }
                    self.ended = true;
                    self.bookmark(&mut out, self.seen, None);
                    return Some(out.into());
                }
            }
        }
    }

    /// A change, translated to what it means for the selection.
    fn change(&mut self, out: &mut Vec<u8>, event: &Event) {
        let key = &event.object.key;
        let now = Shown::new(&self.call.kind, &event.object);
        let matches = |shown: &Shown| self.selector.matches(&key.namespace, &key.name, &shown.value);
        let is_in = matches(&now);
        let what = match event.kind {
            EventKind::Created => is_in.then_some("ADDED"),
            EventKind::Deleted => is_in.then_some("DELETED"),
            EventKind::Updated => {
                let was_in = match Shown::previous(&self.call.kind, event) {
                    Some(before) => matches(&before),
                    None => is_in,
                };
                match (was_in, is_in) {
                    (true, true) => Some("MODIFIED"),
                    (false, true) => Some("ADDED"),
                    (true, false) => Some("DELETED"),
                    (false, false) => None,
                }
            }
        };
        if let Some(what) = what {
            self.event(out, what, &now);
        }
    }

    fn event(&mut self, out: &mut Vec<u8>, what: &'static str, object: &Shown) {
        if let Some(revision) = object.revision {
            self.told = self.told.max(revision);
        }
        match self.shape {
            Shape::Object => line(out, what, object),
            Shape::Metadata => line(out, what, &table::partial(object)),
            Shape::Table => {
                let metadata = object
                    .revision
                    .map(|revision| json!({"resourceVersion": revision.to_string()}));
                self.rows(
                    out,
                    what,
                    std::slice::from_ref(object),
                    &metadata.unwrap_or(json!({})),
                );
            }
        }
    }

    fn rows(&mut self, out: &mut Vec<u8>, what: &'static str, objects: &[Shown], metadata: &Value) {
        // The parameters were checked before the stream began.
        if let Ok(table) = self.call.table(objects, metadata, self.headings) {
            line(out, what, &table);
            self.headings = false;
        }
    }

    fn bookmark(&mut self, out: &mut Vec<u8>, revision: Revision, annotations: Option<Value>) {
        self.told = revision;
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        match self.shape {
            Shape::Object => {
                let kind = self.call.kind.definition.kind;
                let object =
                    json!({"apiVersion": self.call.kind.api_version, "kind": kind, "metadata": metadata});
                line(out, "BOOKMARK", &object);
            }
            Shape::Metadata => {
                let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
                line(out, "BOOKMARK", &object);
            }
            Shape::Table => self.rows(out, "BOOKMARK", &[], &metadata),
        }
    }

    fn failure(out: &mut Vec<u8>, error: &WatchError) {
        let status = match error {
            WatchError::TooOld { requested, oldest } => {
                StatusError::expired(format!("too old resource version: {requested} ({oldest})"))
            }
            WatchError::TooNew { requested, current } => {
                StatusError::resource_version_too_large(requested.0, current.0)
            }
            WatchError::Store(error) => {
                tracing::error!(%error, "a watch failed");
                StatusError::internal()
            }
        };
        line(out, "ERROR", &status);
    }
}

fn line(out: &mut Vec<u8>, what: &'static str, object: &impl Serialize) {
    #[derive(Serialize)]
    struct Line<'a, T> {
        r#type: &'static str,
        object: &'a T,
    }
    let start = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, &Line { r#type: what, object }) {
        tracing::error!(%error, "an event cannot be written as JSON");
        out.truncate(start);
        return;
    }
    out.push(b'\n');
}
