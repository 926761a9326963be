//! Podium's kinds as people name them, and the paths of their objects.

use anyhow::{Result, anyhow};
use podium_model::kinds::{GROUP, KindDefinition, VERSION, definitions};

use super::connection::segment;

/// The kind that a person means: by plural, singular, kind or short name, in any case.
pub(crate) fn find(name: &str) -> Result<KindDefinition> {
    let wanted = name.to_lowercase();
    let wanted = wanted.strip_suffix(".podium.dev").unwrap_or(&wanted);
    let all = definitions();
    let names: Vec<&str> = all.iter().flat_map(|kind| [kind.plural, kind.singular]).collect();
    let meant = podium_document::suggest(wanted, names.iter()).map(str::to_owned);
    all.into_iter()
        .find(|kind| {
            wanted == kind.plural
                || wanted == kind.singular
                || wanted == kind.kind.to_lowercase()
                || kind.short_names.contains(&wanted)
        })
        .ok_or_else(|| {
            let known = definitions()
                .iter()
                .map(|kind| kind.plural)
                .collect::<Vec<_>>()
                .join(", ");
            match meant {
                Some(meant) => anyhow!("there is no kind `{name}`\ndid you mean `{meant}`?"),
                None => anyhow!("there is no kind `{name}`\nthe kinds are: {known}"),
            }
        })
}

/// Path of the objects of a kind: in one namespace, or everywhere.
pub(crate) fn collection(plural: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!(
            "/apis/{GROUP}/{VERSION}/namespaces/{}/{plural}",
            segment(namespace)
        ),
        None => format!("/apis/{GROUP}/{VERSION}/{plural}"),
    }
}

/// Path of one object.
pub(crate) fn object(plural: &str, namespace: Option<&str>, name: &str) -> String {
    format!("{}/{}", collection(plural, namespace), segment(name))
}

/// Path of a verb of an environment, by its namespace.
pub(crate) fn environment_verb(namespace: &str, verb: &str) -> String {
    format!(
        "{}/{verb}",
        object(podium_model::kinds::ENVIRONMENTS, None, namespace)
    )
}

#[cfg(test)]
mod tests {
    use super::{environment_verb, find, object};

    #[test]
    fn every_name_of_a_kind_finds_it() {
        for name in [
            "modulerules",
            "modulerule",
            "ModuleRule",
            "rule",
            "modulerules.podium.dev",
        ] {
            assert_eq!(find(name).unwrap().plural, "modulerules", "{name}");
        }
        let error = find("modul").unwrap_err().to_string();
        assert!(error.contains("did you mean `module`"), "{error}");
    }

    #[test]
    fn paths() {
        assert_eq!(
            object("workloads", Some("demo-dev"), "notes"),
            "/apis/podium.dev/v1alpha1/namespaces/demo-dev/workloads/notes"
        );
        assert_eq!(
            environment_verb("demo-dev", "plan"),
            "/apis/podium.dev/v1alpha1/environments/demo-dev/plan"
        );
    }
}
