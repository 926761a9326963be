//! From a path to what is asked for.

use std::collections::BTreeMap;

use http::Method;

use crate::seams::Attributes;
use crate::status::StatusError;

/// Most query parameters that are read.
const MAX_PARAMETERS: usize = 64;

/// A path beneath a group and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

/// The query of a request; of a repeated parameter the first counts, as in kube-apiserver.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(pub(crate) BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let mut found = BTreeMap::new();
        for pair in text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .take(MAX_PARAMETERS)
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            found
                .entry(decode(name, true))
                .or_insert_with(|| decode(value, true));
        }
        Self(found)
    }

    /// A parameter; empty when it is not given.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A flag: `true` and `1`, as Go reads it; given without a value counts as set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|value| matches!(value.as_str(), "" | "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, StatusError> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                StatusError::bad_request(format!(
                    "the query parameter {name} must be a whole number of at least 0: \"{text}\""
                ))
            }),
        }
    }
}

/// Percent-decoding; bytes that are no UTF-8 become the replacement character.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| {
        bytes
            .get(at)
            .and_then(|b| char::from(*b).to_digit(16))
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high * 16 + low);
                at += 3;
                continue;
            }
            (b'+', _, _) if plus_is_space => decoded.push(b' '),
            (byte, _, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The parts of a path about resources: `/api/v1/...` and `/apis/GROUP/VERSION/...`.
pub(crate) fn resource_path(path: &str) -> Option<ResourcePath> {
    let mut parts = path.trim_matches('/').split('/').map(|part| decode(part, false));
    let mut found = ResourcePath::default();
    match parts.next()?.as_str() {
        "api" => {}
        "apis" => found.group = parts.next()?,
        _ => return None,
    }
    found.version = parts.next()?;
    let rest: Vec<String> = parts.collect();
    if rest.iter().any(String::is_empty) {
        return None;
    }
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let tail = match rest.as_slice() {
        // `namespaces/NAME` and its own subresources are about the namespace itself.
        ["namespaces", namespace, plural, tail @ ..] if !is_namespace_subresource(plural, tail) => {
            (*namespace).clone_into(&mut found.namespace);
            (*plural).clone_into(&mut found.plural);
            tail
        }
        [plural, tail @ ..] => {
            (*plural).clone_into(&mut found.plural);
            tail
        }
        [] => return None,
    };
    match tail {
        [] => {}
        [name] => (*name).clone_into(&mut found.name),
        [name, subresource] => {
            (*name).clone_into(&mut found.name);
            (*subresource).clone_into(&mut found.subresource);
        }
        _ => return None,
    }
    Some(found)
}

fn is_namespace_subresource(plural: &str, tail: &[&str]) -> bool {
    tail.is_empty() && matches!(plural, "status" | "finalize")
}

/// What a request wants to do, for the authoriser.
pub(crate) fn attributes(method: &Method, path: &str, query: &Query) -> Attributes {
    let Some(found) = resource_path(path) else {
        return Attributes {
            verb: method.as_str().to_ascii_lowercase(),
            path: path.to_owned(),
            ..Attributes::default()
        };
    };
    let collection = found.name.is_empty();
    let verb = match method.as_str() {
        "GET" | "HEAD" if collection && query.flag("watch") => "watch",
        "GET" | "HEAD" if collection => "list",
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if collection => "deletecollection",
        "DELETE" => "delete",
        other => other,
    };
    // A namespace's own name stands for its scope too, as in kube-apiserver.
    let namespace = if found.group.is_empty() && found.plural == "namespaces" {
        found.name.clone()
    } else {
        found.namespace
    };
    Attributes {
        verb: verb.to_owned(),
        group: found.group,
        resource: found.plural,
        subresource: found.subresource,
        namespace,
        name: found.name,
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths() {
        let read = |path: &str| {
            resource_path(path)
                .map(|p| [p.group, p.version, p.namespace, p.plural, p.name, p.subresource].join("|"))
        };
        for (path, expected) in [
            ("/api/v1/namespaces", Some("|v1||namespaces||")),
            ("/api/v1/namespaces/rec", Some("|v1||namespaces|rec|")),
            (
                "/api/v1/namespaces/rec/status",
                Some("|v1||namespaces|rec|status"),
            ),
            ("/apis/demo.dev/v1/apps", Some("demo.dev|v1||apps||")),
            (
                "/apis/demo.dev/v1/namespaces/rec/apps/one/status",
                Some("demo.dev|v1|rec|apps|one|status"),
            ),
            ("/apis/demo.dev/v1/namespaces/rec/apps/one/a/b", None),
            (
                "/apis/demo.dev/v1/namespaces/rec/apps/on%65",
                Some("demo.dev|v1|rec|apps|one|"),
            ),
            ("/apis/demo.dev/v1", None),
            ("/apis/demo.dev/v1//apps", None),
            ("/other", None),
        ] {
            assert_eq!(read(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn finds_the_verb() {
        for (method, path, query, verb) in [
            ("GET", "/apis/demo.dev/v1/apps", "", "list"),
            ("GET", "/apis/demo.dev/v1/apps", "watch=1", "watch"),
            ("GET", "/apis/demo.dev/v1/apps", "watch=false", "list"),
            ("GET", "/apis/demo.dev/v1/apps/a", "watch=1", "get"),
            ("DELETE", "/apis/demo.dev/v1/apps", "", "deletecollection"),
            ("PATCH", "/apis/demo.dev/v1/apps/a", "", "patch"),
            ("GET", "/version", "", "get"),
            ("POST", "/podium/v1/blobs", "", "post"),
        ] {
            let method = method.parse().expect("method");
            assert_eq!(
                attributes(&method, path, &Query::parse(query)).verb,
                verb,
                "{path}?{query}"
            );
        }
    }

    #[test]
    fn decodes_queries() {
        let query = Query::parse("labelSelector=team%20in%20%28a%2Cb%29&limit=2&limit=9&watch&x=a+b&bad=%zz");
        assert_eq!(query.text("labelSelector"), "team in (a,b)");
        assert_eq!(query.number("limit"), Ok(Some(2)), "the first counts");
        assert!(query.flag("watch"));
        assert_eq!(query.text("x"), "a b");
        assert_eq!(query.text("bad"), "%zz");
        assert!(query.number("x").is_err());
    }
}
