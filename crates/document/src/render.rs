//! Diagnostics as plain text, with the line they are about.
//!
//! ```text
//! error: the placeholder names no output of postgres
//!    ┌─ score.yaml:14:21
//! 14 │       DSN: postgres://${resources.db.hostname}/app
//!    │                                      ^^^^^^^^ postgres has: host, port
//!    = did you mean `host`?
//! ```
//!
//! Nothing of the document reaches a terminal unchanged that could control it: control characters are shown as `�`.

use std::fmt::Write;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Source, Span};

/// Longest part of a line that is shown, around the marked place.
const WIDEST: usize = 120;
/// Characters shown before the marked place of a line that is too long.
const BEFORE: usize = 40;

/// Writes diagnostics, each with the line it is about when `source` is the file it names.
pub fn render(diagnostics: &[Diagnostic], source: &Source) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        one(&mut text, diagnostic, source);
    }
    text
}

fn one(text: &mut String, diagnostic: &Diagnostic, source: &Source) {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{severity}: {}", harmless(&diagnostic.message));
    let line = diagnostic
        .span
        .filter(|_| diagnostic.file == source.file())
        .and_then(|span| Some((span, source.line(span.line)?)));
    let margin = line.map_or(1, |(span, _)| span.line.to_string().len());
    let place = diagnostic
        .span
        .map_or_else(String::new, |span| format!(":{}:{}", span.line, span.column));
    let _ = writeln!(text, "{:margin$} ┌─ {}{place}", "", harmless(&diagnostic.file));
    if let Some((span, line)) = line {
        marked_line(text, span, line, diagnostic.label.as_deref(), margin);
    } else if let Some(label) = &diagnostic.label {
        let _ = writeln!(text, "{:margin$} = {}", "", harmless(label));
    }
    for help in &diagnostic.help {
        let _ = writeln!(text, "{:margin$} = {}", "", harmless(help));
    }
}

fn marked_line(text: &mut String, span: Span, line: &str, label: Option<&str>, margin: usize) {
    let characters: Vec<char> = line
        .chars()
        .filter(|character| *character != '\u{feff}')
        .collect();
    let start = (span.column as usize).saturating_sub(1).min(characters.len());
    let end = if span.end_line == span.line {
        (span.end_column as usize).saturating_sub(1)
    } else {
        usize::MAX
    };
    let end = end.min(characters.len()).max(start);
    let from = if characters.len() > WIDEST {
        start.saturating_sub(BEFORE)
    } else {
        0
    };
    let to = characters.len().min(from + WIDEST);
    let shown: String = characters[from..to]
        .iter()
        .map(|character| visible(*character))
        .collect();
    let cut_before = if from > 0 { "…" } else { "" };
    let cut_after = if to < characters.len() { "…" } else { "" };
    let _ = writeln!(text, "{} │ {cut_before}{shown}{cut_after}", span.line);
    let indent = start - from + cut_before.chars().count();
    let width = end.min(to).saturating_sub(start).max(1);
    let label = label.map_or_else(String::new, |label| format!(" {}", harmless(label)));
    let _ = writeln!(
        text,
        "{:margin$} │ {:indent$}{}{label}",
        "",
        "",
        "^".repeat(width)
    );
}

/// A tab takes one column here, so that the marks stand below what they mark.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        other if is_harmful(other) => '\u{fffd}',
        other => other,
    }
}

fn harmless(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Control characters, and those that reorder or hide text.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
