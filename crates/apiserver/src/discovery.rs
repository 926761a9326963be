//! What the API offers: legacy discovery, one document for each group and version, and aggregated discovery, one for
//! all. Everything is written once, when the server starts.

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use ring::digest::{SHA512, digest};
use serde_json::{Value, json};

use crate::names::hex_upper;
use crate::negotiate;
use crate::registry::{Registry, ServedKind};
use crate::respond;
use crate::reviews::REVIEWS;
use crate::status::StatusError;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// All discovery documents.
#[derive(Debug)]
pub(crate) struct Discovery {
    /// By path, without the slash at the end.
    legacy: BTreeMap<String, Bytes>,
    /// By path: document and digest.
    aggregated: BTreeMap<&'static str, (Bytes, String)>,
}

impl Discovery {
    pub(crate) fn new(registry: &Registry) -> Self {
        let mut versions = registry.group_versions();
        versions.extend(REVIEWS.iter().map(|review| (review.group, "v1")));
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (group, version) in versions {
            groups.entry(group).or_default().push(version);
        }
        let mut legacy = BTreeMap::new();
        legacy.insert(
            "/api".to_owned(),
            text(&json!({"kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]})),
        );
        legacy.insert("/api/v1".to_owned(), text(&resources(registry, "", "v1")));
        let mut described = Vec::new();
        let mut items = Vec::new();
        for (group, versions) in groups.iter().filter(|(group, _)| !group.is_empty()) {
            let names: Vec<Value> = versions
                .iter()
                .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
                .collect();
            let description = json!({"name": group, "versions": names, "preferredVersion": names[0]});
            let mut whole = json!({"kind": "APIGroup", "apiVersion": "v1"});
            for (name, value) in description.as_object().into_iter().flatten() {
                whole[name] = value.clone();
            }
            legacy.insert(format!("/apis/{group}"), text(&whole));
            described.push(description);
            for version in versions {
                legacy.insert(
                    format!("/apis/{group}/{version}"),
                    text(&resources(registry, group, version)),
                );
            }
            items.push(aggregated_group(registry, group, versions));
        }
        legacy.insert(
            "/apis".to_owned(),
            text(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": described})),
        );
        let list = |items: Vec<Value>| {
            let bytes = text(
                &json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {}, "items": items}),
            );
            let tag = hex_upper(digest(&SHA512, &bytes).as_ref());
            (bytes, tag)
        };
        let core = aggregated_group(registry, "", &["v1"]);
        let aggregated = BTreeMap::from([("/api", list(vec![core])), ("/apis", list(items))]);
        Self { legacy, aggregated }
    }

    /// The document at a path, if there is one.
    pub(crate) fn answer(
        &self,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Result<Response<Body>, StatusError>> {
        let legacy = self.legacy.get(path)?;
        if let Some((content, tag)) = self.aggregated.get(path)
            && negotiate::aggregated_discovery(headers)
        {
            return Some(Ok(respond::cached(
                headers,
                AGGREGATED,
                "public",
                tag,
                content.clone(),
            )));
        }
        Some(negotiate::json(headers).map(|()| {
            respond::body(
                200,
                "application/json",
                "no-cache, private",
                Body::from(legacy.clone()),
            )
        }))
    }
}

fn text(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// Subresource and its verbs.
fn subresources(kind: &ServedKind) -> Vec<(&'static str, &'static str)> {
    let status = kind.definition.status.then_some(("status", "get"));
    let own = kind.subresources.iter().map(|one| {
        (
            one.definition.name,
            if one.definition.method == "POST" {
                "create"
            } else {
                "get"
            },
        )
    });
    status.into_iter().chain(own).collect()
}

fn resources(registry: &Registry, group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for kind in registry.of(group, version) {
        let definition = &kind.definition;
        let mut entry = json!({"name": definition.plural, "singularName": definition.singular,
            "namespaced": definition.namespaced, "kind": definition.kind, "verbs": kind.verbs()});
        if !definition.short_names.is_empty() {
            entry["shortNames"] = json!(definition.short_names);
        }
        list.push(entry);
        for (name, verb) in subresources(kind) {
            list.push(
                json!({"name": format!("{}/{name}", definition.plural), "singularName": "",
                "namespaced": definition.namespaced, "kind": definition.kind, "verbs": [verb]}),
            );
        }
    }
    for review in REVIEWS
        .iter()
        .filter(|review| review.group == group && version == "v1")
    {
        list.push(
            json!({"name": review.plural, "singularName": review.singular, "namespaced": false,
            "kind": review.kind, "verbs": ["create"]}),
        );
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list})
}

fn aggregated_group(registry: &Registry, group: &str, versions: &[&str]) -> Value {
    let mut described = Vec::new();
    for version in versions {
        let mut list = Vec::new();
        for kind in registry.of(group, version) {
            let definition = &kind.definition;
            // In the core group the response kind has no version, as kube-apiserver has it.
            let response = json!({"group": group, "version": if group.is_empty() { "" } else { version },
                "kind": definition.kind});
            let mut entry = json!({"resource": definition.plural, "responseKind": response,
                "scope": if definition.namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": definition.singular, "verbs": kind.verbs()});
            if !definition.short_names.is_empty() {
                entry["shortNames"] = json!(definition.short_names);
            }
            let own: Vec<Value> = subresources(kind)
                .into_iter()
                .map(|(name, verb)| json!({"subresource": name, "responseKind": response, "verbs": [verb]}))
                .collect();
            if !own.is_empty() {
                entry["subresources"] = Value::Array(own);
            }
            list.push(entry);
        }
        for review in REVIEWS.iter().filter(|review| review.group == group) {
            list.push(json!({"resource": review.plural,
                "responseKind": {"group": group, "version": version, "kind": review.kind},
                "scope": "Cluster", "singularResource": review.singular, "verbs": ["create"]}));
        }
        described.push(json!({"version": version, "resources": list, "freshness": "Current"}));
    }
    let metadata = if group.is_empty() {
        json!({})
    } else {
        json!({"name": group})
    };
    json!({"metadata": metadata, "versions": described})
}
