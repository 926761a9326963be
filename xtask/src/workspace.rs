//! Where the project and its build folder are, and what its packages hold.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value as Json;

use crate::command;

/// The project's root folder.
pub(crate) fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .context("xtask has no parent folder")
}

/// `cargo` in the project's root, the same toolchain that runs this.
pub(crate) fn cargo() -> Result<Command> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()?);
    Ok(command)
}

/// What cargo tells of the workspace.
pub(crate) struct Metadata(Json);

impl Metadata {
    pub(crate) fn read() -> Result<Self> {
        let mut cargo = cargo()?;
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--locked"]);
        let text = command::capture(&mut cargo)?;
        Ok(Self(
            serde_json::from_str(&text).context("cannot read what cargo metadata prints")?,
        ))
    }

    /// The build folder.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        Ok(self.0["target_directory"]
            .as_str()
            .context("cargo metadata names no build folder")?
            .into())
    }

    /// Package and name of each target of one kind, such as `bench`.
    pub(crate) fn targets(&self, kind: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for package in self.0["packages"].as_array().into_iter().flatten() {
            for target in package["targets"].as_array().into_iter().flatten() {
                let is_kind = target["kind"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|one| one == kind));
                if let (true, Some(package), Some(name)) =
                    (is_kind, package["name"].as_str(), target["name"].as_str())
                {
                    found.push((package.to_owned(), name.to_owned()));
                }
            }
        }
        found.sort();
        found
    }
}

/// The build folder for tools that tests need.
pub(crate) fn tools_folder() -> Result<PathBuf> {
    Ok(Metadata::read()?.target()?.join("tools"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::root;

    /// Both example platforms may be applied to one server, so what they have in common must be the same.
    #[test]
    fn example_platforms_agree() {
        let examples = root().expect("the project's root").join("examples");
        let mut compared = 0;
        for entry in fs::read_dir(examples.join("quickstart/platform")).expect("the quick start") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name");
            let twin = examples.join("platform").join(name);
            if name == "00-environments.yaml" || !twin.exists() {
                continue;
            }
            let texts = [&path, &twin].map(|path| fs::read_to_string(path).expect("a document"));
            assert_eq!(
                texts[0],
                texts[1],
                "{} and {} differ",
                path.display(),
                twin.display()
            );
            compared += 1;
        }
        assert!(compared >= 4, "only {compared} documents are common");
    }
}
