//! Errors, as they end a command.

use std::fmt::Write as _;

use podium_document::{Diagnostic, Source};

use super::text::{counted, harmless_lines};
use crate::client::ClientError;

/// Documents were refused; holds the finished text with every place.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Refusal {
    text: String,
}

impl Refusal {
    /// All that is wrong, each with the line it is about, and that nothing came of it.
    pub(crate) fn new(diagnostics: &[Diagnostic], sources: &[&Source]) -> Self {
        let mut text = findings(diagnostics, sources);
        let errors = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.is_error())
            .count();
        // Writing to a string cannot fail.
        let _ = write!(text, "{}; nothing was changed", counted(errors, "error"));
        Self { text }
    }

    /// The same where other objects were written before the refused one.
    pub(crate) fn after_others(mut self) -> Self {
        if let Some(errors) = self.text.strip_suffix("; nothing was changed") {
            self.text = format!("{errors}; what was applied before it stays");
        }
        self
    }
}

/// Findings, each with the line it is about when its source is there.
pub(crate) fn findings(diagnostics: &[Diagnostic], sources: &[&Source]) -> String {
    let nothing = Source::new("", "");
    diagnostics
        .iter()
        .map(|diagnostic| {
            let source = sources
                .iter()
                .find(|source| source.file() == diagnostic.file)
                .copied();
            podium_document::render(std::slice::from_ref(diagnostic), source.unwrap_or(&nothing))
        })
        .collect()
}

/// An error as the last thing a command says: what, why, and what to do.
pub(crate) fn render(error: &anyhow::Error) -> String {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return refusal.text.clone();
    }
    let mut text = String::new();
    let mut shown = String::new();
    let last = error.chain().count().saturating_sub(1);
    // Of a broken connection only the first word and the last one tell something: in between libraries name themselves.
    let transport = error.downcast_ref::<ClientError>().is_some();
    for (at, cause) in error.chain().enumerate() {
        if transport && at > 0 && at < last {
            continue;
        }
        let message = harmless_lines(&cause.to_string());
        // Some foreign errors repeat what caused them.
        if message.is_empty() || shown.contains(&message) {
            continue;
        }
        let indented = message.replace('\n', "\n  ");
        let _ = if at == 0 {
            writeln!(text, "error: {indented}")
        } else {
            writeln!(text, "  because: {indented}")
        };
        shown.push_str(&message);
    }
    text
}

#[cfg(test)]
mod tests {
    use podium_document::Diagnostic;

    use super::Refusal;

    #[test]
    fn a_refusal_does_not_claim_that_nothing_was_changed_when_something_was() {
        let refusal = Refusal::new(&[Diagnostic::error("a.yaml", "it is wrong")], &[]);
        assert!(
            refusal.to_string().ends_with("1 error; nothing was changed"),
            "{refusal}"
        );
        let refusal = refusal.after_others();
        assert!(
            refusal
                .to_string()
                .ends_with("1 error; what was applied before it stays"),
            "{refusal}"
        );
    }
}
