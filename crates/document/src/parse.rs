//! What is read from a text, and what that may cost.

use std::sync::Arc;

use crate::builder;
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::problem::{self, Problem};
use crate::source::Source;

/// What a text may cost to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text, judged before a byte is read, and also of what aliases repeat of it.
    pub bytes: usize,
    /// Maps and lists inside each other.
    pub depth: usize,
    /// Keys and values in all documents of the text.
    pub nodes: usize,
    /// Values that anchors keep and aliases repeat.
    pub alias_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 4 << 20,
            depth: 64,
            nodes: 400_000,
            alias_nodes: 40_000,
        }
    }
}

/// One document of a text.
#[derive(Debug, Clone)]
pub struct Document {
    root: Node,
    source: Arc<Source>,
}

/// All documents of a text, in order; empty ones are left out.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The documents.
    pub documents: Vec<Document>,
    /// What is probably not what was meant.
    pub warnings: Vec<Diagnostic>,
    /// The text they are from.
    pub source: Arc<Source>,
}

impl Document {
    /// Reads all documents of a text (see the crate's documentation for what is read how).
    ///
    /// When it is refused, errors and warnings are returned in the order of the text.
    pub fn parse_all(file_name: &str, text: &str, limits: Limits) -> Result<Parsed, Vec<Diagnostic>> {
        let most = limits.bytes.min(u32::MAX as usize);
        if text.len() > most {
            return Err(vec![too_large(file_name, text.len(), most)]);
        }
        let source = Arc::new(Source::new(file_name, text));
        if let Some(at) = text
            .bytes()
            .position(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r'))
        {
            let code = text.as_bytes()[at];
            let diagnostic =
                Diagnostic::error(file_name, "the file holds a control character and is no text")
                    .at(source.span(at, at + 1))
                    .label(format!("character U+{code:04X}"))
                    .help("in double quotes it can be written as an escape");
            return Err(vec![diagnostic]);
        }
        let (documents, mut findings) = builder::build(&source, limits);
        if findings.iter().any(Diagnostic::is_error) {
            findings.sort_by_key(|finding| finding.span.map_or(0, |span| span.start));
            return Err(findings);
        }
        let documents = documents
            .into_iter()
            .map(|root| Document {
                root,
                source: Arc::clone(&source),
            })
            .collect();
        Ok(Parsed {
            documents,
            warnings: findings,
            source,
        })
    }

    /// The same for bytes that may not be UTF-8.
    pub fn parse_all_bytes(file_name: &str, bytes: &[u8], limits: Limits) -> Result<Parsed, Vec<Diagnostic>> {
        if bytes.len() > limits.bytes {
            return Err(vec![too_large(file_name, bytes.len(), limits.bytes)]);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse_all(file_name, text, limits),
            Err(error) => {
                let good = error.valid_up_to();
                let line = bytes[..good].split(|byte| *byte == b'\n').count();
                let message = format!("line {line} is not UTF-8 text");
                Err(vec![
                    Diagnostic::error(file_name, message).help("save the file in the encoding UTF-8"),
                ])
            }
        }
    }

    /// The tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The tree, taken out.
    pub fn into_root(self) -> Node {
        self.root
    }

    /// The same text with another tree made from it, as after an upgrade of its form.
    #[must_use]
    pub fn with_root(&self, root: Node) -> Self {
        Self {
            root,
            source: Arc::clone(&self.source),
        }
    }

    /// The text it is from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What the document calls itself: `metadata.name`.
    pub fn name(&self) -> Option<&str> {
        self.root.get("metadata")?.get("name")?.as_text()
    }

    /// Finds the place of a problem in this document.
    pub fn locate(&self, problem: &Problem) -> Diagnostic {
        problem::locate(problem, &self.root, &self.source)
    }
}

fn too_large(file_name: &str, size: usize, most: usize) -> Diagnostic {
    Diagnostic::error(
        file_name,
        format!("the file has {size} bytes, more than the {most} that are read"),
    )
    .help("put large content into files of its own, and name them")
}
