//! Create and update, and what they share: reading an object, judging it, committing it.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use podium_store::{Change, CommitError, Key, Precondition, Revision, StoredObject, Transaction};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, unsupported_option};
use crate::decode::{self, Decoded, FieldValidation};
use crate::metadata;
use crate::names;
use crate::namespaces;
use crate::negotiate;
use crate::printing::Shown;
use crate::respond;
use crate::seams::{AdmissionRequest, Admitted, Operation};
use crate::status::{Cause, StatusError, cause_invalid, qualified};

/// How often a write is judged anew because the store changed meanwhile.
pub(crate) const ATTEMPTS: usize = 8;

/// What a write leaves.
pub(crate) struct Written {
    pub(crate) object: Shown,
    pub(crate) warnings: Vec<String>,
}

/// Creates an object.
pub(crate) async fn create(call: &Call, body: Body) -> Result<Response<Body>, StatusError> {
    negotiate::shape(&call.headers)?;
    let dry_run = call.dry_run("CreateOptions")?;
    let validation = field_validation(call)?;
    let bytes = call.inner.read_body(body, call.inner.limits.object_bytes).await?;
    let decoded = decode::object(&call.headers, &bytes, call.kind.definition.kind)?;
    let (mut object, warnings) = shape(call, decoded, validation)?;
    if !metadata::text(&object, "resourceVersion").is_empty() {
        return Err(StatusError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    same_namespace(call, &object)?;
    let prefix = metadata::text(&object, "generateName").to_owned();
    let generated = metadata::text(&object, "name").is_empty() && !prefix.is_empty();
    for attempt in 1..=ATTEMPTS {
        if generated {
            let name = names::generate_name(&prefix).ok_or_else(StatusError::internal)?;
            metadata::edit(&mut object, |fields| {
                fields.insert("name".to_owned(), json!(name));
            });
        }
        let born = newborn(call, object.clone());
        check(call, &born)?;
        let name = metadata::text(&born, "name").to_owned();
        let guard = namespaces::admits_new_objects(
            &call.inner.registry,
            &*call.inner.store,
            &call.kind,
            &call.namespace,
            &name,
        )
        .await?;
        let key = call.kind.key(&call.namespace, &name);
        let mut preconditions = vec![Precondition::Absent(key.clone())];
        preconditions.extend(guard);
        let plan = Plan {
            operation: Operation::Create,
            key: &key,
            old: None,
            new: Some(born),
            preconditions,
            dry_run,
        };
        match plan.carry_out(call).await {
            Ok(mut written) => {
                written.warnings.splice(0..0, warnings);
                return answer(call, 201, &written);
            }
            Err(Refused::Final(error))
                if error.reason == "AlreadyExists" && generated && attempt < ATTEMPTS => {}
            Err(Refused::Moved(_)) if attempt < ATTEMPTS => {}
            Err(Refused::Final(error) | Refused::Moved(error)) => return Err(error),
        }
    }
    Err(StatusError::internal())
}

/// Replaces an object.
pub(crate) async fn update(call: &Call, body: Body) -> Result<Response<Body>, StatusError> {
    negotiate::shape(&call.headers)?;
    let dry_run = call.dry_run("UpdateOptions")?;
    let validation = field_validation(call)?;
    let bytes = call.inner.read_body(body, call.inner.limits.object_bytes).await?;
    let decoded = decode::object(&call.headers, &bytes, call.kind.definition.kind)?;
    let (object, warnings) = shape(call, decoded, validation)?;
    same_name(call, &object)?;
    same_namespace(call, &object)?;
    for attempt in 1..=ATTEMPTS {
        let old = call
            .inner
            .store
            .get(&call.kind.key(&call.namespace, &call.name))
            .await?;
        let old = old.ok_or_else(|| call.not_found())?;
        if metadata::text(&object, "resourceVersion").is_empty() {
            let definition = &call.kind.definition;
            let why = "must be specified for an update";
            let causes = vec![cause_invalid("metadata.resourceVersion", "0", why)];
            return Err(StatusError::invalid(
                definition.group,
                definition.plural,
                &call.name,
                causes,
            ));
        }
        match replace(call, &old, object.clone(), dry_run).await {
            Ok(mut written) => {
                written.warnings.splice(0..0, warnings);
                return answer(call, 200, &written);
            }
            Err(Refused::Moved(_)) if attempt < ATTEMPTS => {}
            Err(Refused::Final(error) | Refused::Moved(error)) => return Err(error),
        }
    }
    Err(StatusError::internal())
}

/// Puts `new` in the place of `old`. A resource version in `new` must be the one of `old`.
pub(crate) async fn replace(
    call: &Call,
    old: &StoredObject,
    new: Value,
    dry_run: bool,
) -> Result<Written, Refused> {
    let definition = &call.kind.definition;
    let version = metadata::text(&new, "resourceVersion");
    if !version.is_empty() && version != old.revision.to_string() {
        return Err(StatusError::modified(definition.group, definition.plural, &call.name).into());
    }
    let uid = metadata::text(&new, "uid");
    let old_uid = metadata::text(&old.value, "uid");
    if !uid.is_empty() && uid != old_uid {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {old_uid}");
        return Err(StatusError::conflict(definition.group, definition.plural, &call.name, &why).into());
    }
    let new = successor(call, &old.value, new);
    let mut causes = metadata::check_finalizers(&old.value, &new);
    causes.extend(problems(call, &new));
    if !causes.is_empty() {
        return Err(invalid(call, &new, causes).into());
    }
    within_size(call, &new)?;
    let preconditions = vec![Precondition::At(old.key.clone(), old.revision)];
    let plan = Plan {
        operation: Operation::Update,
        key: &old.key,
        old: Some(old),
        new: Some(new),
        preconditions,
        dry_run,
    };
    plan.carry_out(call).await
}

/// A write that was judged and is ready to be admitted and committed.
pub(crate) struct Plan<'p> {
    pub(crate) operation: Operation,
    pub(crate) key: &'p Key,
    pub(crate) old: Option<&'p StoredObject>,
    /// `None` when the object goes.
    pub(crate) new: Option<Value>,
    pub(crate) preconditions: Vec<Precondition>,
    pub(crate) dry_run: bool,
}

/// Why a write was not carried out.
pub(crate) enum Refused {
    /// For a reason that stays.
    Final(StatusError),
    /// Because something changed meanwhile; when that goes on, the error is told.
    Moved(StatusError),
}

impl From<StatusError> for Refused {
    fn from(error: StatusError) -> Self {
        Self::Final(error)
    }
}

impl Plan<'_> {
    /// Asks the admission and commits. The object that is answered is the one stored, or the last one that was.
    pub(crate) async fn carry_out(self, call: &Call) -> Result<Written, Refused> {
        let Self {
            operation,
            key,
            old,
            new,
            mut preconditions,
            dry_run,
        } = self;
        // A namespace is deleted by way of its environment, and judged as such.
        let kind = if call.kind.view == crate::registry::View::Namespace {
            call.inner.registry.environment_kind().unwrap_or(&call.kind)
        } else {
            &call.kind
        };
        let request = AdmissionRequest {
            operation,
            principal: &call.principal,
            kind: &kind.definition,
            namespace: &key.namespace,
            name: &key.name,
            old: old.map(|old| &*old.value),
            new: new.clone(),
            dry_run,
        };
        let Admitted {
            object,
            changes: further,
            preconditions: more,
            blobs,
            warnings,
        } = call.inner.admission.admit(request).await?;
        let new = match object {
            Some(mut changed) => {
                metadata::clean(&mut changed);
                let changed = metadata::in_order(changed);
                let causes = metadata::check(&changed);
                let violations = kind.schema.validate(&changed);
                let causes: Vec<Cause> = causes
                    .into_iter()
                    .chain(violations.iter().map(Cause::from))
                    .collect();
                if !causes.is_empty() {
                    return Err(invalid(call, &changed, causes).into());
                }
                within_size(call, &changed)?;
                Some(changed)
            }
            None => new,
        };
        preconditions.extend(more);
        let old_shown = old.map(|old| Shown::new(&call.kind, old));
        let unchanged = match (&new, old) {
            (Some(new), Some(old)) => *new == *old.value,
            _ => false,
        };
        if let (true, Some(object)) = (unchanged && further.is_empty(), old_shown.clone()) {
            return Ok(Written { object, warnings });
        }
        // The last finalizer is gone: so is the object.
        let goes = match &new {
            None => true,
            Some(new) => {
                old.is_some() && metadata::is_terminating(new) && metadata::finalizers(new).is_empty()
            }
        };
        let new = new.map(Arc::new);
        if dry_run {
            if operation == Operation::Create
                && call
                    .inner
                    .store
                    .get(key)
                    .await
                    .map_err(StatusError::from)?
                    .is_some()
            {
                let definition = &call.kind.definition;
                return Err(
                    StatusError::already_exists(definition.group, definition.plural, &key.name).into(),
                );
            }
            return Ok(Written {
                object: outcome(call, new, old_shown, old.map(|old| old.revision)),
                warnings,
            });
        }
        let change = match (&new, goes) {
            (Some(new), false) => Change::Put(key.clone(), Arc::clone(new)),
            _ => Change::Delete(key.clone()),
        };
        let mut changes = vec![change];
        changes.extend(further);
        let transaction = Transaction {
            principal: call.principal.name.as_str().into(),
            preconditions,
            changes,
            blobs,
            ..Transaction::default()
        };
        let committed = match call.inner.store.commit(transaction).await {
            Ok(committed) => committed,
            Err(error) => return Err(refused(call, key, error)),
        };
        let revision = if goes {
            old.map(|old| old.revision)
        } else {
            committed.revisions.first().copied()
        };
        Ok(Written {
            object: outcome(call, new, old_shown, revision),
            warnings,
        })
    }
}

/// The object as a write leaves it; the last one that was, when it is gone.
fn outcome(call: &Call, new: Option<Arc<Value>>, old: Option<Shown>, revision: Option<Revision>) -> Shown {
    match (new, old) {
        (Some(new), _) => Shown::of(&call.kind, new, revision),
        (None, Some(old)) => old,
        (None, None) => Shown::of(&call.kind, Arc::default(), revision),
    }
}

/// A commit that failed, as the client is told.
fn refused(call: &Call, key: &Key, error: CommitError) -> Refused {
    let definition = &call.kind.definition;
    let name = &*key.name;
    let moved = || StatusError::modified(definition.group, definition.plural, name);
    match error {
        CommitError::Exists(other) if other == *key => {
            StatusError::already_exists(definition.group, definition.plural, name).into()
        }
        CommitError::Missing(other) if other == *key => {
            Refused::Moved(StatusError::not_found(definition.group, definition.plural, name))
        }
        CommitError::Exists(_) | CommitError::Missing(_) | CommitError::Conflict { .. } => {
            Refused::Moved(moved())
        }
        CommitError::MissingBlob(digest) => {
            let message = format!(
                "blob {digest} does not exist: upload it to {} first",
                crate::blobs::PATH
            );
            StatusError::new(422, "Invalid", message).into()
        }
        CommitError::TooLarge { bytes, limit, .. } => too_large(name, bytes, limit).into(),
        CommitError::Store(error) => StatusError::from(error).into(),
        other => {
            tracing::error!(error = %other, object = %key, "a write of the API was refused by the store");
            StatusError::internal().into()
        }
    }
}

fn too_large(name: &str, bytes: usize, limit: usize) -> StatusError {
    StatusError::too_large(format!(
        "the object \"{name}\" has {bytes} bytes, more than the limit of {limit}: keep large content in files, which are \
         stored beside the object"
    ))
}

/// The object's answer, with warnings.
pub(crate) fn answer(call: &Call, status: u16, written: &Written) -> Result<Response<Body>, StatusError> {
    let mut response = call.show(status, &written.object)?;
    respond::warn(&mut response, &written.warnings);
    Ok(response)
}

/// The query parameter `fieldValidation`.
pub(crate) fn field_validation(call: &Call) -> Result<FieldValidation, StatusError> {
    match call.query.text("fieldValidation") {
        "" | "Warn" => Ok(FieldValidation::Warn),
        "Ignore" => Ok(FieldValidation::Ignore),
        "Strict" => Ok(FieldValidation::Strict),
        other => {
            let allowed = "\"Ignore\", \"Strict\", \"Warn\"";
            Err(unsupported_option(
                "CreateOptions",
                "fieldValidation",
                other,
                allowed,
            ))
        }
    }
}

/// Brings a value into the kind's shape: right kind and version, unknown fields dropped (and told, or refused),
/// defaults filled in.
pub(crate) fn shape(
    call: &Call,
    decoded: Decoded,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), StatusError> {
    let definition = &call.kind.definition;
    let mut object = decoded.value;
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    if kind.is_empty() || !object.is_object() {
        let start: String = object.to_string().chars().take(60).collect();
        return Err(StatusError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{start}'",
            definition.kind
        )));
    }
    if api_version != call.kind.api_version {
        return Err(StatusError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            call.kind.api_version
        )));
    }
    if kind != definition.kind {
        let name = metadata::text(&object, "name");
        let causes = vec![cause_invalid(
            "kind",
            &json!(kind).to_string(),
            &format!("must be {}", definition.kind),
        )];
        return Err(StatusError::invalid(definition.group, kind, name, causes));
    }
    let mut told: Vec<String> = decoded
        .duplicates
        .iter()
        .map(|field| format!("duplicate field \"{field}\""))
        .collect();
    told.extend(
        call.kind
            .schema
            .unknown_fields(&object)
            .iter()
            .map(ToString::to_string),
    );
    if validation == FieldValidation::Strict && !told.is_empty() {
        return Err(StatusError::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
            definition.version,
            told.join(", ")
        )));
    }
    call.kind.schema.prune(&mut object);
    call.kind.schema.apply_defaults(&mut object);
    let warnings = if validation == FieldValidation::Warn {
        told
    } else {
        Vec::new()
    };
    Ok((object, warnings))
}

pub(crate) fn same_namespace(call: &Call, object: &Value) -> Result<(), StatusError> {
    let namespace = metadata::text(object, "namespace");
    if namespace.is_empty() || namespace == call.namespace {
        Ok(())
    } else {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        Err(StatusError::bad_request(message))
    }
}

pub(crate) fn same_name(call: &Call, object: &Value) -> Result<(), StatusError> {
    let name = metadata::text(object, "name");
    if name == call.name {
        Ok(())
    } else {
        let message = format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name
        );
        Err(StatusError::bad_request(message))
    }
}

/// An object at the beginning of its life.
fn newborn(call: &Call, mut object: Value) -> Value {
    metadata::clean(&mut object);
    if call.kind.definition.status
        && let Some(fields) = object.as_object_mut()
    {
        fields.shift_remove("status");
    }
    metadata::edit(&mut object, |fields| {
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "namespace"] {
            fields.shift_remove(field);
        }
        if call.kind.definition.namespaced {
            fields.insert("namespace".to_owned(), json!(call.namespace));
        }
        fields.insert("uid".to_owned(), json!(Uuid::new_v4().to_string()));
        fields.insert("generation".to_owned(), json!(1));
        fields.insert(
            "creationTimestamp".to_owned(),
            json!(metadata::time(call.inner.clock.now())),
        );
    });
    metadata::in_order(object)
}

/// The object after an update: what clients cannot change stays, the generation counts.
fn successor(call: &Call, old: &Value, mut new: Value) -> Value {
    metadata::clean(&mut new);
    let kept = [
        "name",
        "namespace",
        "uid",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
    ];
    metadata::edit(&mut new, |fields| {
        for field in kept {
            match old["metadata"].get(field) {
                Some(value) => fields.insert(field.to_owned(), value.clone()),
                None => fields.shift_remove(field),
            };
        }
    });
    if call.kind.definition.status
        && let Some(fields) = new.as_object_mut()
    {
        match old.get("status") {
            Some(status) => fields.insert("status".to_owned(), status.clone()),
            None => fields.shift_remove("status"),
        };
    }
    let desired = |object: &Value| -> Vec<(String, Value)> {
        let fields = object.as_object().into_iter().flatten();
        let mut desired: Vec<_> = fields
            .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        desired.sort_by(|a, b| a.0.cmp(&b.0));
        desired
    };
    if desired(old) != desired(&new) {
        raise_generation(&mut new);
    }
    metadata::in_order(new)
}

/// Counts a change of what is desired.
pub(crate) fn raise_generation(object: &mut Value) {
    metadata::edit(object, |fields| {
        let generation = fields.get("generation").and_then(Value::as_i64).unwrap_or(0);
        fields.insert("generation".to_owned(), json!(generation + 1));
    });
}

fn problems(call: &Call, object: &Value) -> Vec<Cause> {
    let mut causes = metadata::check(object);
    causes.extend(call.kind.schema.validate(object).iter().map(Cause::from));
    causes
}

fn invalid(call: &Call, object: &Value, causes: Vec<Cause>) -> StatusError {
    let definition = &call.kind.definition;
    StatusError::invalid(
        definition.group,
        definition.kind,
        metadata::text(object, "name"),
        causes,
    )
}

fn check(call: &Call, object: &Value) -> Result<(), StatusError> {
    let causes = problems(call, object);
    if !causes.is_empty() {
        return Err(invalid(call, object, causes));
    }
    within_size(call, object)
}

fn within_size(call: &Call, object: &Value) -> Result<(), StatusError> {
    let bytes = object.to_string().len();
    if bytes > call.kind.max_bytes {
        let what = qualified(call.kind.definition.plural, call.kind.definition.group);
        tracing::debug!(what, bytes, "an object is too large");
        return Err(too_large(
            metadata::text(object, "name"),
            bytes,
            call.kind.max_bytes,
        ));
    }
    Ok(())
}
