//! Requests about objects.

mod continuation;
mod delete;
mod patch;
mod read;
mod subresource;
mod watch;
mod write;

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Method, Response};
use serde_json::{Value, json};

use crate::namespaces;
use crate::negotiate::{self, Shape};
use crate::printing::Shown;
use crate::registry::{ServedKind, View};
use crate::request::Query;
use crate::respond;
use crate::seams::Principal;
use crate::server::{Inner, not_this_method};
use crate::status::StatusError;
use crate::table::{self, IncludeObject};

/// A request about objects of one kind.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) inner: Arc<Inner>,
    pub(crate) principal: Principal,
    pub(crate) kind: Arc<ServedKind>,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
}

/// Finds the part that answers.
pub(crate) async fn dispatch(
    call: &Call,
    method: &Method,
    subresource: &str,
    body: Body,
) -> Result<Response<Body>, StatusError> {
    let collection = call.name.is_empty();
    let in_namespace = !call.namespace.is_empty();
    if in_namespace != call.kind.definition.namespaced && (in_namespace || !collection) {
        return Ok(respond::no_such_page());
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if !subresource.is_empty() {
        return match subresource {
            "status" if call.kind.definition.status && reads => read::get(call).await,
            "status" if call.kind.definition.status => Err(StatusError::method_not_allowed(format!(
                "the status of {} is written by the server alone: change the spec instead",
                call.kind.definition.plural
            ))),
            _ => subresource::call(call, method, subresource, body).await,
        };
    }
    if reads {
        return match (collection, call.query.flag("watch")) {
            (false, _) => read::get(call).await,
            (true, false) => read::list(call).await,
            (true, true) => watch::watch(call).await,
        };
    }
    match (method.as_str(), collection) {
        ("POST", true) | ("PUT" | "PATCH", false) if !call.kind.is_writable() => Err(refused(call)),
        ("DELETE", _) if !call.kind.is_deletable() => Err(refused(call)),
        ("POST", true) if call.kind.definition.namespaced && !in_namespace => Err(not_this_method()),
        ("POST", true) => write::create(call, body).await,
        ("PUT", false) => write::update(call, body).await,
        ("PATCH", false) => patch::patch(call, body).await,
        ("DELETE", false) => delete::one(call, body).await,
        // All namespaces at once, or all environments by way of their namespaces, is more than anybody means.
        ("DELETE", true)
            if call.kind.view == View::Plain && in_namespace == call.kind.definition.namespaced =>
        {
            delete::collection(call, body).await
        }
        _ => Err(not_this_method()),
    }
}

fn refused(call: &Call) -> StatusError {
    if call.kind.view == View::Namespace {
        return StatusError::method_not_allowed(namespaces::CREATE_REMEDY);
    }
    let plural = call.kind.definition.plural;
    StatusError::method_not_allowed(format!(
        "{plural} are made and removed by the server: change what they come from (workloads, modules, rules, \
         environments) instead"
    ))
}

impl Call {
    pub(crate) fn not_found(&self) -> StatusError {
        let definition = &self.kind.definition;
        StatusError::not_found(definition.group, definition.plural, &self.name)
    }

    /// Whether nothing is to be kept.
    pub(crate) fn dry_run(&self, options: &str) -> Result<bool, StatusError> {
        match self.query.text("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(unsupported_option(options, "dryRun", other, "\"All\"")),
        }
    }

    /// An object as the client wants to see it.
    pub(crate) fn show(&self, status: u16, object: &Shown) -> Result<Response<Body>, StatusError> {
        Ok(match negotiate::shape(&self.headers)? {
            Shape::Object => respond::json(status, object),
            Shape::Metadata => respond::json(status, &table::partial(object)),
            Shape::Table => {
                let metadata = object
                    .revision
                    .map(|revision| json!({"resourceVersion": revision.to_string()}));
                respond::json(
                    status,
                    &self.table(std::slice::from_ref(object), &metadata.unwrap_or(json!({})), true)?,
                )
            }
        })
    }

    /// Objects as a table.
    pub(crate) fn table(
        &self,
        objects: &[Shown],
        metadata: &Value,
        headings: bool,
    ) -> Result<Value, StatusError> {
        let include = match self.query.text("includeObject") {
            "" | "Metadata" => IncludeObject::Metadata,
            "None" => IncludeObject::None,
            "Object" => IncludeObject::Object,
            other => {
                let allowed = "\"None\", \"Metadata\", \"Object\"";
                return Err(unsupported_option(
                    "TableOptions",
                    "includeObject",
                    other,
                    allowed,
                ));
            }
        };
        let now = self.inner.clock.now();
        let rows: Vec<Value> = objects
            .iter()
            .map(|object| table::row(&self.kind, object, include, now))
            .collect();
        let columns = if headings {
            table::columns(&self.kind)
        } else {
            Value::Null
        };
        Ok(
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": columns, "rows": rows}),
        )
    }
}

/// 422 for a query parameter with a value that is not known.
pub(crate) fn unsupported_option(options: &str, field: &str, value: &str, supported: &str) -> StatusError {
    let cause = crate::status::Cause {
        reason: "FieldValueNotSupported".to_owned(),
        message: format!(
            "Unsupported value: {}: supported values: {supported}",
            json!(value)
        ),
        field: field.to_owned(),
    };
    StatusError::invalid("meta.k8s.io", options, "", vec![cause])
}
