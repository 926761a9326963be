//! `podium shim`: supervises one step or one workload, and outlives the server.
//!
//! **Guarantees.** It leads a session of its own, keeps nothing of the server's open, and holds `lock` in its
//! folder, which its processes inherit: a lock that is free proves that shim and processes are gone. Start
//! settings come over standard input and are never written to disk; what it keeps is sealed (`result`) or masked
//! (`log`). Whoever asks over `control` is the same user or root. All orphans of its processes become its own
//! children, so that what left its process group is ended too. When its folder is gone, it stops.
//!
//! **Files of its folder**: `lock`; `boot` (the machine's boot and the shim's process, as JSON); `control` (a
//! socket); `log`, `log.1` and so on; `result` (a step's, sealed); `abandoned` (the server judged the step lost).
//!
//! **Rejected.** A double fork (the server may reap its child; when it dies, init does); a thread per container
//! (the death signal of a child is bound to the thread that started it, so one thread starts them all).

mod control;
mod family;
mod folder;
mod keeper;
mod output;
mod probe;
mod spawn;
mod step;
mod workload;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};
use nix::sys::stat::{Mode, umask};
use podium_model::clock::{SharedClock, SystemClock};
use tokio::sync::{Notify, mpsc, watch};

use crate::error::one_line;
use crate::frame;
use crate::mask::Masker;
use crate::wire::{Boot, Refusal, Reply, Start, Work};

use control::Command;
use family::Family;
use output::Output;

/// The version of the start message that this shim understands.
pub(crate) const START_VERSION: u32 = 1;

/// What every part of the shim uses.
pub(crate) struct Shared {
    pub(crate) start: Start,
    pub(crate) clock: SharedClock,
    pub(crate) output: Arc<Output>,
    pub(crate) family: Arc<Family>,
}

/// Runs `podium shim --dir FOLDER` until its work is over.
pub fn main(folder: &Path) -> ExitCode {
    close_inherited();
    let reply = |reply: &Reply| {
        let _ = frame::write(io::stdout().lock(), reply);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let prepared = runtime
        .map_err(|error| refusal(format!("the shim cannot start its runtime: {error}")))
        .and_then(|runtime| {
            let _inside = runtime.enter();
            let prepared = prepare(folder)?;
            Ok((runtime, prepared))
        });
    match prepared {
        Err(refused) => {
            reply(&Reply::Refused(refused));
            ExitCode::FAILURE
        }
        Ok((runtime, prepared)) => {
            reply(&Reply::Ready);
            if let Ok(null) = open_null() {
                let _ = nix::unistd::dup2_stdout(&null);
            }
            runtime.block_on(run(prepared, folder))
        }
    }
}

struct Prepared {
    shared: Shared,
    listener: tokio::net::UnixListener,
    gone: Arc<Notify>,
}

fn refusal(reason: String) -> Refusal {
    Refusal { held: false, reason }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> Refusal {
    move |error| refusal(format!("the shim cannot {what}: {error}"))
}

/// Everything between the start and the moment from which the shim can be asked.
fn prepare(folder: &Path) -> Result<Prepared, Refusal> {
    let start: Start = frame::read(io::stdin().lock()).map_err(failed("read its settings"))?;
    let null = open_null().map_err(failed("open /dev/null"))?;
    nix::unistd::dup2_stdin(&null).map_err(|error| failed("close its standard input")(error.into()))?;
    if start.v != START_VERSION {
        return Err(refusal(format!(
            "the shim does not know settings of version {}",
            start.v
        )));
    }
    // It fails only for who leads a session or group already, which is as good.
    let _ = nix::unistd::setsid();
    let _ = nix::sys::prctl::set_dumpable(false);
    let reaper = nix::sys::prctl::set_child_subreaper(true);
    reaper.map_err(|error| failed("adopt the orphans of its processes")(error.into()))?;
    umask(Mode::from_bits_truncate(0o077));
    hold(folder)?;
    let clock: SharedClock = Arc::new(SystemClock);
    folder::prepare_root(&start).map_err(refusal)?;
    let masker = Masker::new(&start.secrets());
    let output = Output::open(folder, &start, masker, Arc::clone(&clock)).map_err(failed("open its log"))?;
    let listener = control::listen(folder).map_err(failed("listen on its control socket"))?;
    write_boot(folder, &start).map_err(failed("write its boot file"))?;
    let gone = folder::watch(folder).map_err(failed("watch its folder"))?;
    std::env::set_current_dir("/").map_err(failed("leave the server's folder"))?;
    let family = Arc::new(Family::new().map_err(failed("hear of its processes' ends"))?);
    Ok(Prepared {
        shared: Shared {
            start,
            clock,
            output: Arc::new(output),
            family,
        },
        listener,
        gone,
    })
}

async fn run(prepared: Prepared, folder: &Path) -> ExitCode {
    let Prepared {
        shared,
        listener,
        gone,
    } = prepared;
    let (commands_in, commands) = mpsc::channel(16);
    let (status_in, status) = watch::channel(String::from("null"));
    tokio::spawn(control::serve(
        listener,
        status,
        commands_in.clone(),
        Arc::clone(&shared.output),
    ));
    tokio::spawn(hear_the_end(gone, commands_in));
    let shared = Arc::new(shared);
    let ended = match &shared.start.work {
        Work::Step(_) => step::run(Arc::clone(&shared), folder, commands, &status_in).await,
        Work::Workload(_) => workload::run(Arc::clone(&shared), commands, &status_in).await,
    };
    let _ = std::fs::remove_file(folder.join("control"));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shared
                .output
                .say("shim", &format!("the supervisor failed: {}", one_line(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Turns signals and the loss of the folder into the command to stop.
async fn hear_the_end(gone: Arc<Notify>, commands: mpsc::Sender<Command>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    loop {
        tokio::select! {
            () = gone.notified() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if commands.send(Command::Stop).await.is_err() {
            return;
        }
    }
}

fn open_null() -> io::Result<std::os::fd::OwnedFd> {
    Ok(nix::fcntl::open(
        "/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?)
}

/// Closes whatever the server left open beyond the three standard streams.
fn close_inherited() {
    let Ok(items) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<i32> = items
        .flatten()
        .filter_map(|item| item.file_name().to_str().and_then(|name| name.parse().ok()))
        .collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        let _ = nix::unistd::close(number);
    }
}

/// Takes the lock for as long as this process and all it starts live.
fn hold(folder: &Path) -> Result<(), Refusal> {
    let path = folder.join("lock");
    let file = nix::fcntl::open(
        &path,
        OFlag::O_RDONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW,
        Mode::from_bits_truncate(0o600),
    )
    .map_err(|error| {
        refusal(format!(
            "the shim cannot open {}: {}",
            path.display(),
            error.desc()
        ))
    })?;
    let lock =
        Flock::lock(File::from(file), FlockArg::LockExclusiveNonblock).map_err(|(_, error)| Refusal {
            held: true,
            reason: format!(
                "another shim or one of its processes holds {}: {}",
                path.display(),
                error.desc()
            ),
        })?;
    for (name, why) in [
        ("abandoned", "was given up as lost"),
        ("result", "has ended already"),
    ] {
        if folder.join(name).exists() {
            return Err(refusal(format!("the work in {} {why}", folder.display())));
        }
    }
    // From here on every process that this one starts holds the lock with it. It is never released, only left
    // behind at exit, because releasing it would release it for those processes too.
    fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))
        .map_err(|error| failed("share its lock with its processes")(error.into()))?;
    std::mem::forget(lock);
    Ok(())
}

/// The kernel's id of this boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

fn write_boot(folder: &Path, start: &Start) -> io::Result<()> {
    let boot = Boot {
        kernel: boot_id()?,
        pid: nix::unistd::getpid().as_raw(),
        digest: match &start.work {
            Work::Workload(workload) => Some(workload.digest.clone()),
            Work::Step(_) => None,
        },
        root: start.root.clone(),
    };
    folder::write_durably(folder, "boot", &serde_json::to_vec(&boot)?)
}
