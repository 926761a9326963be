//! Which environment a command is about.

use anyhow::{Result, anyhow, bail};
use podium_model::kinds::{ENVIRONMENTS, EnvironmentSpec, PROJECTS};
use serde::Deserialize;
use serde_json::Value as Json;

use super::connection::Client;
use super::kinds::{collection, object};

/// What the options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// `-p` and `-e`.
    Named {
        /// The project.
        project: String,
        /// The environment, by its name in the project.
        environment: String,
    },
    /// `-n`.
    Namespace(String),
}

impl Selection {
    /// Judges the options.
    pub(crate) fn new(
        project: Option<&str>,
        environment: Option<&str>,
        namespace: Option<&str>,
    ) -> Result<Self> {
        match (project, environment, namespace) {
            (None, None, Some(namespace)) => Ok(Self::Namespace(namespace.to_owned())),
            (Some(project), Some(environment), None) => Ok(Self::Named {
                project: project.to_owned(),
                environment: environment.to_owned(),
            }),
            (_, _, Some(_)) => bail!("-n names the environment already: leave out -p and -e"),
            (Some(project), None, None) => bail!(
                "which environment of project `{project}`? say it with -e ENVIRONMENT\nthey are listed by: podium get environments"
            ),
            (None, Some(environment), None) => {
                bail!("environment `{environment}` of which project? say it with -p PROJECT")
            }
            (None, None, None) => bail!(
                "which environment? say it with -p PROJECT -e ENVIRONMENT, or with -n NAMESPACE\nthey are listed by: podium get environments"
            ),
        }
    }
}

/// An environment that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its project.
    pub(crate) project: String,
    /// Its name in the project.
    pub(crate) environment: String,
    /// Its object's name, which is that of its namespace.
    pub(crate) namespace: String,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct EnvironmentObject {
    metadata: Metadata,
    spec: EnvironmentSpec,
}

#[derive(Deserialize)]
struct EnvironmentList {
    items: Vec<EnvironmentObject>,
}

impl From<EnvironmentObject> for Target {
    fn from(object: EnvironmentObject) -> Self {
        Self {
            project: object.spec.project,
            environment: object.spec.name,
            namespace: object.metadata.name,
        }
    }
}

impl Target {
    /// The environment that the selection names; an error that says how to make it when there is none.
    pub(crate) async fn find(client: &Client, selection: &Selection) -> Result<Self> {
        match Self::look_for(client, selection).await? {
            Some(target) => Ok(target),
            None => Err(missing(client, selection).await),
        }
    }

    /// The environment that the selection names, if there is one.
    pub(crate) async fn look_for(client: &Client, selection: &Selection) -> Result<Option<Self>> {
        match selection {
            Selection::Namespace(namespace) => {
                let found: Option<EnvironmentObject> =
                    client.find(&object(ENVIRONMENTS, None, namespace)).await?;
                Ok(found.map(Self::from))
            }
            Selection::Named { project, environment } => {
                let usual = format!("{project}-{environment}");
                let found: Option<EnvironmentObject> =
                    client.find(&object(ENVIRONMENTS, None, &usual)).await?;
                let fits = |found: &EnvironmentObject| {
                    &found.spec.project == project && &found.spec.name == environment
                };
                if let Some(found) = found.filter(fits) {
                    return Ok(Some(found.into()));
                }
                // Only an environment with a name of its own is looked for among all.
                let all: EnvironmentList = client.get(&collection(ENVIRONMENTS, None), &[]).await?;
                Ok(all.items.into_iter().find(fits).map(Self::from))
            }
        }
    }

    /// Options that name it again, for commands to paste.
    pub(crate) fn options(&self) -> String {
        format!("-p {} -e {}", self.project, self.environment)
    }
}

/// Names of all objects of a kind.
pub(crate) async fn names(client: &Client, plural: &str) -> Result<Vec<String>> {
    let list: Json = client.get(&collection(plural, None), &[]).await?;
    let items = list
        .get("items")
        .and_then(Json::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    Ok(items
        .iter()
        .filter_map(|item| {
            item.pointer("/metadata/name")
                .and_then(Json::as_str)
                .map(str::to_owned)
        })
        .collect())
}

async fn missing(client: &Client, selection: &Selection) -> anyhow::Error {
    let (project, environment) = match selection {
        Selection::Namespace(namespace) => {
            return anyhow!(
                "no environment has the namespace `{namespace}`\nthey are listed by: podium get environments"
            );
        }
        Selection::Named { project, environment } => (project, environment),
    };
    let projects = match names(client, PROJECTS).await {
        Ok(projects) => projects,
        Err(error) => return error,
    };
    if !projects.contains(project) {
        return absent_project(project, environment, &projects);
    }
    let environments: Vec<String> = match client
        .get::<EnvironmentList>(&collection(ENVIRONMENTS, None), &[])
        .await
    {
        Ok(list) => list
            .items
            .into_iter()
            .filter(|item| &item.spec.project == project)
            .map(|item| item.spec.name)
            .collect(),
        Err(error) => return error.into(),
    };
    absent_environment(project, environment, &environments)
}

fn absent_project(project: &str, environment: &str, known: &[String]) -> anyhow::Error {
    let meant = match podium_document::suggest(project, known.iter()) {
        Some(meant) => format!("\ndid you mean `{meant}`?"),
        None => String::new(),
    };
    anyhow!(
        "project `{project}` does not exist{meant}\nmake it: podium create project {project}\nor make it with its environment: podium deploy FILE -p {project} -e {environment} --create"
    )
}

fn absent_environment(project: &str, environment: &str, known: &[String]) -> anyhow::Error {
    let meant = match podium_document::suggest(environment, known.iter()) {
        Some(meant) => format!("\ndid you mean `{meant}`?"),
        None if known.is_empty() => String::new(),
        None => format!("\nproject `{project}` has: {}", known.join(", ")),
    };
    anyhow!(
        "environment `{environment}` of project `{project}` does not exist{meant}\nmake it: podium create environment -p {project} -e {environment}"
    )
}

#[cfg(test)]
mod tests {
    use super::{Selection, absent_environment, absent_project};

    #[test]
    fn an_environment_is_named_one_way() {
        let named = Selection::Named {
            project: "shop".into(),
            environment: "dev".into(),
        };
        assert_eq!(Selection::new(Some("shop"), Some("dev"), None).unwrap(), named);
        assert_eq!(
            Selection::new(None, None, Some("x")).unwrap(),
            Selection::Namespace("x".into())
        );
        for (project, environment, namespace) in [
            (None, None, None),
            (Some("shop"), None, None),
            (None, Some("dev"), None),
            (Some("shop"), Some("dev"), Some("x")),
        ] {
            assert!(Selection::new(project, environment, namespace).is_err());
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_makes_it() {
        let known = vec!["shop".to_owned(), "dev".to_owned(), "staging".to_owned()];
        insta::assert_snapshot!(
            [
                absent_project("shp", "dev", &known).to_string(),
                absent_project("billing", "dev", &known).to_string(),
                absent_environment("shop", "stagin", &known).to_string(),
                absent_environment("shop", "production", &known).to_string(),
                absent_environment("shop", "dev", &[]).to_string(),
            ]
            .join("\n\n")
        );
    }
}
