//! What the client wants to get, by its `Accept` header. Always JSON; the question is in which shape.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::status::StatusError;

/// Longest `Accept` header that is looked at.
const MAX_ACCEPT: usize = 4096;

/// The shape of an answer about objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The object, or the list of its kind.
    Object,
    /// A `Table` of `meta.k8s.io/v1`.
    Table,
    /// Only `metadata`.
    Metadata,
}

struct Offer<'h> {
    media: &'h str,
    as_kind: &'h str,
    version: &'h str,
    group: &'h str,
}

fn offers(headers: &HeaderMap) -> Vec<Offer<'_>> {
    let text = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let text = if text.len() > MAX_ACCEPT { "" } else { text };
    let parse = |part: &'_ str| -> Option<(f32, usize)> {
        let mut quality = 1.0;
        for parameter in part.split(';').skip(1) {
            if let Some(value) = parameter.trim().strip_prefix("q=") {
                quality = value.trim().parse().unwrap_or(0.0);
            }
        }
        (quality > 0.0).then_some((quality, 0))
    };
    let mut found: Vec<(f32, Offer<'_>)> = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let Some((quality, _)) = parse(part) else { continue };
        let mut offer = Offer {
            media: part.split(';').next().unwrap_or_default().trim(),
            as_kind: "",
            version: "",
            group: "",
        };
        for parameter in part.split(';').skip(1) {
            match parameter.trim().split_once('=') {
                Some(("as", value)) => offer.as_kind = value,
                Some(("v", value)) => offer.version = value,
                Some(("g", value)) => offer.group = value,
                _ => {}
            }
        }
        found.push((quality, offer));
    }
    // Stable: among equals the first one wins.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, offer)| offer).collect()
}

fn is_json(media: &str) -> bool {
    matches!(media, "application/json" | "application/*" | "*/*")
}

/// Whether plain JSON will do.
pub(crate) fn json(headers: &HeaderMap) -> Result<(), StatusError> {
    let offers = offers(headers);
    if offers.is_empty() || offers.iter().any(|offer| is_json(offer.media)) {
        Ok(())
    } else {
        Err(StatusError::not_acceptable("application/json"))
    }
}

/// The shape of an answer about objects.
pub(crate) fn shape(headers: &HeaderMap) -> Result<Shape, StatusError> {
    let offers = offers(headers);
    if offers.is_empty() {
        return Ok(Shape::Object);
    }
    for offer in &offers {
        if !is_json(offer.media) {
            continue;
        }
        match (offer.as_kind, offer.group, offer.version) {
            ("", _, _) => return Ok(Shape::Object),
            ("Table", "meta.k8s.io", "v1") => return Ok(Shape::Table),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
                return Ok(Shape::Metadata);
            }
            _ => {}
        }
    }
    Err(StatusError::not_acceptable("application/json"))
}

/// Whether the client reads aggregated discovery in version 2. Version 2beta1 is answered with the legacy form, as
/// Kubernetes does since it was removed there: clients that know only that one fall back by themselves.
pub(crate) fn aggregated_discovery(headers: &HeaderMap) -> bool {
    for offer in offers(headers) {
        if !is_json(offer.media) {
            continue;
        }
        match (offer.as_kind, offer.group, offer.version) {
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => return true,
            ("", _, _) => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, text.parse().expect("header"));
        headers
    }

    #[test]
    fn gives_the_shape_that_is_wanted_first() {
        for (text, expected) in [
            ("application/json", Some(Shape::Object)),
            ("*/*", Some(Shape::Object)),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Some(Shape::Table),
            ),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Some(Shape::Object),
            ),
            (
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
                Some(Shape::Metadata),
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Some(Shape::Object),
            ),
            (
                "application/json;q=0.1,application/json;as=Table;v=v1;g=meta.k8s.io",
                Some(Shape::Table),
            ),
            ("text/html", None),
            ("application/json;as=Other;v=v1;g=meta.k8s.io", None),
        ] {
            assert_eq!(shape(&accept(text)).ok(), expected, "{text}");
        }
        assert_eq!(
            shape(&HeaderMap::new()).ok(),
            Some(Shape::Object),
            "nothing wanted is anything"
        );
    }

    #[test]
    fn answers_with_aggregated_discovery_only_in_version_2() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert!(aggregated_discovery(&accept(&format!(
            "{v2},{beta},application/json"
        ))));
        assert!(!aggregated_discovery(&accept(&format!(
            "{beta},application/json"
        ))));
        assert!(!aggregated_discovery(&accept("application/json")));
    }
}
