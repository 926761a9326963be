//! `podium logs`: the log of a workload, or of the steps that made a resource.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use podium_model::api::{Overview, ResourceView};
use podium_model::kinds::{RESOURCES, WORKLOADS};

use crate::cli::Context;
use crate::client::target::Target;
use crate::client::watch::Pauses;
use crate::client::{Client, kinds};

/// Show the log of a workload or resource.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name of a workload, or a resource: its id, TYPE.CLASS#ID, or its object's name
    name: String,
    /// Go on as lines come
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to begin with; default: all that is kept
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,
    /// One container of a workload
    #[arg(short, long, value_name = "CONTAINER")]
    container: Option<String>,
}

pub(crate) async fn run(args: &LogsArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let path = format!("{}/logs", find(&client, &target, &args.name).await?);
    let mut pauses = Pauses::new();
    let mut tail = args.tail;
    loop {
        let mut query = Vec::new();
        if args.follow {
            query.push(("follow", "true".to_owned()));
        }
        if let Some(lines) = tail {
            query.push(("tail", lines.to_string()));
        }
        if let Some(container) = &args.container {
            query.push(("container", container.clone()));
        }
        match client.stream(&path, &query).await {
            Ok(mut response) => {
                let broken = loop {
                    match response.chunk().await {
                        Ok(Some(chunk)) => {
                            context.terminal.raw(&chunk)?;
                            pauses.reset();
                        }
                        Ok(None) => break None,
                        Err(error) => break Some(client.transport(error)),
                    }
                };
                match broken {
                    Some(error) if !args.follow => return Err(error.into()),
                    None if !args.follow => return Ok(ExitCode::SUCCESS),
                    _ => {}
                }
                // What was shown already is not shown again.
                tail = Some(0);
            }
            // Only a stream that was there once is waited for.
            Err(error) if args.follow && tail == Some(0) && error.is_passing() => {}
            Err(error) => return Err(error.into()),
        }
        pauses.wait().await;
    }
}

/// Path of the object that has the log.
async fn find(client: &Client, target: &Target, name: &str) -> Result<String> {
    let overview: Overview = client
        .get(&kinds::environment_verb(&target.namespace, "overview"), &[])
        .await?;
    let namespace = Some(target.namespace.as_str());
    if overview.workloads.iter().any(|workload| workload.name == name) {
        return Ok(kinds::object(WORKLOADS, namespace, name));
    }
    if let Some(workload) = overview
        .workloads
        .iter()
        .find(|workload| workload.resource == name)
    {
        return Ok(kinds::object(WORKLOADS, namespace, &workload.name));
    }
    one_of(&overview, target, name)
}

/// Path of a resource's object, workloads among them.
pub(super) async fn resource_object(client: &Client, target: &Target, name: &str) -> Result<String> {
    let overview: Overview = client
        .get(&kinds::environment_verb(&target.namespace, "overview"), &[])
        .await?;
    let workload = overview.workloads.iter().find(|workload| {
        !workload.resource.is_empty() && (workload.name == name || workload.resource == name)
    });
    match workload {
        Some(workload) => Ok(kinds::object(
            RESOURCES,
            Some(&target.namespace),
            &workload.resource,
        )),
        None => one_of(&overview, target, name),
    }
}

/// Path of the one resource that a name means.
fn one_of(overview: &Overview, target: &Target, name: &str) -> Result<String> {
    let namespace = Some(target.namespace.as_str());
    let exact = |resource: &&ResourceView| {
        let coordinate = format!("{}.{}#{}", resource.resource_type, resource.class, resource.id);
        resource.id == name || resource.name == name || coordinate == name
    };
    // A workload's own resource may be named by its alias alone: `db` for `orders.db`.
    let by_alias = |resource: &&ResourceView| {
        resource
            .id
            .rsplit_once('.')
            .is_some_and(|(_, alias)| alias == name)
    };
    let mut fits: Vec<_> = overview.resources.iter().filter(exact).collect();
    if fits.is_empty() {
        fits = overview.resources.iter().filter(by_alias).collect();
    }
    match fits.as_slice() {
        [one] => Ok(kinds::object(RESOURCES, namespace, &one.name)),
        [] => {
            let known: Vec<&String> = overview
                .workloads
                .iter()
                .map(|workload| &workload.name)
                .chain(overview.resources.iter().map(|resource| &resource.id))
                .collect();
            let meant = match podium_document::suggest(name, known) {
                Some(meant) => format!("\ndid you mean `{meant}`?"),
                None => String::new(),
            };
            bail!(
                "there is neither a workload nor a resource `{name}` in {}/{}{meant}\nthey are listed by: podium status {}",
                target.project,
                target.environment,
                target.options()
            )
        }
        several => {
            let names = several
                .iter()
                .map(|resource| format!("{}.{}#{}", resource.resource_type, resource.class, resource.id))
                .collect::<Vec<_>>();
            bail!("`{name}` may be one of {}: say which", names.join(", "))
        }
    }
}
