//! cargo-deny: the one on PATH, or one built once into the build folder.

use std::path::PathBuf;

use anyhow::Result;

use super::{is_executable, on_path};
use crate::{command, workspace};

/// The version that is built when there is none.
const VERSION: &str = "0.20.2";

/// The program.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    if let Some(found) = on_path("cargo-deny") {
        return Ok(found);
    }
    let place = workspace::tools_folder()?.join(format!("cargo-deny-{VERSION}"));
    let program = place.join("bin/cargo-deny");
    if !is_executable(&program) {
        eprintln!("building cargo-deny {VERSION}; this takes some minutes, once");
        let mut cargo = workspace::cargo()?;
        cargo
            .args([
                "install",
                "cargo-deny",
                "--locked",
                "--version",
                VERSION,
                "--root",
            ])
            .arg(&place);
        command::run(&mut cargo)?;
    }
    Ok(program)
}
