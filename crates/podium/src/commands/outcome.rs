//! What comes after a release was made: follow its run, ask when a person is needed, and say how it ended.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use podium_model::api::{DeployResponse, ExplainResponse, Overview, Steps};
use podium_model::clock::{Clock as _, SystemClock};
use podium_model::kinds::{Phase, RunPhase};
use serde::Serialize;

use super::follow::{Ending, follow};
use super::{FormatArgs, approve, parse_duration};
use crate::cli::{Context, Format};
use crate::client::target::Target;
use crate::client::{Client, kinds};
use crate::render::structured;
use crate::render::text::{duration, harmless, harmless_lines};

/// How long to wait.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitArgs {
    /// How long to wait for the end
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Do not wait: return as soon as the release is made
    #[arg(long)]
    pub(crate) detach: bool,
}

/// What scripts are told at the end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'r> {
    project: &'r str,
    environment: &'r str,
    namespace: &'r str,
    release: u64,
    run: &'r str,
    unchanged: bool,
    phase: RunPhase,
    failures: &'r [String],
    workloads: Vec<WorkloadReport>,
}

#[derive(Debug, Serialize)]
struct WorkloadReport {
    name: String,
    phase: Phase,
    urls: Vec<String>,
}

/// Waits for what a release begins, and says how it ends.
pub(super) async fn wait(
    context: &Context<'_>,
    client: &Client,
    target: &Target,
    response: &DeployResponse,
    wait: WaitArgs,
    format: FormatArgs,
) -> Result<ExitCode> {
    let terminal = context.terminal;
    if response.run.is_empty() {
        terminal.talk(&format!("nothing changed; release {} stays", response.release));
        report(context, client, target, response, None, format).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if wait.detach {
        terminal.talk(&format!(
            "release {} is under way as run {}\n  look at it: podium status {}",
            response.release,
            response.run,
            target.options()
        ));
        report(context, client, target, response, None, format).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = format!("{}/{}", harmless(&target.project), harmless(&target.environment));
    let began = SystemClock.now_ms();
    let passed = || u64::try_from(SystemClock.now_ms() - began).unwrap_or(0);
    loop {
        let left = wait.timeout.saturating_sub(Duration::from_millis(passed()));
        match follow(client, terminal, &heading, &target.namespace, &response.run, left).await? {
            Ending::Final(steps) => {
                report(context, client, target, response, Some(&steps), format).await?;
                let took = duration(i64::try_from(passed()).unwrap_or(0));
                return ended(context, client, target, &steps, &took).await;
            }
            Ending::NeedsPerson(steps) => {
                let approve = format!("podium approve {} -n {}", steps.run, target.namespace);
                if !terminal.is_interactive() {
                    bail!("{}", waits_for_person(&steps, &approve));
                }
                if !approve::decide(context, client, &target.namespace, &steps.run).await? {
                    terminal.talk(&format!("it goes on waiting; later: {approve}"));
                    return Ok(ExitCode::FAILURE);
                }
            }
            Ending::TimeUp(steps) => {
                let open = steps.map_or(0, |steps| {
                    steps.steps.iter().filter(|step| step.finished.is_none()).count()
                });
                bail!(
                    "run {} has not ended within the {} of --timeout ({open} steps are open); it goes on by itself\nlook at it: podium status {}",
                    response.run,
                    duration(i64::try_from(wait.timeout.as_millis()).unwrap_or(i64::MAX)),
                    target.options()
                );
            }
            Ending::Interrupted => {
                terminal.talk(&format!(
                    "\nno longer watching; run {} goes on by itself: podium status {}",
                    response.run,
                    target.options()
                ));
                return Ok(ExitCode::from(130));
            }
        }
    }
}

fn waits_for_person(steps: &Steps, approve: &str) -> String {
    let needs = steps
        .needs
        .iter()
        .map(|need| harmless(need))
        .collect::<Vec<_>>()
        .join("; ");
    format!(
        "release {} waits for a person: {needs}\napprove it: {approve}\nor reject it: {approve} --reject",
        steps.release
    )
}

async fn ended(
    context: &Context<'_>,
    client: &Client,
    target: &Target,
    steps: &Steps,
    took: &str,
) -> Result<ExitCode> {
    let terminal = context.terminal;
    let paint = terminal.talk_paint();
    let place = format!("{}/{}", target.project, target.environment);
    match steps.phase {
        RunPhase::Succeeded => {
            terminal.talk(&format!(
                "  {} release {} of {place} done in {took}",
                paint.sign('✓'),
                steps.release
            ));
            Ok(ExitCode::SUCCESS)
        }
        RunPhase::Superseded => {
            let overview: Overview = client
                .get(&kinds::environment_verb(&target.namespace, "overview"), &[])
                .await?;
            Err(anyhow!(
                "release {} of {place} was superseded by release {}, made by {}\nlook at it: podium status {}",
                steps.release,
                overview.release,
                harmless(&overview.author),
                target.options()
            ))
        }
        RunPhase::Cancelled => Err(anyhow!(
            "release {} of {place} was stopped by a person; what was made stays",
            steps.release
        )),
        _ => Err(failed(client, target, steps).await),
    }
}

/// What failed, with whom to ask, and what is next.
async fn failed(client: &Client, target: &Target, steps: &Steps) -> anyhow::Error {
    let place = format!("{}/{}", target.project, target.environment);
    let mut lines = vec![format!("release {} of {place} failed", steps.release)];
    for failure in &steps.failures {
        lines.push(format!("✗ {}", harmless_lines(failure)));
    }
    let mut hints = Vec::new();
    for step in steps.steps.iter().filter(|step| step.state == "failed") {
        let id = &step.resource.id;
        if !steps.failures.iter().any(|failure| failure.contains(id.as_str())) {
            let what = step.resource.type_and_class();
            lines.push(format!(
                "✗ {id} ({what}) by {}: {}",
                step.module,
                harmless_lines(&step.message)
            ));
        }
        // The owner is worth a question; without an answer the failure is told all the same.
        let query = [("resource", step.resource.to_string())];
        let path = kinds::environment_verb(&target.namespace, "explain");
        let answer: Option<ExplainResponse> = client.get(&path, &query).await.ok();
        let owner = answer
            .and_then(|answer| answer.resources.into_iter().next())
            .map(|one| one.owner);
        if let Some(owner) = owner.filter(|owner| !owner.is_empty()) {
            let known = steps.failures.iter().any(|failure| failure.contains(&owner));
            if !known {
                lines.push(format!(
                    "  {} is made by {}: ask {}",
                    harmless(id),
                    harmless(&step.module),
                    harmless(&owner)
                ));
            }
        }
        hints.push(format!("its log: podium logs {id} {}", target.options()));
    }
    let skipped = steps.steps.iter().filter(|step| step.state == "skipped").count();
    if skipped > 0 {
        let verbs = if skipped == 1 {
            "needs it was"
        } else {
            "need it were"
        };
        lines.push(format!("{skipped} that {verbs} not begun"));
    }
    lines.push("what was made stays recorded, and the next deploy goes on from there".to_owned());
    lines.extend(hints);
    anyhow!(lines.join("\n"))
}

/// What is data at the end: where workloads answer.
async fn report(
    context: &Context<'_>,
    client: &Client,
    target: &Target,
    response: &DeployResponse,
    steps: Option<&Steps>,
    format: FormatArgs,
) -> Result<()> {
    let overview: Overview = client
        .get(&kinds::environment_verb(&target.namespace, "overview"), &[])
        .await?;
    let nothing_more = if response.run.is_empty() {
        RunPhase::Succeeded
    } else {
        RunPhase::Queued
    };
    let report = Report {
        project: &target.project,
        environment: &target.environment,
        namespace: &target.namespace,
        release: response.release,
        run: &response.run,
        unchanged: response.unchanged,
        phase: steps.map_or(nothing_more, |steps| steps.phase),
        failures: steps.map_or(&[], |steps| &steps.failures),
        workloads: overview
            .workloads
            .into_iter()
            .map(|workload| WorkloadReport {
                name: workload.name,
                phase: workload.phase,
                urls: workload.urls,
            })
            .collect(),
    };
    if format.format == Format::Text && (report.phase != RunPhase::Succeeded || report.workloads.is_empty()) {
        return Ok(());
    }
    structured::write(context.terminal, format.format, &report, |report| {
        let mut columns = crate::render::columns::Columns::default();
        for workload in &report.workloads {
            let urls = workload
                .urls
                .iter()
                .map(|url| harmless(url))
                .collect::<Vec<_>>()
                .join(" ");
            if !urls.is_empty() {
                columns.row([harmless(&workload.name), urls]);
            }
        }
        columns.lines().join("\n")
    })
}
