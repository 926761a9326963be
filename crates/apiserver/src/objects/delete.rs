//! Delete: at once, or, while finalizers hold the object, by marking it.

use axum::body::Body;
use http::Response;
use podium_store::{Precondition, StoredObject};
use serde_json::{Value, json};

use super::write::{ATTEMPTS, Plan, Refused, Written, raise_generation};
use super::{Call, read, unsupported_option};
use crate::decode;
use crate::metadata;
use crate::negotiate;
use crate::printing::Shown;
use crate::respond;
use crate::seams::Operation;
use crate::selector::Selector;
use crate::status::{StatusError, qualified};

/// What a client says about a deletion.
struct Options {
    dry_run: bool,
    uid: String,
    revision: String,
}

/// How a deletion ended.
enum Gone {
    /// The object is gone; this was its uid.
    Now(String, Vec<String>),
    /// Finalizers hold it.
    Later(Box<Written>),
}

/// Deletes one object.
pub(crate) async fn one(call: &Call, body: Body) -> Result<Response<Body>, StatusError> {
    negotiate::shape(&call.headers)?;
    let options = options(call, body).await?;
    match delete(call, &call.namespace, &call.name, &options).await? {
        Gone::Later(written) => super::write::answer(call, 200, &written),
        Gone::Now(uid, warnings) => {
            let definition = &call.kind.definition;
            let mut details = json!({"name": call.name, "kind": definition.plural, "uid": uid});
            if !definition.group.is_empty() {
                details["group"] = json!(definition.group);
            }
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
            let mut response = respond::json(200, &status);
            respond::warn(&mut response, &warnings);
            Ok(response)
        }
    }
}

/// Deletes selected objects, one after the other: each is judged by itself.
pub(crate) async fn collection(call: &Call, body: Body) -> Result<Response<Body>, StatusError> {
    negotiate::json(&call.headers)?;
    let options = options(call, body).await?;
    let selector = Selector::parse(call.query.text("labelSelector"), call.query.text("fieldSelector"))?;
    let page = read::select(call, &selector, 0, None).await?;
    let mut deleted = Vec::new();
    for object in page.items {
        let namespace = metadata::text(&object.value, "namespace").to_owned();
        let name = metadata::text(&object.value, "name").to_owned();
        match delete(call, &namespace, &name, &options).await {
            Ok(Gone::Now(..)) => deleted.push(object),
            Ok(Gone::Later(written)) => deleted.push(written.object),
            // Somebody else was faster.
            Err(error) if error.reason == "NotFound" => {}
            Err(error) => return Err(error),
        }
    }
    let revision = call.inner.store.revision().await?;
    let metadata = json!({"continue": "", "resourceVersion": revision.to_string()});
    Ok(respond::json(200, &read::objects(call, &deleted, metadata)))
}

async fn delete(call: &Call, namespace: &str, name: &str, options: &Options) -> Result<Gone, StatusError> {
    let definition = &call.kind.definition;
    for attempt in 1..=ATTEMPTS {
        let key = call.kind.key(namespace, name);
        let old = call.inner.store.get(&key).await?;
        let old = old.ok_or_else(|| StatusError::not_found(definition.group, definition.plural, name))?;
        preconditions_hold(call, &old, name, options)?;
        let held = !metadata::finalizers(&old.value).is_empty();
        if held && metadata::is_terminating(&old.value) {
            // It is on its way already.
            let object = Shown::new(&call.kind, &old);
            return Ok(Gone::Later(Box::new(Written {
                object,
                warnings: Vec::new(),
            })));
        }
        let new = held.then(|| marked(call, &old.value));
        let plan = Plan {
            operation: Operation::Delete,
            key: &key,
            old: Some(&old),
            new,
            preconditions: vec![Precondition::At(key.clone(), old.revision)],
            dry_run: options.dry_run,
        };
        match plan.carry_out(call).await {
            Ok(written) => {
                let stays = held || (metadata::is_terminating(&written.object.value) && !options.dry_run);
                return Ok(if stays {
                    Gone::Later(Box::new(written))
                } else {
                    Gone::Now(metadata::text(&old.value, "uid").to_owned(), written.warnings)
                });
            }
            Err(Refused::Moved(_)) if attempt < ATTEMPTS => {}
            Err(Refused::Final(error) | Refused::Moved(error)) => return Err(error),
        }
    }
    Err(StatusError::internal())
}

/// The object, marked for deletion.
fn marked(call: &Call, old: &Value) -> Value {
    let mut marked = old.clone();
    metadata::edit(&mut marked, |fields| {
        fields.insert(
            "deletionTimestamp".to_owned(),
            json!(metadata::time(call.inner.clock.now())),
        );
        fields.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
    });
    raise_generation(&mut marked);
    marked
}

fn preconditions_hold(
    call: &Call,
    old: &StoredObject,
    name: &str,
    options: &Options,
) -> Result<(), StatusError> {
    let definition = &call.kind.definition;
    let uid = metadata::text(&old.value, "uid");
    let why = if !options.uid.is_empty() && options.uid != uid {
        format!(
            "the UID in the precondition ({}) does not match the UID in record ({uid}). The object might have been \
             deleted and then recreated",
            options.uid
        )
    } else if !options.revision.is_empty() && options.revision != old.revision.to_string() {
        format!(
            "the ResourceVersion in the precondition ({}) does not match the ResourceVersion in record ({}). The object \
             might have been modified",
            options.revision, old.revision
        )
    } else {
        return Ok(());
    };
    tracing::debug!(
        object = qualified(definition.plural, definition.group),
        name,
        "a precondition of a delete fails"
    );
    Err(StatusError::conflict(
        definition.group,
        definition.kind,
        name,
        &why,
    ))
}

async fn options(call: &Call, body: Body) -> Result<Options, StatusError> {
    let bytes = call.inner.read_body(body, call.inner.limits.object_bytes).await?;
    let given = if bytes.is_empty() {
        Value::Null
    } else {
        decode::object(&call.headers, &bytes, "DeleteOptions")?.value
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let policy = match call.query.text("propagationPolicy") {
        "" => text(given.get("propagationPolicy")),
        policy => policy.to_owned(),
    };
    // What belongs to an object is removed through a plan, whichever policy is asked for.
    if !matches!(policy.as_str(), "" | "Background" | "Foreground" | "Orphan") {
        let allowed = "\"Background\", \"Foreground\", \"Orphan\"";
        return Err(unsupported_option(
            "DeleteOptions",
            "propagationPolicy",
            &policy,
            allowed,
        ));
    }
    let mut dry_run = call.dry_run("DeleteOptions")?;
    for item in given
        .get("dryRun")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if item.as_str() != Some("All") {
            return Err(unsupported_option(
                "DeleteOptions",
                "dryRun",
                &text(Some(item)),
                "\"All\"",
            ));
        }
        dry_run = true;
    }
    let preconditions = given.get("preconditions");
    let precondition = |field: &str| text(preconditions.and_then(|preconditions| preconditions.get(field)));
    Ok(Options {
        dry_run,
        uid: precondition("uid"),
        revision: precondition("resourceVersion"),
    })
}
