//! The real components that tests run against.
//!
//! Servers come from Debian's packages; what Debian does not have is built from its Go module at the version that
//! `tools/NAME/go.sum` pins. Tests learn where each one is by a variable, and fail when one is set but does not work.

mod debian;
mod deny;
mod go;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::deny::cargo_deny;
use self::go::GoTool;
use crate::{command, workspace};

/// kubectl, for tests that real clients must pass.
const KUBECTL: GoTool = GoTool {
    name: "kubectl",
    package: "k8s.io/kubernetes/cmd/kubectl",
    linker_flags: "-X k8s.io/component-base/version.gitVersion=v1.36.3",
};

/// Where each real component is.
pub(crate) struct RealComponents {
    kubectl: PathBuf,
    postgres_folder: PathBuf,
    redis_server: PathBuf,
    git: PathBuf,
}

impl RealComponents {
    /// Finds or installs all of them.
    pub(crate) fn prepare(use_path_tools: bool) -> Result<Self> {
        debian::install_missing()?;
        let kubectl = if use_path_tools {
            on_path("kubectl").context("--use-path-tools was given, but there is no kubectl on PATH")?
        } else {
            go::build(&KUBECTL, &workspace::root()?, &workspace::tools_folder()?)?
        };
        Ok(Self {
            kubectl,
            postgres_folder: debian::postgres_folder()?,
            redis_server: on_path("redis-server").context("redis-server was installed but is not on PATH")?,
            git: on_path("git").context("git was installed but is not on PATH")?,
        })
    }

    /// The variables by which tests find them.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 4] {
        [
            ("PODIUM_TEST_KUBECTL", &self.kubectl),
            ("PODIUM_TEST_POSTGRES_BIN", &self.postgres_folder),
            ("PODIUM_TEST_REDIS_SERVER", &self.redis_server),
            ("PODIUM_TEST_GIT", &self.git),
        ]
    }

    /// Name and version of each, asked of the programs themselves.
    pub(crate) fn versions(&self) -> Result<Vec<(String, String)>> {
        let ask = |program: &Path, arguments: &[&str]| {
            let answer = command::capture(Command::new(program).args(arguments))?;
            let first = answer.lines().next().unwrap_or_default().to_owned();
            if first.is_empty() {
                bail!("{} does not tell its version", program.display());
            }
            Ok::<_, anyhow::Error>(format!("{first}  ({})", program.display()))
        };
        Ok(vec![
            (
                "kubectl".to_owned(),
                ask(&self.kubectl, &["version", "--client"])?,
            ),
            (
                "postgres".to_owned(),
                ask(&self.postgres_folder.join("postgres"), &["--version"])?,
            ),
            (
                "redis-server".to_owned(),
                ask(&self.redis_server, &["--version"])?,
            ),
            ("git".to_owned(), ask(&self.git, &["--version"])?),
        ])
    }
}

/// The first executable file of that name in the folders of `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
}

pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
