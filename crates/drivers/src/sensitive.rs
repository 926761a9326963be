//! Which texts hold secrets. Pure.

use podium_model::secret::Secret;
use serde_json::Value as Json;

/// A shorter secret is looked for as a whole text only: as a part it would be found everywhere.
const SHORTEST_PART: usize = 3;

/// Whether a secret is in the text.
pub(crate) fn holds_secret(text: &str, secrets: &[Secret]) -> bool {
    secrets.iter().any(|secret| {
        let secret = secret.expose();
        text == secret && !secret.is_empty() || secret.len() >= SHORTEST_PART && text.contains(secret)
    })
}

/// Paths of the leaves that hold a secret. A key that does makes its whole object secret, since paths are shown.
pub(crate) fn paths_with_secrets(json: &Json, secrets: &[Secret]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    if !secrets.is_empty() {
        search(json, secrets, &mut Vec::new(), &mut found);
    }
    found
}

fn search(json: &Json, secrets: &[Secret], path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match json {
        Json::Object(map) => {
            if map.keys().any(|key| holds_secret(key, secrets)) {
                found.push(path.clone());
                return;
            }
            for (key, value) in map {
                path.push(key.clone());
                search(value, secrets, path, found);
                path.pop();
            }
        }
        Json::Array(items) => {
            for (position, value) in items.iter().enumerate() {
                path.push(position.to_string());
                search(value, secrets, path, found);
                path.pop();
            }
        }
        Json::Null | Json::Bool(_) => {}
        Json::String(text) => {
            if holds_secret(text, secrets) {
                found.push(path.clone());
            }
        }
        Json::Number(number) => {
            if holds_secret(&number.to_string(), secrets) {
                found.push(path.clone());
            }
        }
    }
}

/// The value at a path of keys and list positions.
pub(crate) fn at<'a>(json: &'a Json, path: &[String]) -> Option<&'a Json> {
    let mut value = json;
    for part in path {
        value = match value {
            Json::Object(map) => map.get(part)?,
            Json::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// The texts at and beneath the paths, to mask.
pub(crate) fn texts(json: &Json, paths: &[Vec<String>]) -> Vec<Secret> {
    fn collect(json: &Json, found: &mut Vec<Secret>) {
        match json {
            Json::Null | Json::Bool(_) => {}
            Json::Number(number) => found.push(Secret::new(number.to_string())),
            Json::String(text) if text.is_empty() => {}
            Json::String(text) => found.push(Secret::new(text.clone())),
            Json::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Json::Object(map) => map.values().for_each(|item| collect(item, found)),
        }
    }
    let mut found = Vec::new();
    for path in paths {
        if let Some(value) = at(json, path) {
            collect(value, &mut found);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use podium_model::secret::Secret;
    use serde_json::json;

    use super::{paths_with_secrets, texts};

    #[test]
    fn finds_secrets_wherever_they_are_mixed_in() {
        let secrets = [Secret::new("hunter2"), Secret::new("7"), Secret::new("")];
        let json = json!({
            "url": "postgres://u:hunter2@h", "port": 1237, "list": ["a", {"b": "hunter2"}], "short": "7",
            "number": 7, "keys": {"hunter2": 1}, "empty": ""
        });
        let mut paths: Vec<String> = paths_with_secrets(&json, &secrets)
            .iter()
            .map(|path| path.join("."))
            .collect();
        paths.sort();
        assert_eq!(paths, ["keys", "list.1.b", "number", "short", "url"]);
        let texts = texts(&json, &[vec!["list".into()], vec!["none".into()]]);
        let texts: Vec<&str> = texts.iter().map(Secret::expose).collect();
        assert_eq!(texts, ["a", "hunter2"]);
    }
}
