//! Finding and reading document files.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use podium_document::{Diagnostic, Document, Limits, Parsed};

/// The name of standard input.
pub(crate) const STANDARD_INPUT: &str = "-";
/// Most files that a folder may hold.
const MOST_FILES: usize = 10_000;
/// Deepest folder.
const DEEPEST: usize = 32;

/// A file that a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// Its path; [`STANDARD_INPUT`] for standard input.
    pub(crate) path: PathBuf,
    /// Whether it was found in a folder, not named by itself.
    pub(crate) found: bool,
}

impl Input {
    /// Its name in messages.
    pub(crate) fn shown(&self) -> String {
        if self.is_standard_input() {
            "standard input".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    fn is_standard_input(&self) -> bool {
        self.path.as_os_str() == STANDARD_INPUT
    }

    /// The folder that paths in it are relative to.
    pub(crate) fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(parent) if !self.is_standard_input() && !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    /// Reads and parses it. The outer error is about the file, the inner one about what is in it.
    pub(crate) fn parse(&self) -> Result<std::result::Result<Parsed, Vec<Diagnostic>>> {
        let limits = Limits::default();
        let shown = self.shown();
        let most = limits.bytes as u64;
        let mut content = Vec::new();
        if self.is_standard_input() {
            std::io::stdin()
                .lock()
                .take(most + 1)
                .read_to_end(&mut content)
                .context("standard input cannot be read")?;
        } else {
            let file = std::fs::File::open(&self.path).with_context(|| format!("{shown} cannot be read"))?;
            let metadata = file
                .metadata()
                .with_context(|| format!("{shown} cannot be read"))?;
            if metadata.is_dir() {
                bail!("{shown} is a folder, and a file is needed");
            }
            // What is too large is not read: its size alone is reported.
            if metadata.len() > most {
                let message = format!(
                    "the file has {} bytes, more than the {most} that are read",
                    metadata.len()
                );
                let help = "put large content into files of its own, and name them";
                return Ok(Err(vec![Diagnostic::error(shown, message).help(help)]));
            }
            file.take(most + 1)
                .read_to_end(&mut content)
                .with_context(|| format!("{shown} cannot be read"))?;
        }
        Ok(Document::parse_all_bytes(&shown, &content, limits))
    }
}

/// The files that arguments name: themselves, and all YAML and JSON files in folders, sorted. Hidden ones are left
/// out, and links to folders are not followed.
pub(crate) fn inputs(arguments: &[PathBuf]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for argument in arguments {
        let is_folder = argument.as_os_str() != STANDARD_INPUT && argument.is_dir();
        if is_folder {
            let before = inputs.len();
            walk(argument, 0, &mut inputs)?;
            if inputs.len() == before {
                bail!(
                    "the folder {} holds no .yaml, .yml or .json file",
                    argument.display()
                );
            }
        } else {
            inputs.push(Input {
                path: argument.clone(),
                found: false,
            });
        }
    }
    if inputs.iter().filter(|input| input.is_standard_input()).count() > 1 {
        bail!("standard input can be read once only");
    }
    Ok(inputs)
}

fn walk(folder: &Path, depth: usize, inputs: &mut Vec<Input>) -> Result<()> {
    if depth > DEEPEST {
        bail!(
            "folders are nested more than {DEEPEST} levels deep at {}",
            folder.display()
        );
    }
    let unreadable = || format!("the folder {} cannot be read", folder.display());
    let mut entries = std::fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().with_context(unreadable)?;
        if kind.is_dir() {
            walk(&path, depth + 1, inputs)?;
        } else if path.is_file() && is_document(&path) {
            if inputs.len() >= MOST_FILES {
                bail!("more than {MOST_FILES} files: name fewer folders");
            }
            inputs.push(Input { path, found: true });
        }
    }
    Ok(())
}

fn is_document(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        })
}

#[cfg(test)]
mod tests {
    use super::inputs;

    #[test]
    fn folders_are_searched_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a/x.json", "a/notes.txt", ".git/c.yaml", "a/y.YML"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        let found: Vec<_> = inputs(&[folder.path().to_owned()])
            .unwrap()
            .iter()
            .map(|input| {
                input
                    .path
                    .strip_prefix(folder.path())
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        assert_eq!(found, ["a/x.json", "a/y.YML", "b.yaml"]);
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.yaml");
        std::fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
        let parsed = inputs(&[path]).unwrap()[0].parse().unwrap();
        assert!(parsed.unwrap_err()[0].message.contains("104857600 bytes"));
    }
}
