//! `podium create`: projects, environment types and environments without a document.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use podium_model::kinds::{
    ENVIRONMENT_TYPES, ENVIRONMENTS, EnvironmentSpec, EnvironmentTypeSpec, Mode, PROJECTS, ProjectSpec,
    api_version,
};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::cli::Context;
use crate::client::target::{Target, names};
use crate::client::{Client, ClientError, kinds};

/// The environment type of an environment that names none.
const DEFAULT_TYPE: &str = "development";

/// Make a project, an environment type or an environment.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A team's space
    Project {
        /// Its name
        name: String,
        /// Who to ask: a person or a group
        #[arg(long, default_value = "")]
        owner: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// What environments of a kind have in common
    #[command(alias = "environmenttype")]
    EnvironmentType {
        /// Its name
        name: String,
        /// Whether releases go on by themselves
        #[arg(long, value_enum, default_value_t = ModeArg::Automatic)]
        mode: ModeArg,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// A place where a project's workloads run; -p and -e name it
    Environment {
        /// Its environment type
        #[arg(long = "type", value_name = "TYPE")]
        environment_type: Option<String>,
        /// Whether releases go on by themselves; default: what the environment type says
        #[arg(long, value_enum)]
        mode: Option<ModeArg>,
        /// What modules and the type `environment` see
        #[arg(long = "variable", value_name = "NAME=VALUE")]
        variables: Vec<String>,
        /// Name of the object and of its namespace; default: PROJECT-ENVIRONMENT
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    /// A release goes on when nothing speaks against it
    Automatic,
    /// A release waits for a person
    Review,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Automatic => Self::Automatic,
            ModeArg::Review => Self::Review,
        }
    }
}

pub(crate) async fn run(args: &CreateArgs, context: &Context<'_>) -> Result<ExitCode> {
    let client = context.client()?;
    let terminal = context.terminal;
    match &args.what {
        What::Project {
            name,
            owner,
            description,
        } => {
            let spec = ProjectSpec {
                owner: owner.clone(),
                description: description.clone(),
            };
            create(&client, PROJECTS, "Project", name, &spec).await?;
            terminal.data(&format!("project/{name} created"))?;
            terminal.talk(&format!("next: podium create environment -p {name} -e dev"));
        }
        What::EnvironmentType {
            name,
            mode,
            description,
        } => {
            let spec = EnvironmentTypeSpec {
                description: description.clone(),
                default_mode: (*mode).into(),
            };
            create(&client, ENVIRONMENT_TYPES, "EnvironmentType", name, &spec).await?;
            terminal.data(&format!("environmenttype/{name} created"))?;
        }
        What::Environment {
            environment_type,
            mode,
            variables,
            name,
        } => {
            let global = &context.global;
            let (Some(project), Some(environment), None) =
                (&global.project, &global.environment, &global.namespace)
            else {
                bail!(
                    "which environment of which project? say it: podium create environment -p PROJECT -e ENVIRONMENT"
                );
            };
            if client
                .find::<Json>(&kinds::object(PROJECTS, None, project))
                .await?
                .is_none()
            {
                bail!("project `{project}` does not exist\nmake it: podium create project {project}");
            }
            let environment_type = known_type(context, &client, environment_type.as_deref()).await?;
            let spec = EnvironmentSpec {
                project: project.clone(),
                name: environment.clone(),
                environment_type,
                mode: mode.map(Mode::from),
                variables: pairs(variables)?,
            };
            let name = name.clone().unwrap_or_else(|| format!("{project}-{environment}"));
            create(&client, ENVIRONMENTS, "Environment", &name, &spec).await?;
            terminal.data(&format!("environment/{name} created"))?;
            terminal.talk(&format!("next: podium deploy FILE -p {project} -e {environment}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What `deploy --create` has made, to be taken back when the documents are refused after all.
pub(super) struct Made {
    /// The paths of the objects, those first that go first.
    paths: Vec<String>,
}

impl Made {
    /// Takes everything back; what cannot be taken back is said.
    pub(super) async fn take_back(self, context: &Context<'_>, client: &Client) {
        for path in self.paths {
            if let Err(error) = client.delete(&path).await {
                context
                    .terminal
                    .talk(&format!("{path} was made and cannot be taken back: {error}"));
            }
        }
    }
}

/// Makes what is missing of a project and an environment of it, for `deploy --create`.
pub(super) async fn both(
    context: &Context<'_>,
    client: &Client,
    project: &str,
    environment: &str,
) -> Result<(Target, Made)> {
    let terminal = context.terminal;
    let mut made = Made { paths: Vec::new() };
    let project_path = kinds::object(PROJECTS, None, project);
    if client.find::<Json>(&project_path).await?.is_none() {
        made.paths.push(project_path);
        create(client, PROJECTS, "Project", project, &ProjectSpec::default()).await?;
        terminal.talk(&format!("project/{project} created"));
    }
    let spec = EnvironmentSpec {
        project: project.to_owned(),
        name: environment.to_owned(),
        environment_type: known_type(context, client, None).await?,
        mode: None,
        variables: BTreeMap::new(),
    };
    let name = format!("{project}-{environment}");
    create(client, ENVIRONMENTS, "Environment", &name, &spec).await?;
    terminal.talk(&format!(
        "environment/{name} created, of type {}",
        spec.environment_type
    ));
    made.paths.insert(0, kinds::object(ENVIRONMENTS, None, &name));
    let target = Target {
        project: project.to_owned(),
        environment: environment.to_owned(),
        namespace: name,
    };
    Ok((target, made))
}

/// The environment type: the one that was asked for, which must exist, or the default one, which is made when needed.
async fn known_type(context: &Context<'_>, client: &Client, wanted: Option<&str>) -> Result<String> {
    let name = wanted.unwrap_or(DEFAULT_TYPE);
    if client
        .find::<Json>(&kinds::object(ENVIRONMENT_TYPES, None, name))
        .await?
        .is_some()
    {
        return Ok(name.to_owned());
    }
    if wanted.is_some() {
        let known = names(client, ENVIRONMENT_TYPES).await?;
        let meant = match podium_document::suggest(name, known.iter()) {
            Some(meant) => format!("\ndid you mean `{meant}`?"),
            None if known.is_empty() => String::new(),
            None => format!("\nthere are: {}", known.join(", ")),
        };
        bail!(
            "environment type `{name}` does not exist{meant}\nmake it: podium create environment-type {name}"
        );
    }
    let created = create(
        client,
        ENVIRONMENT_TYPES,
        "EnvironmentType",
        name,
        &EnvironmentTypeSpec::default(),
    )
    .await;
    match created {
        Ok(()) => context.terminal.talk(&format!("environmenttype/{name} created")),
        // Somebody else was faster.
        Err(error) if error.downcast_ref::<ClientError>().and_then(ClientError::code) == Some(409) => {}
        Err(error) => return Err(error),
    }
    Ok(name.to_owned())
}

async fn create<S: Serialize>(client: &Client, plural: &str, kind: &str, name: &str, spec: &S) -> Result<()> {
    let object = json!({
        "apiVersion": api_version(),
        "kind": kind,
        "metadata": {"name": name},
        "spec": serde_json::to_value(spec)?,
    });
    let _created: Json = client.post(&kinds::collection(plural, None), &object).await?;
    Ok(())
}

fn pairs(texts: &[String]) -> Result<BTreeMap<String, String>> {
    texts
        .iter()
        .map(|text| {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| anyhow!("`{text}` sets no variable: write NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}
