//! Findings by path, from whoever has only JSON, and their way back to a line of the text.

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Severity};
use crate::inside;
use crate::node::{Node, NodeValue};
use crate::parse::Document;
use crate::path::Path;
use crate::source::{Source, Span};

/// One finding in a document known only as JSON.
///
/// It crosses the API; whoever has the text makes a [`Diagnostic`] of it with [`locate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// Which document, by what it calls itself (`metadata.name`), when several were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Which value in it.
    #[serde(default)]
    pub path: Path,
    /// Which bytes of that text, when only a part of it is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(usize, usize)>,
    /// Whether the key is meant and not its value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_key: bool,
    /// What is wrong: lower case, without full stop.
    pub message: String,
    /// What stands beside the marked place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

impl Problem {
    /// An error at a value.
    pub fn error(path: Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            document: None,
            path,
            range: None,
            on_key: false,
            message: message.into(),
            label: None,
            help: Vec::new(),
        }
    }

    /// A warning at a value.
    pub fn warning(path: Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(path, message)
        }
    }

    /// Says which document is meant.
    #[must_use]
    pub fn in_document(mut self, document: impl Into<String>) -> Self {
        self.document = Some(document.into());
        self
    }

    /// Says that the key is meant and not its value.
    #[must_use]
    pub fn on_key(mut self) -> Self {
        self.on_key = true;
        self
    }

    /// Says that only some bytes of the text are meant.
    #[must_use]
    pub fn range(mut self, range: (usize, usize)) -> Self {
        self.range = Some(range);
        self
    }

    /// Adds what stands beside the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds a line on what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Whether the document is refused for it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn without_place(&self, file: &str) -> Diagnostic {
        Diagnostic {
            severity: self.severity,
            message: self.message.clone(),
            file: file.to_owned(),
            span: None,
            label: self.label.clone(),
            help: self.help.clone(),
        }
    }
}

/// Finds the place of a problem in the text.
///
/// What the path names need not exist (that may be the problem): then the nearest value above it is marked. Of a
/// map or list its key is marked, since marking all of its lines would mark nothing.
pub fn locate(problem: &Problem, root: &Node, source: &Source) -> Diagnostic {
    let mut node = root;
    let mut key = None;
    let mut exists = true;
    for segment in &problem.path.0 {
        let Some((next_key, next)) = node.child(segment) else {
            exists = false;
            break;
        };
        (key, node) = (next_key, next);
    }
    let span = place(problem, node, key, exists, source);
    Diagnostic {
        span: Some(span),
        ..problem.without_place(source.file())
    }
}

fn place(problem: &Problem, node: &Node, key: Option<Span>, exists: bool, source: &Source) -> Span {
    let as_a_whole = key.unwrap_or_else(|| node.head());
    if !exists || problem.on_key || node.span.is_empty() {
        return as_a_whole;
    }
    // A map or list in brackets on one line, or an alias, can be marked itself; of any other the key says more.
    let in_brackets =
        source.slice(node.span).starts_with(['{', '[', '*']) && node.span.line == node.span.end_line;
    match &node.value {
        NodeValue::Map(_) | NodeValue::List(_) if !in_brackets => as_a_whole,
        NodeValue::Text(text) => problem
            .range
            .and_then(|range| inside::span_inside(source, node, text, range))
            .unwrap_or(node.span),
        _ => node.span,
    }
}

/// Finds the place of a problem among several documents, by the name it gives.
///
/// Without a name the only document is meant. When no document fits, the finding keeps its path in the help.
pub fn locate_among<'d>(problem: &Problem, documents: impl IntoIterator<Item = &'d Document>) -> Diagnostic {
    let documents: Vec<&Document> = documents.into_iter().collect();
    let meant = match (&problem.document, documents.as_slice()) {
        (None, [only]) => Some(*only),
        (None, _) => None,
        (Some(name), _) => documents
            .iter()
            .copied()
            .find(|document| document.name() == Some(name)),
    };
    if let Some(document) = meant {
        return document.locate(problem);
    }
    let file = documents.first().map_or("", |document| document.source().file());
    let mut diagnostic = problem.without_place(problem.document.as_deref().unwrap_or(file));
    if !problem.path.0.is_empty() {
        diagnostic = diagnostic.help(format!("the place is {}", problem.path));
    }
    diagnostic
}
