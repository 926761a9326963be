//! `podium approve`: lets a run go on that waits for a person, or ends it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use podium_model::api::{ApproveRequest, PlanResponse, Steps};
use podium_model::kinds::{PLANS, RUNS, RunPhase, RunSpec};
use serde::Deserialize;

use super::FormatArgs;
use crate::cli::Context;
use crate::client::target::{Selection, Target};
use crate::client::{Client, kinds};
use crate::render::plan::{Mood, render};
use crate::render::structured;

/// Approve or reject a run that waits for a person.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// Name of the run
    run: String,
    /// Reject it: what waits is not done
    #[arg(long)]
    reject: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Deserialize)]
struct RunObject {
    spec: RunSpec,
}

pub(crate) async fn run(args: &ApproveArgs, context: &Context<'_>) -> Result<ExitCode> {
    let client = context.client()?;
    let namespace = match context.selection(&client)? {
        Selection::Namespace(namespace) => namespace,
        selection @ Selection::Named { .. } => Target::find(&client, &selection).await?.namespace,
    };
    let plan = waiting_plan(&client, &namespace, &args.run).await?;
    let terminal = context.terminal;
    terminal.talk(&render(&plan.plan, Mood::Waits, None, terminal.talk_paint()));
    let word = if args.reject { "Reject" } else { "Approve" };
    if !args.yes && terminal.is_interactive() && !terminal.ask(&format!("{word} run {}?", args.run)).await {
        bail!("not agreed; run {} goes on waiting", args.run);
    }
    let request = ApproveRequest {
        digest: Some(plan.plan.digest),
        reject: args.reject,
    };
    let steps = post(&client, &namespace, &args.run, &request).await?;
    structured::write(terminal, args.format.format, &steps, |steps| {
        let done = if args.reject { "rejected" } else { "approved" };
        format!("run {} {done}", steps.run)
    })?;
    if !args.reject {
        terminal.talk(&format!("look at it: podium status -n {namespace}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the plan that waits, asks, and tells the server; false when the person does not decide now.
pub(super) async fn decide(
    context: &Context<'_>,
    client: &Client,
    namespace: &str,
    run: &str,
) -> Result<bool> {
    let plan = waiting_plan(client, namespace, run).await?;
    let terminal = context.terminal;
    terminal.talk(&render(&plan.plan, Mood::Waits, None, terminal.talk_paint()));
    if !terminal.ask("Approve it?").await {
        return Ok(false);
    }
    let request = ApproveRequest {
        digest: Some(plan.plan.digest),
        reject: false,
    };
    post(client, namespace, run, &request).await?;
    Ok(true)
}

async fn waiting_plan(client: &Client, namespace: &str, run: &str) -> Result<PlanResponse> {
    let path = kinds::object(RUNS, Some(namespace), run);
    let Some(object) = client.find::<RunObject>(&path).await? else {
        bail!(
            "there is no run `{run}` in namespace {namespace}\nthey are listed by: podium get runs -n {namespace}"
        );
    };
    let steps: Steps = client.get(&format!("{path}/steps"), &[]).await?;
    let waits = steps.phase == RunPhase::AwaitingApproval
        || steps.steps.iter().any(|step| step.state == "awaitingApproval");
    if !waits {
        bail!(
            "run {run} does not wait for a person: it is {:?}\nlook at it: podium status -n {namespace}",
            steps.phase
        );
    }
    let path = kinds::object(PLANS, Some(namespace), &object.spec.plan);
    Ok(client.get(&format!("{path}/content"), &[]).await?)
}

async fn post(client: &Client, namespace: &str, run: &str, request: &ApproveRequest) -> Result<Steps> {
    let path = kinds::object(RUNS, Some(namespace), run);
    Ok(client.post(&format!("{path}/approve"), request).await?)
}
