//! What comes from Debian's packages.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{is_executable, on_path};
use crate::command;

/// Programs that tests need, and the package that has each.
const PROGRAMS: [(&str, &str); 4] = [
    ("git", "git"),
    ("psql", "postgresql-client"),
    ("redis-cli", "redis-tools"),
    ("redis-server", "redis-server"),
];

/// Installs what is missing, if anything is.
pub(super) fn install_missing() -> Result<()> {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| on_path(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if postgres_folder().is_err() {
        packages.push("postgresql");
    }
    install(&packages)
}

/// Installs packages, as root or through sudo.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if on_path("apt-get").is_none() {
        bail!(
            "these packages are missing, and there is no apt-get to install them with: {}",
            packages.join(" ")
        );
    }
    command::run(apt_get()?.arg("update"))?;
    command::run(
        apt_get()?
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

fn apt_get() -> Result<Command> {
    let settings = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--quiet"];
    let mut command = if nix::unistd::Uid::effective().is_root() {
        Command::new("env")
    } else if on_path("sudo").is_some() {
        let mut command = Command::new("sudo");
        command.arg("env");
        command
    } else {
        bail!("packages must be installed, but this user is not root and there is no sudo");
    };
    command.args(settings);
    Ok(command)
}

/// The folder with PostgreSQL's own programs, of the newest version. Debian keeps them off `PATH`.
pub(super) fn postgres_folder() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| is_whole(folder))
        .collect();
    versions.sort();
    versions
        .pop()
        .map(|(_, folder)| folder)
        .or_else(|| Some(on_path("postgres")?.parent()?.to_owned()).filter(|folder| is_whole(folder)))
        .context("found no postgres in /usr/lib/postgresql or on PATH")
}

/// Some machines have only links to a few of the programs in a folder of `PATH`.
fn is_whole(folder: &std::path::Path) -> bool {
    ["postgres", "initdb", "pg_isready"]
        .iter()
        .all(|program| is_executable(&folder.join(program)))
}
