//! `podium confine`: becomes the process that was asked for, with less power than the shim has.
//!
//! **Guarantees.** The settings, with the environment, come over a socket as standard input; the environment of
//! this process itself is empty, so that a variable such as `LD_PRELOAD` first acts in the confined program. In
//! order: no new privileges, limits, another user without supplementary groups (when root), SIGKILL when the shim
//! dies, Landlock, then `exec`. Whatever fails is told over that socket, and nothing is executed.
//!
//! **Refuses** to go on without Landlock unless it was told to.
//!
//! **Rejected.** Doing this between fork and exec inside the shim: it needs `unsafe`, and allocating there is not
//! allowed. Mount namespaces: an ordinary user often may not have them. Seccomp: what programs need is unknown.

mod landlocked;
mod offer;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{AccessFlags, Gid, Uid};

use crate::frame;
use crate::specification::{Limits, RunAs};
use crate::wire;

pub use offer::{Confinement, confinement_status};

/// Where commands are looked up when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs `podium confine`. Returns only when the program could not be executed.
pub fn main() -> ExitCode {
    let Ok(channel) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::from(125);
    };
    let channel = UnixStream::from(channel);
    let reason = match frame::read::<wire::Confine>(&channel) {
        Ok(settings) => become_program(&settings),
        Err(error) => format!("the settings of the confining process cannot be read: {error}"),
    };
    let _ = frame::write(&channel, &wire::Refusal { held: false, reason });
    ExitCode::from(125)
}

/// Executes the program, or says why not.
fn become_program(settings: &wire::Confine) -> String {
    match prepare(settings) {
        Ok(program) => {
            let mut command = Command::new(&program);
            command.args(settings.argv.iter().skip(1)).env_clear();
            if let Some(name) = settings.argv.first() {
                command.arg0(name);
            }
            command.envs(
                settings
                    .env
                    .iter()
                    .map(|(name, text)| (name, text.text.0.expose())),
            );
            let error = command.exec();
            match error.raw_os_error() {
                Some(code) if code == Errno::ENOENT as i32 => format!(
                    "{} cannot be executed: the interpreter named in its first line, or its loader, is missing",
                    program.display()
                ),
                Some(code) if code == Errno::EACCES as i32 => format!(
                    "{} may not be executed by {}: its mode or the confinement forbids it",
                    program.display(),
                    whoami()
                ),
                _ => format!("{} cannot be executed: {error}", program.display()),
            }
        }
        Err(reason) => reason,
    }
}

fn whoami() -> String {
    format!("user {}", Uid::effective())
}

fn prepare(settings: &wire::Confine) -> Result<PathBuf, String> {
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(told("open /dev/null"))?;
    nix::unistd::dup2_stdin(&null).map_err(told("close standard input"))?;
    prctl::set_no_new_privs().map_err(told("give up new privileges"))?;
    let other_user = settings.cage.run_as.filter(|_| Uid::effective().is_root());
    set_limits(&settings.limits, other_user.is_some())?;
    // Folders are opened while this process may still do so; the rules take effect below.
    let ruleset = landlocked::ruleset(&settings.cage, &settings.root)?;
    if let Some(user) = other_user {
        become_user(user)?;
    }
    // After the change of user, which clears it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(told("bind this process to its supervisor"))?;
    if nix::unistd::getppid().as_raw() != settings.parent {
        return Err("its supervisor died before it started".to_owned());
    }
    landlocked::enforce(ruleset, settings.cage.allow_unconfined)?;
    umask(Mode::from_bits_truncate(0o077));
    let folder = match &settings.folder {
        Some(folder) => settings.root.join(folder.trim_start_matches('/')),
        None => settings.root.clone(),
    };
    std::env::set_current_dir(&folder).map_err(|error| {
        format!(
            "{} cannot enter the working folder {}: {error}",
            whoami(),
            folder.display()
        )
    })?;
    look_up(settings)
}

/// Words for a failed system call.
fn told(action: &'static str) -> impl FnOnce(Errno) -> String {
    move |error| format!("the confining process could not {action}: {}", error.desc())
}

fn become_user(user: RunAs) -> Result<(), String> {
    nix::unistd::setgroups(&[]).map_err(told("drop its groups"))?;
    let gid = Gid::from_raw(user.gid);
    nix::unistd::setresgid(gid, gid, gid).map_err(told("change its group"))?;
    let uid = Uid::from_raw(user.uid);
    nix::unistd::setresuid(uid, uid, uid).map_err(told("change its user"))?;
    if user.uid != 0 && nix::unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        return Err("the confining process could become root again".to_owned());
    }
    Ok(())
}

fn set_limits(limits: &Limits, other_user: bool) -> Result<(), String> {
    let lower = |resource: Resource, wanted: u64| {
        let (_, hard) = getrlimit(resource).map_err(told("read its limits"))?;
        let value = wanted.min(hard);
        setrlimit(resource, value, value).map_err(told("set its limits"))
    };
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_NOFILE, limits.open_files)?;
    if other_user {
        // An ordinary user's own count includes everything else they run.
        lower(Resource::RLIMIT_NPROC, limits.processes)?;
    }
    if let Some(size) = limits.file_size {
        lower(Resource::RLIMIT_FSIZE, size)?;
    }
    Ok(())
}

/// The file to execute: as written when the first word has a `/`, else found in the environment's `PATH`.
fn look_up(settings: &wire::Confine) -> Result<PathBuf, String> {
    let Some(name) = settings.argv.first().filter(|name| !name.is_empty()) else {
        return Err("the command is empty".to_owned());
    };
    if name.contains('/') {
        let path = PathBuf::from(name);
        return match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(path),
            Ok(_) => Err(format!("command `{name}` is no file")),
            Err(error) => Err(format!(
                "command `{name}` cannot be reached by {}: {error}",
                whoami()
            )),
        };
    }
    let path = settings
        .env
        .iter()
        .rev()
        .find(|(variable, _)| variable == "PATH")
        .map_or(DEFAULT_PATH, |(_, text)| text.text.0.expose());
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(name))
        .find(|file| is_command(file))
        .ok_or_else(|| {
            format!("command `{name}` was not found in PATH ({path}); install it or name it with its path")
        })
}

/// Whether a path is a file that this process may execute.
pub(crate) fn is_command(file: &Path) -> bool {
    file.is_file() && nix::unistd::access(file, AccessFlags::X_OK).is_ok()
}
