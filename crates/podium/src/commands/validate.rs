//! `podium validate`: checks Score files and Podium's documents alike, without a server. It opens no file that a
//! document names.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podium_document::{Diagnostic, Source};

use crate::documents::files::inputs;
use crate::documents::manifest::Checker;
use crate::documents::score::{is_score, prepare, source_of};
use crate::render::failure::findings;
use crate::render::terminal::Terminal;
use crate::render::text::counted;

/// Check Score files and Podium's documents, without a server.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Files and folders; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &ValidateArgs, terminal: &Terminal) -> Result<ExitCode> {
    let checker = Checker::new();
    let mut errors = 0;
    for input in inputs(&args.files)? {
        let shown = input.shown();
        let mut found: Vec<Diagnostic> = Vec::new();
        let mut described = Vec::new();
        let source: Option<Source> = match input.parse()? {
            Ok(parsed) => {
                found.extend(parsed.warnings);
                if parsed.documents.is_empty() {
                    found.push(Diagnostic::error(&shown, "the file holds no document"));
                }
                for document in parsed.documents {
                    if is_score(&document) {
                        let (prepared, findings) = prepare(&input, &document, &[]);
                        described.extend(prepared.map(|one| format!("Score file of workload {}", one.name)));
                        found.extend(findings);
                    } else {
                        let (manifest, findings) = checker.check(document, &input.folder());
                        described.extend(manifest.map(|one| format!("{} {}", one.kind.kind, one.name)));
                        found.extend(findings);
                    }
                }
                Some((*parsed.source).clone())
            }
            Err(diagnostics) => {
                found.extend(diagnostics);
                source_of(&input.path)
            }
        };
        let wrong = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
        errors += wrong;
        if !found.is_empty() {
            terminal.talk(&findings(&found, &source.iter().collect::<Vec<_>>()));
        }
        let paint = terminal.paint();
        let line = if wrong == 0 {
            format!("{} {shown}   {}", paint.sign('✓'), described.join(", "))
        } else {
            format!("{} {shown}   {}", paint.sign('✗'), counted(wrong, "error"))
        };
        terminal.data(&line)?;
    }
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
