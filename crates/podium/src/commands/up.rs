//! `podium up`: server, platform and sample on one's own machine, until Ctrl-C.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use podium_model::clock::{Clock as _, SystemClock};
use tokio::sync::oneshot;

use super::serve::{DEFAULT_LISTEN, ServeArgs};
use crate::cli::{Cli, Command, Context, Global};
use crate::render::text::duration;
use crate::server::{self, End, Server, Setup};

/// The files of the quickstart, for a binary that is run elsewhere than in a checkout.
const QUICKSTART: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/quickstart.rs"));

/// Start a server on this machine, and stop all that it started with Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Load the sample platform and deploy its sample workload
    #[arg(long)]
    pub(crate) demo: bool,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

pub(crate) fn run(args: &UpArgs, context: &Context<'_>) -> Result<ExitCode> {
    let began = SystemClock.now_ms();
    let data = args.serve.data_folder()?;
    let runtime = server::runtime()?;
    runtime.block_on(async {
        let setup = Setup {
            data: data.clone(),
            listen: args.serve.listen.clone(),
            allow_unconfined: true,
        };
        let mut server = Server::open(setup).await?;
        if args.serve.listen == DEFAULT_LISTEN && server.avoid_taken_port() {
            context.terminal.talk(&format!(
                "note: {DEFAULT_LISTEN} is taken, so another port is used"
            ));
        }
        server::log_to(Some(&data.join("server.log")))?;
        for gap in &server.gaps {
            context
                .terminal
                .talk(&format!("note: processes are not fully confined here: {gap}"));
        }
        let (serving, address) = oneshot::channel();
        let (finish, finished) = oneshot::channel();
        let served = tokio::spawn(server.serve(serving, async {
            tokio::select! {
                () = server::told_to_end() => {}
                // The work on top of the server is over before it could be told.
                _ = finished => {}
            }
            End::Everything
        }));
        let outcome = match address.await {
            Ok(address) => Some(on_top(args, context, &data, address, began).await),
            // It never served; the error of the server tells why.
            Err(_) => None,
        };
        if let Some(Err(error)) = outcome {
            let _ended = finish.send(());
            served.await.context("the server ended unexpectedly")??;
            return Err(error);
        }
        let ended = served.await.context("the server ended unexpectedly")?;
        drop(finish);
        ended?;
        context
            .terminal
            .talk("stopped; `podium up` brings it back as it was");
        Ok(ExitCode::SUCCESS)
    })
}

/// What happens once the server answers.
async fn on_top(
    args: &UpArgs,
    context: &Context<'_>,
    data: &Path,
    address: SocketAddr,
    began: i64,
) -> Result<()> {
    let terminal = context.terminal;
    terminal.talk(&format!(
        "Podium {} · data in {} · https://{address}\n",
        env!("CARGO_PKG_VERSION"),
        data.display()
    ));
    let podium = binary_name();
    let kubeconfig = data.join("kubeconfig");
    let is_default = crate::folders::data_folder().is_ok_and(|folder| folder == data);
    let (option, again) = if is_default {
        (String::new(), String::new())
    } else {
        (
            format!(" --kubeconfig {}", kubeconfig.display()),
            format!(" --data {}", data.display()),
        )
    };
    if !args.demo {
        terminal.talk(&format!(
            "Try next, in a second terminal (Ctrl-C here stops what this started; `{podium} up{again}` brings it back):\n  \
             {podium}{option} get environments\n  {podium}{option} apply -f PLATFORM-FOLDER"
        ));
        return Ok(());
    }
    let quickstart = quickstart(data)?;
    let score = quickstart.join("score.yaml");
    let global = Global {
        kubeconfig: Some(kubeconfig),
        project: None,
        environment: None,
        namespace: None,
    };
    let inner = Context { global, terminal };
    let client = inner.client()?;
    let platform = quickstart.join("platform");
    super::apply::apply_quietly(&inner, &client, &[platform])
        .await
        .context("the sample platform cannot be loaded")?;
    let arguments = [
        "podium",
        "deploy",
        &score.display().to_string(),
        "-p",
        "demo",
        "-e",
        "dev",
        "--yes",
    ]
    .map(str::to_owned);
    let deploy = <Cli as clap::Parser>::try_parse_from(arguments)?;
    let global = Global {
        kubeconfig: inner.global.kubeconfig.clone(),
        ..deploy.global
    };
    let Command::Deploy(deploy) = deploy.command else {
        return Ok(());
    };
    super::deploy::run(&deploy, &Context { global, terminal }).await?;
    let took = duration(SystemClock.now_ms() - began);
    let score = score.display();
    terminal.talk(&format!(
        "\nup in {took}\n\n\
         Try next, in a second terminal (Ctrl-C here stops what this started; `{podium} up{again}` brings it back):\n  \
         edit {score}, then\n  \
         {podium}{option} plan {score} -p demo -e dev\n  \
         {podium}{option} deploy {score} -p demo -e staging     the same request, made by another module there\n  \
         {podium}{option} explain -p demo -e staging     why\n  \
         {podium}{option} graph -p demo -e dev > graph.svg\n  \
         {podium}{option} status -p demo -e dev\n  \
         {podium}{option} logs notes -f -p demo -e dev\n  \
         {podium}{option} diff -p demo -e dev\n  \
         {podium}{option} rollback 1 -p demo -e dev\n  \
         {podium}{option} destroy -p demo -e staging"
    ));
    Ok(())
}

/// How this program is called: `podium` when it is on `PATH`, its path otherwise.
fn binary_name() -> String {
    let Ok(executable) = std::env::current_exe() else {
        return "podium".to_owned();
    };
    let on_path = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .any(|folder| folder.join("podium").canonicalize().ok() == executable.canonicalize().ok())
    });
    if on_path {
        return "podium".to_owned();
    }
    let shown = std::env::current_dir()
        .ok()
        .and_then(|folder| executable.strip_prefix(folder).ok().map(Path::to_path_buf))
        .unwrap_or(executable);
    shown.display().to_string()
}

/// The folder of the quickstart: that of the checkout, or the one in this binary, written beneath the data folder.
fn quickstart(data: &Path) -> Result<PathBuf> {
    let local = PathBuf::from("examples/quickstart");
    if local.join("score.yaml").is_file() && local.join("platform").is_dir() {
        return Ok(local);
    }
    let folder = data.join("quickstart");
    for (name, content) in QUICKSTART {
        let path = folder.join(name);
        // What was edited stays as it is.
        if path.exists() {
            continue;
        }
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).with_context(|| format!("the folder {}", parent.display()))?;
        std::fs::write(&path, content).with_context(|| format!("the sample file {}", path.display()))?;
    }
    Ok(folder)
}
