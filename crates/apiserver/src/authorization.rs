//! Who may do what, until roles decide: members of `system:masters` everything, everybody who is known may look at
//! what the API offers, everybody at all may ask whether the server lives.

use async_trait::async_trait;

use crate::seams::{Attributes, Authorizer, Decision, Principal};
use crate::status::StatusError;

/// The authoriser that allows as little as clients need to start.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultDeny;

/// Paths that say whether the server lives, and which it is.
const OPEN: &[&str] = &["/healthz", "/livez", "/readyz", "/version"];
/// Paths that say what the API offers; those beneath them too.
const DISCOVERY: &[&str] = &["/api", "/apis", "/openapi"];
/// Resources by which somebody asks about himself.
const SELF: &[(&str, &str)] = &[
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
];

#[async_trait]
impl Authorizer for DefaultDeny {
    async fn authorize(&self, principal: &Principal, attributes: &Attributes) -> Decision {
        if principal.is_in("system:masters") {
            return Decision::Allow;
        }
        let path = attributes.path.trim_end_matches('/');
        let reads = attributes.verb == "get";
        if !attributes.is_resource() && reads && OPEN.contains(&path) {
            return Decision::Allow;
        }
        if !principal.is_in("system:authenticated") {
            return Decision::Deny(None);
        }
        let beneath = |root: &&str| {
            path.strip_prefix(*root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !attributes.is_resource() && reads && DISCOVERY.iter().any(beneath) {
            return Decision::Allow;
        }
        let own = SELF.contains(&(attributes.group.as_str(), attributes.resource.as_str()));
        if own && attributes.verb == "create" {
            Decision::Allow
        } else {
            Decision::Deny(None)
        }
    }
}

/// The refusal, in the words of kube-apiserver.
pub(crate) fn refusal(principal: &Principal, attributes: &Attributes, reason: Option<&str>) -> StatusError {
    let Attributes {
        verb,
        group,
        resource,
        subresource,
        namespace,
        name,
        path,
    } = attributes;
    let user = &principal.name;
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    if !attributes.is_resource() {
        let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"{because}");
        let mut error = StatusError::forbidden(message);
        error.details = Some(Box::default());
        return error;
    }
    let what = if subresource.is_empty() {
        resource.clone()
    } else {
        format!("{resource}/{subresource}")
    };
    let place = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let why = format!(
        "User \"{user}\" cannot {verb} resource \"{what}\" in API group \"{group}\" {place}{because}"
    );
    StatusError::forbidden_object(group, resource, name, &why)
}
