//! The way of secrets: sealed when a tool answers, revealed inside a sink, and nowhere between.

use std::collections::BTreeMap;

use bytes::Bytes;
use podium_model::secret::{Revealed, Secret};
use podium_model::value::{Handle, Value};
use podium_schema::Schema;
use podium_store::{BlobDigest, Store};
use serde_json::Value as Json;

use crate::error::ControlError;

/// Seals a text and returns its handle.
pub(crate) async fn seal(store: &dyn Store, text: &str) -> Result<Value, ControlError> {
    let digest = store.put_blob(Bytes::copy_from_slice(text.as_bytes())).await?;
    Ok(Value::Sensitive(Handle::new(digest.as_str())))
}

/// The digest of a handle.
pub(crate) fn digest_of(handle: &Handle) -> Result<BlobDigest, ControlError> {
    BlobDigest::parse(handle.as_str())
        .map_err(|text| ControlError::Damaged(format!("`{text}` is no handle of a secret")))
}

/// A value with its secrets in plaintext, for a sink.
pub(crate) async fn reveal(store: &dyn Store, value: &Value) -> Result<Revealed, ControlError> {
    let mut handles = Vec::new();
    value.each_handle(&mut |handle| handles.push(handle.clone()));
    handles.sort();
    handles.dedup();
    let mut texts = BTreeMap::new();
    for handle in handles {
        let content = store.get_blob(&digest_of(&handle)?).await?;
        let text = String::from_utf8(content.to_vec())
            .map_err(|_| ControlError::Damaged("a sealed secret is not text".to_owned()))?;
        texts.insert(handle, Secret::new(text));
    }
    let json = plaintext(value, &texts)?;
    Ok(Revealed::new(json, texts.into_values().collect()))
}

fn plaintext(value: &Value, texts: &BTreeMap<Handle, Secret>) -> Result<Json, ControlError> {
    Ok(match value {
        Value::Sensitive(handle) => match texts.get(handle) {
            Some(secret) => Json::String(secret.expose().to_owned()),
            None => return Err(ControlError::Damaged("a secret was not fetched".to_owned())),
        },
        Value::Concat(parts) => {
            let mut text = String::new();
            for part in parts {
                match plaintext(part, texts)? {
                    Json::String(part) => text.push_str(&part),
                    other => text.push_str(&other.to_string()),
                }
            }
            Json::String(text)
        }
        Value::List(items) => Json::Array(
            items
                .iter()
                .map(|item| plaintext(item, texts))
                .collect::<Result<_, _>>()?,
        ),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(key, value)| Ok((key.clone(), plaintext(value, texts)?)))
                .collect::<Result<_, ControlError>>()?,
        ),
        Value::Reference(reference) => {
            return Err(ControlError::Expression(format!("`{reference}` is not known")));
        }
        Value::Deferred(deferred) => {
            return Err(ControlError::Expression(format!(
                "`{}` is not known",
                deferred.expression
            )));
        }
        known => known.to_json().unwrap_or(Json::Null),
    })
}

/// Takes a tool's answer: what it marked as secret is sealed, the rest is taken as it is.
pub(crate) async fn take_outputs(
    store: &dyn Store,
    outputs: &Revealed,
    sensitive: &[Vec<String>],
) -> Result<Value, ControlError> {
    let mut value = Value::from_json(outputs.expose());
    for path in sensitive {
        seal_at(store, &mut value, path).await?;
    }
    Ok(value)
}

/// Seals everything at and beneath a path.
async fn seal_at(store: &dyn Store, value: &mut Value, path: &[String]) -> Result<(), ControlError> {
    let mut target = value;
    for key in path {
        let next = match target {
            Value::Map(map) => map.get_mut(key),
            Value::List(items) => key.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        match next {
            Some(next) => target = next,
            None => return Ok(()),
        }
    }
    let mut leaves = vec![target];
    while let Some(leaf) = leaves.pop() {
        match leaf {
            Value::Map(map) => leaves.extend(map.values_mut()),
            Value::List(items) => leaves.extend(items.iter_mut()),
            Value::String(text) => *leaf = seal(store, text).await?,
            Value::Number(number) => *leaf = seal(store, &number.to_string()).await?,
            _ => {}
        }
    }
    Ok(())
}

/// Seals what the type says is secret in outputs.
pub(crate) async fn seal_by_schema(
    store: &dyn Store,
    outputs: &mut Value,
    schema: Option<&Schema>,
) -> Result<(), ControlError> {
    let Some(schema) = schema else { return Ok(()) };
    if !schema.root().holds_secrets() {
        return Ok(());
    }
    let mut paths = Vec::new();
    sensitive_paths(outputs, schema, &mut Vec::new(), &mut paths);
    for path in paths {
        seal_at(store, outputs, &path).await?;
    }
    Ok(())
}

fn sensitive_paths(value: &Value, schema: &Schema, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if !path.is_empty() && schema.is_sensitive(path) {
        found.push(path.clone());
        return;
    }
    match value {
        Value::Map(map) => {
            for (key, value) in map {
                path.push(key.clone());
                sensitive_paths(value, schema, path, found);
                path.pop();
            }
        }
        Value::List(items) => {
            for (index, value) in items.iter().enumerate() {
                path.push(index.to_string());
                sensitive_paths(value, schema, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
