//! Get and list.

use std::sync::Arc;

use axum::body::Body;
use futures::StreamExt;
use http::Response;
use podium_store::{ListRequest, Revision, StoredObject, WatchRequest};
use serde::Serialize;
use serde_json::{Value, json};

use super::Call;
use super::continuation::Continuation;
use crate::negotiate::{self, Shape};
use crate::printing::Shown;
use crate::respond;
use crate::selector::Selector;
use crate::status::{StatusError, cause_forbidden};
use crate::table;

/// Objects that are read at once when a selector leaves most of them out.
const CHUNK: usize = 500;

/// Reads one object.
pub(crate) async fn get(call: &Call) -> Result<Response<Body>, StatusError> {
    negotiate::shape(&call.headers)?;
    if let Some(wanted) = revision_parameter(call)? {
        wait_for(call, wanted).await?;
    }
    let key = call.kind.key(&call.namespace, &call.name);
    let object = call
        .inner
        .store
        .get(&key)
        .await?
        .ok_or_else(|| call.not_found())?;
    call.show(200, &Shown::new(&call.kind, &object))
}

/// The query parameter `resourceVersion`; 0 is as good as none.
pub(crate) fn revision_parameter(call: &Call) -> Result<Option<u64>, StatusError> {
    match call.query.text("resourceVersion") {
        "" | "0" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| StatusError::bad_request(format!("invalid resource version: {}", json!(text)))),
    }
}

/// Waits a little for a revision that the client has seen elsewhere.
pub(crate) async fn wait_for(call: &Call, wanted: u64) -> Result<(), StatusError> {
    let store = &call.inner.store;
    let current = store.revision().await?;
    if wanted <= current.0 {
        return Ok(());
    }
    let request = WatchRequest {
        resource: None,
        namespace: None,
        after: current,
    };
    if let Ok(mut changes) = store.watch(request).await {
        let reached = async {
            while let Some(Ok((revision, _))) = changes.next().await {
                if revision.0 >= wanted {
                    return true;
                }
            }
            false
        };
        if tokio::time::timeout(call.inner.limits.fresh_wait, reached).await == Ok(true) {
            return Ok(());
        }
    }
    Err(StatusError::resource_version_too_large(
        wanted,
        store.revision().await?.0,
    ))
}

/// Objects, and where to go on.
pub(crate) struct Page {
    pub(crate) items: Vec<Shown>,
    /// The revision from which a watch misses nothing.
    pub(crate) revision: Revision,
    /// The last object's place, when there is more.
    more_after: Option<(Arc<str>, Arc<str>)>,
}

/// The object as it is served, when it is selected.
fn keep(call: &Call, selector: &Selector, object: &StoredObject) -> Option<Shown> {
    let shown = Shown::new(&call.kind, object);
    selector
        .matches(&object.key.namespace, &object.key.name, &shown.value)
        .then_some(shown)
}

/// Reads selected objects; a limit of 0 is none.
pub(crate) async fn select(
    call: &Call,
    selector: &Selector,
    limit: usize,
    after: Option<(Arc<str>, Arc<str>)>,
) -> Result<Page, StatusError> {
    let store = &call.inner.store;
    if let (Some(name), false) = (
        selector.exact_name(),
        call.kind.definition.namespaced && call.namespace.is_empty(),
    ) {
        // The revision first: a change in between is then seen again by a watch, and never missed.
        let revision = store.revision().await?;
        let object = store.get(&call.kind.key(&call.namespace, name)).await?;
        return Ok(Page {
            items: object
                .iter()
                .filter_map(|object| keep(call, selector, object))
                .collect(),
            revision,
            more_after: None,
        });
    }
    let mut request = ListRequest {
        resource: call.kind.storage.clone(),
        namespace: (!call.namespace.is_empty()).then(|| call.namespace.as_str().into()),
        limit: if selector.is_everything() || limit == 0 {
            limit
        } else {
            limit.max(CHUNK)
        },
        after,
    };
    let mut items = Vec::new();
    let mut first_revision = None;
    loop {
        let page = store.list(&request).await?;
        // The first page's revision: what changes while the others are read is seen again by a watch.
        let revision = *first_revision.get_or_insert(page.revision);
        let last = page
            .items
            .last()
            .map(|object| (Arc::clone(&object.key.namespace), Arc::clone(&object.key.name)));
        let mut rest = page.items.into_iter().peekable();
        while let Some(object) = rest.next() {
            if let Some(shown) = keep(call, selector, &object) {
                items.push(shown);
            }
            if limit > 0 && items.len() == limit {
                let more = page.more || rest.peek().is_some();
                let place = (Arc::clone(&object.key.namespace), Arc::clone(&object.key.name));
                return Ok(Page {
                    items,
                    revision,
                    more_after: more.then_some(place),
                });
            }
        }
        if !page.more || last.is_none() {
            return Ok(Page {
                items,
                revision,
                more_after: None,
            });
        }
        request.after = last;
    }
}

#[derive(Serialize)]
struct List<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'a str,
    items: &'a [Shown],
    kind: String,
    metadata: Value,
}

/// Reads many objects.
pub(crate) async fn list(call: &Call) -> Result<Response<Body>, StatusError> {
    let shape = negotiate::shape(&call.headers)?;
    check_options(call, false)?;
    let selector = Selector::parse(call.query.text("labelSelector"), call.query.text("fieldSelector"))?;
    let limit = usize::try_from(call.query.number("limit")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let all_namespaces = call.kind.definition.namespaced && call.namespace.is_empty();
    let continuation = match call.query.text("continue") {
        "" => None,
        token => Some(Continuation::read(token, &call.namespace, all_namespaces)?),
    };
    if let (Some(wanted), None) = (revision_parameter(call)?, &continuation) {
        wait_for(call, wanted).await?;
    }
    let first = continuation
        .as_ref()
        .map(|continuation| Revision(continuation.revision));
    let mut page = select(
        call,
        &selector,
        limit,
        continuation.map(|continuation| continuation.after),
    )
    .await?;
    if let (Some(wanted), "Exact") = (revision_parameter(call)?, call.query.text("resourceVersionMatch"))
        && page.revision.0 != wanted
    {
        return Err(StatusError::expired(
            "The provided resource version is not available any more: list the current one",
        ));
    }
    page.revision = first.unwrap_or(page.revision);
    let next = page.more_after.take().map(|after| {
        Continuation {
            revision: page.revision.0,
            after,
        }
        .write(all_namespaces)
    });
    show(call, shape, &page, next)
}

/// A list in the shape that the client wants.
fn show(call: &Call, shape: Shape, page: &Page, next: Option<String>) -> Result<Response<Body>, StatusError> {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(next) = &next {
        metadata["continue"] = json!(next);
    }
    Ok(match shape {
        Shape::Object => {
            metadata["continue"] = json!(next.unwrap_or_default());
            respond::json(200, &objects(call, &page.items, metadata))
        }
        Shape::Table => respond::json(200, &call.table(&page.items, &metadata, true)?),
        Shape::Metadata => {
            let items: Vec<Value> = page.items.iter().map(table::partial).collect();
            let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata, "items": items});
            respond::json(200, &list)
        }
    })
}

/// A list of the kind's own type.
pub(crate) fn objects<'a>(call: &'a Call, items: &'a [Shown], metadata: Value) -> impl Serialize + 'a {
    List {
        api_version: &call.kind.api_version,
        items,
        kind: format!("{}List", call.kind.definition.kind),
        metadata,
    }
}

/// Refuses combinations of parameters that have no meaning, with the causes that kube-apiserver gives.
pub(crate) fn check_options(call: &Call, watch: bool) -> Result<(), StatusError> {
    let query = &call.query;
    let matching = query.text("resourceVersionMatch");
    let version = query.text("resourceVersion");
    let initial = query.0.contains_key("sendInitialEvents");
    let mut causes = Vec::new();
    let mut forbid = |field: &str, why: &str| causes.push(cause_forbidden(field, why));
    if initial && !watch {
        forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
    } else if initial && matching != "NotOlderThan" {
        forbid(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
    } else if watch && !initial && !matching.is_empty() {
        forbid(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        );
    } else if !watch && !matching.is_empty() {
        if !query.text("continue").is_empty() {
            forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            );
        }
        if version.is_empty() {
            forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            );
        } else if matching == "Exact" && version == "0" {
            forbid(
                "resourceVersionMatch",
                "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
            );
        }
    }
    if !causes.is_empty() {
        return Err(StatusError::invalid("meta.k8s.io", "ListOptions", "", causes));
    }
    if !matches!(matching, "" | "Exact" | "NotOlderThan") {
        let allowed = "\"Exact\", \"NotOlderThan\"";
        return Err(super::unsupported_option(
            "ListOptions",
            "resourceVersionMatch",
            matching,
            allowed,
        ));
    }
    Ok(())
}
