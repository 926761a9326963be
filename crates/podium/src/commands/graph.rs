//! `podium graph`: the graph of an environment, as a drawing or as data.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use podium_model::api::GraphResponse;

use crate::cli::Context;
use crate::client::kinds;
use crate::render::{graph_svg, structured};

/// Draw the graph of an environment.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// A release; default: the newest
    #[arg(long, value_name = "RELEASE")]
    release: Option<u64>,
    /// Format of the answer
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t = GraphFormat::Svg)]
    format: GraphFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GraphFormat {
    /// A drawing, for a browser
    Svg,
    /// Nodes and edges
    Json,
    /// Nodes and edges
    Yaml,
}

pub(crate) async fn run(args: &GraphArgs, context: &Context<'_>) -> Result<ExitCode> {
    let (client, target) = context.target().await?;
    let query: Vec<(&str, String)> = args
        .release
        .map(|release| ("release", release.to_string()))
        .into_iter()
        .collect();
    let graph: GraphResponse = client
        .get(&kinds::environment_verb(&target.namespace, "graph"), &query)
        .await?;
    let terminal = context.terminal;
    let text = match args.format {
        GraphFormat::Svg => graph_svg::render(&graph),
        GraphFormat::Json => structured::json(&graph)?,
        GraphFormat::Yaml => structured::yaml(&graph)?,
    };
    terminal.data(&text)?;
    if terminal.shows_data() && matches!(args.format, GraphFormat::Svg) {
        terminal.talk(&format!(
            "this is a drawing; see it in a browser: podium graph {} > graph.svg",
            target.options()
        ));
    }
    Ok(ExitCode::SUCCESS)
}
