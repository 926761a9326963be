//! The command line: global options, the commands, and which of them need a runtime of their own.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::client::Client;
use crate::client::kubeconfig::Kubeconfig;
use crate::client::target::{Selection, Target};
use crate::commands;
use crate::folders;
use crate::render::terminal::Terminal;

/// Podium: ask for what your workload needs, see what would change, and have it made.
#[derive(Debug, Parser)]
#[command(
    name = "podium",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Client configuration; default: $PODIUM_KUBECONFIG, then `kubeconfig` in the default data folder
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PODIUM_KUBECONFIG",
        hide_env = true,
        help_heading = "Global options"
    )]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Project
    #[arg(
        short,
        long,
        global = true,
        value_name = "PROJECT",
        help_heading = "Global options"
    )]
    pub(crate) project: Option<String>,
    /// Environment, by its name in the project
    #[arg(
        short,
        long,
        global = true,
        value_name = "ENVIRONMENT",
        help_heading = "Global options"
    )]
    pub(crate) environment: Option<String>,
    /// Namespace: names an environment in place of -p and -e
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAMESPACE",
        help_heading = "Global options"
    )]
    pub(crate) namespace: Option<String>,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For scripts.
    Json,
    /// For scripts that people read.
    Yaml,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server, platform and all, on this machine, and stop it with Ctrl-C
    Up(commands::up::UpArgs),
    /// Run the server
    Serve(commands::serve::ServeArgs),
    /// Create or update objects from files
    Apply(commands::apply::ApplyArgs),
    /// Show objects
    Get(commands::get::GetArgs),
    /// Show all of one object, for people
    Describe(commands::describe::DescribeArgs),
    /// Delete objects
    Delete(commands::delete::DeleteArgs),
    /// Make a project, an environment type or an environment
    Create(commands::create::CreateArgs),
    /// Show what Score files would change; changes nothing
    Plan(commands::plan::PlanArgs),
    /// Deploy Score files to an environment and wait until they are ready
    Deploy(commands::deploy::DeployArgs),
    /// Approve or reject a run that waits for a person
    Approve(commands::approve::ApproveArgs),
    /// Refuse that a resource is replaced or deleted, until that is lifted
    Protect(commands::protect::ProtectArgs),
    /// Show the releases of an environment
    Releases(commands::releases::ReleasesArgs),
    /// Bring an earlier release back and pin it, or lift the pin
    Rollback(commands::rollback::RollbackArgs),
    /// Show how an environment is
    Status(commands::status::StatusArgs),
    /// Show what resources offer: hosts, ports, names
    Outputs(commands::outputs::OutputsArgs),
    /// Show the log of a workload or resource
    Logs(commands::logs::LogsArgs),
    /// Draw the graph of an environment
    Graph(commands::graph::GraphArgs),
    /// Tell which rule chose which module and why, and what a resource waits for
    Explain(commands::explain::ExplainArgs),
    /// Show what differs between two releases
    Diff(commands::diff::DiffArgs),
    /// Empty an environment, through a plan, and keep it
    Destroy(commands::destroy::DestroyArgs),
    /// Turn Score files into the objects that kubectl and Argo CD apply
    Convert(commands::convert::ConvertArgs),
    /// Check Score files and Podium's documents, without a server
    Validate(commands::validate::ValidateArgs),
    /// Print the completion script of a shell
    Completions(commands::completions::CompletionsArgs),
    /// Carry out one step, or watch over one workload, in a session of its own
    #[command(hide = true)]
    Shim(commands::shim::ShimArgs),
    /// Confine this process, then become the command
    #[command(hide = true)]
    Confine(commands::confine::ConfineArgs),
    /// The sample application of the quickstart
    #[command(hide = true)]
    Sample(commands::sample::SampleArgs),
}

/// What a command of the client works with.
pub(crate) struct Context<'t> {
    /// Global options.
    pub(crate) global: Global,
    /// Where it writes.
    pub(crate) terminal: &'t Terminal,
}

impl Context<'_> {
    /// Reads the kubeconfig and prepares the connection; nothing is sent yet.
    pub(crate) fn client(&self) -> Result<Client> {
        let path = match &self.global.kubeconfig {
            Some(path) => path.clone(),
            None => folders::data_folder()?.join("kubeconfig"),
        };
        let kubeconfig = Kubeconfig::read(&path)?;
        Ok(Client::new(kubeconfig)?)
    }

    /// Which environment the options name.
    pub(crate) fn selection(&self, client: &Client) -> Result<Selection> {
        Selection::new(
            self.global.project.as_deref(),
            self.global.environment.as_deref(),
            self.global.namespace.as_deref().or_else(|| {
                let named = self.global.project.is_some() || self.global.environment.is_some();
                client.default_namespace().filter(|_| !named)
            }),
        )
    }

    /// The client, and the environment that the options name.
    pub(crate) async fn target(&self) -> Result<(Client, Target)> {
        let client = self.client()?;
        let selection = self.selection(&client)?;
        let target = Target::find(&client, &selection).await?;
        Ok((client, target))
    }
}

/// Carries out one command.
pub(crate) fn dispatch(cli: Cli, terminal: &Terminal) -> Result<ExitCode> {
    let context = Context {
        global: cli.global,
        terminal,
    };
    // These begin without a runtime: the server builds its own, the shim forks and confines itself, which only a
    // process of one thread may do.
    match cli.command {
        Command::Up(args) => commands::up::run(&args, &context),
        Command::Serve(args) => commands::serve::run(&args, &context),
        Command::Shim(args) => commands::shim::run(&args),
        Command::Confine(args) => commands::confine::run(&args),
        Command::Sample(args) => commands::sample::run(args),
        Command::Completions(args) => commands::completions::run(&args, terminal),
        Command::Validate(args) => commands::validate::run(&args, terminal),
        command => {
            crate::client::install_cryptography();
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .context("the runtime cannot be started")?
                .block_on(talk_to_server(command, &context))
        }
    }
}

async fn talk_to_server(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    match command {
        Command::Apply(args) => commands::apply::run(&args, context).await,
        Command::Get(args) => commands::get::run(&args, context).await,
        Command::Describe(args) => commands::describe::run(&args, context).await,
        Command::Delete(args) => commands::delete::run(&args, context).await,
        Command::Create(args) => commands::create::run(&args, context).await,
        Command::Plan(args) => commands::plan::run(&args, context).await,
        Command::Deploy(args) => commands::deploy::run(&args, context).await,
        Command::Approve(args) => commands::approve::run(&args, context).await,
        Command::Protect(args) => commands::protect::run(&args, context).await,
        Command::Releases(args) => commands::releases::run(&args, context).await,
        Command::Rollback(args) => commands::rollback::run(&args, context).await,
        Command::Status(args) => commands::status::run(&args, context).await,
        Command::Outputs(args) => commands::outputs::run(&args, context).await,
        Command::Logs(args) => commands::logs::run(&args, context).await,
        Command::Graph(args) => commands::graph::run(&args, context).await,
        Command::Explain(args) => commands::explain::run(&args, context).await,
        Command::Diff(args) => commands::diff::run(&args, context).await,
        Command::Destroy(args) => commands::destroy::run(&args, context).await,
        Command::Convert(args) => commands::convert::run(&args, context).await,
        Command::Up(_)
        | Command::Serve(_)
        | Command::Shim(_)
        | Command::Confine(_)
        | Command::Sample(_)
        | Command::Completions(_)
        | Command::Validate(_) => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Command};

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_after_the_command() {
        for line in ["podium -p shop -e dev status", "podium status -p shop -e dev"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.project.as_deref(), Some("shop"), "{line}");
            assert_eq!(cli.global.environment.as_deref(), Some("dev"), "{line}");
            assert!(matches!(cli.command, Command::Status(_)));
        }
    }

    #[test]
    fn what_the_documentation_shows_is_taken() {
        for line in [
            "podium serve --data DIR --listen 127.0.0.1:0",
            "podium up --demo",
            "podium apply -f dir -f file.yaml -f -",
            "podium get modules -o yaml",
            "podium get workloads -A -w",
            "podium describe environment demo-dev",
            "podium delete project demo --yes",
            "podium delete -f file.yaml",
            "podium create project demo",
            "podium create environment -p demo -e dev --type development",
            "podium create environment-type staging --mode review",
            "podium deploy a.yaml b.yaml -p demo -e dev --create --prune --yes --timeout 5m --message text",
            "podium deploy a.yaml -n demo-dev --overrides-file o.yaml --override-property a.b=1 --image x --detach",
            "podium plan a.yaml -p demo -e dev -o json --detailed-exitcode",
            "podium approve run-1 -n demo-dev --reject",
            "podium releases -p demo -e dev -o json",
            "podium rollback 3 -p demo -e dev",
            "podium rollback --lift -p demo -e dev",
            "podium status -p demo -e dev -o json",
            "podium outputs db -p demo -e dev --reveal -o yaml",
            "podium logs notes -f --tail 20 -c main -p demo -e dev",
            "podium graph -p demo -e dev -o svg",
            "podium explain db -p demo -e dev",
            "podium explain --type postgres -p demo -e dev -o json",
            "podium diff 1 2 -p demo -e dev",
            "podium destroy -p demo -e dev --yes",
            "podium convert a.yaml -o json",
            "podium validate a.yaml dir",
            "podium completions bash",
        ] {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "podium rollback",
            "podium rollback 3 --lift",
            "podium deploy",
            "podium plan",
            "podium apply",
            "podium get",
            "podium get modules -o xml",
            "podium validate",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
