//! The parser's events to a tree.
//!
//! The tree is built with an explicit stack, so that neither deep nor long documents use the machine's. A mistake
//! that leaves the structure clear (a key set twice, a number that cannot be carried) is noted and reading goes on;
//! any other ends it, and what was noted before is reported with it.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::diagnostic::Diagnostic;
use crate::inside;
use crate::merge::{merge, merge_sources};
use crate::node::{Entry, Key, Node, NodeValue, Style};
use crate::parse::Limits;
use crate::positions::{Positions, shortened};
use crate::scalar::{Reading, read_plain};
use crate::source::{Source, Span};

/// After so many findings reading ends: nobody reads more, and each costs memory.
const MOST_FINDINGS: usize = 100;
/// Maps up to this size are searched for a key set twice without an index.
const SMALL_MAP: usize = 8;

/// The documents of a text that is within the limit of bytes, and what is wrong with it.
pub(crate) fn build(source: &Source, limits: Limits) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut builder = Builder::new(source, limits);
    // Whoever ends early has noted an error, and an error is what the caller looks for.
    let _ = builder.run();
    (builder.documents, builder.findings)
}

/// Reading ended early; what was wrong is among the findings.
struct Ended;

/// A value that has begun and not ended.
struct Frame {
    kind: Kind,
    span: Span,
    anchor: usize,
}

enum Kind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        index: HashMap<String, Span>,
        merges: Vec<(usize, Vec<Entry>)>,
        pending: Pending,
    },
}

enum Pending {
    Nothing,
    Key(Key),
    Merge(Span),
    /// The value of a key that was refused.
    Dropped,
}

struct Builder<'s> {
    source: &'s Source,
    limits: Limits,
    positions: Positions<'s>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
    documents: Vec<Node>,
    findings: Vec<Diagnostic>,
}

impl<'s> Builder<'s> {
    fn new(source: &'s Source, limits: Limits) -> Self {
        Self {
            source,
            limits,
            positions: Positions::new(source.text()),
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            alias_nodes: 0,
            alias_bytes: 0,
            documents: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), Ended> {
        let text = self.source.text();
        let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, span)) => {
                    let span = self.positions.span(span.start, span.end);
                    self.take(event, span)?;
                }
                Err(error) => {
                    self.not_yaml(*error.marker(), error.info());
                    return Err(Ended);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Ended> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(span)?;
                let (node, merge) = self.scalar(text.into_owned(), style, tag.as_deref(), span)?;
                self.finish(node, anchor, merge)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(anchor, tag) => {
                self.begin(Kind::List(Vec::new()), "seq", tag.as_deref(), span, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                let kind = Kind::Map {
                    entries: Vec::new(),
                    index: HashMap::new(),
                    merges: Vec::new(),
                    pending: Pending::Nothing,
                };
                self.begin(kind, "map", tag.as_deref(), span, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
        }
    }

    fn begin(
        &mut self,
        kind: Kind,
        own: &str,
        tag: Option<&Tag>,
        span: Span,
        anchor: usize,
    ) -> Result<(), Ended> {
        self.count(span)?;
        if self.stack.len() >= self.limits.depth {
            let message = format!("values are nested more than {} levels deep", self.limits.depth);
            return self.end_with(self.error(message, span));
        }
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == own)
            && !is_unspecific(tag)
        {
            self.refuse_tag(tag, span)?;
        }
        self.stack.push(Frame { kind, span, anchor });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Ended> {
        let Some(Frame { kind, span, anchor }) = self.stack.pop() else {
            return Ok(());
        };
        // A block ends where the next thing begins, which is lines too late: it reaches to its last value instead.
        let flow = matches!(self.source.slice(end), "]" | "}");
        let (value, last) = match kind {
            Kind::List(items) => {
                let last = items.last().map(|item| item.span);
                (NodeValue::List(items), last)
            }
            Kind::Map { entries, merges, .. } => {
                let last = entries.last().map(|entry| entry.value.span);
                (NodeValue::Map(merge(entries, merges)), last)
            }
        };
        let span = match last {
            _ if flow => span.to(end),
            Some(last) if last.end > span.start => span.to(last),
            _ => span,
        };
        self.finish(
            Node {
                value,
                span,
                style: Style::Other,
            },
            anchor,
            false,
        )
    }

    /// A value is complete: it goes to whatever it is inside of.
    fn finish(&mut self, node: Node, anchor: usize, merge: bool) -> Result<(), Ended> {
        if anchor > 0 {
            // Anchors inside anchors would each keep a copy of the same, so copies count like repetitions.
            self.count_alias(&node)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            if !(node.value == NodeValue::Null && node.span.is_empty()) {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut frame.kind {
            Kind::List(items) => {
                items.push(node);
                Ok(())
            }
            Kind::Map {
                entries,
                merges,
                pending,
                ..
            } => match std::mem::replace(pending, Pending::Nothing) {
                Pending::Nothing => self.key(node, merge),
                Pending::Dropped => Ok(()),
                Pending::Key(key) => {
                    let value = if node.span.is_empty() {
                        Node {
                            span: key.span.after(),
                            ..node
                        }
                    } else {
                        node
                    };
                    entries.push(Entry { key, value });
                    Ok(())
                }
                Pending::Merge(span) => {
                    let at = entries.len();
                    if let Some(found) = merge_sources(node) {
                        merges.extend(found.into_iter().map(|entries| (at, entries)));
                        return Ok(());
                    }
                    let error = self
                        .error("`<<` merges a map or a list of maps, and this is neither", span)
                        .help("write \"<<\" in quotes when it is an ordinary key");
                    self.note(error)
                }
            },
        }
    }

    fn key(&mut self, node: Node, merge: bool) -> Result<(), Ended> {
        let span = node.span;
        let NodeValue::Text(name) = node.value else {
            let text = self.source.slice(span).trim();
            let short = text.len() <= 40 && !text.contains('\n') && !text.is_empty();
            let mut error = self.error("a key must be text", span);
            if matches!(node.value, NodeValue::List(_) | NodeValue::Map(_)) {
                error = error.label("a list or map cannot be a key");
            } else if short {
                error = error.help(format!("write it in quotes: \"{text}\""));
            }
            self.set_pending(Pending::Dropped);
            return self.note(error);
        };
        if merge {
            self.set_pending(Pending::Merge(span));
            return Ok(());
        }
        let Some(Frame {
            kind:
                Kind::Map {
                    entries,
                    index,
                    pending,
                    ..
                },
            ..
        }) = self.stack.last_mut()
        else {
            return Ok(());
        };
        let first = if entries.len() < SMALL_MAP {
            entries
                .iter()
                .find(|entry| entry.key.name == name)
                .map(|entry| entry.key.span)
        } else {
            if index.is_empty() {
                index.extend(
                    entries
                        .iter()
                        .map(|entry| (entry.key.name.clone(), entry.key.span)),
                );
            }
            let first = index.get(&name).copied();
            index.entry(name.clone()).or_insert(span);
            first
        };
        let Some(first) = first else {
            *pending = Pending::Key(Key { name, span });
            return Ok(());
        };
        *pending = Pending::Dropped;
        let error = self
            .error(format!("the key `{name}` is set twice"), span)
            .label(format!(
                "first set at line {}, column {}",
                first.line, first.column
            ))
            .help("keep one of them");
        self.note(error)
    }

    fn set_pending(&mut self, new: Pending) {
        if let Some(Frame {
            kind: Kind::Map { pending, .. },
            ..
        }) = self.stack.last_mut()
        {
            *pending = new;
        }
    }

    fn is_at_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                kind: Kind::Map {
                    pending: Pending::Nothing,
                    ..
                },
                ..
            })
        )
    }

    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(Node, bool), Ended> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let written_empty = style == Style::Plain && text.is_empty();
        // The parser gives nothing the place of what comes next, a block the empty lines after it, and quotes the
        // blanks and the comment after them.
        let written = self.source.slice(span);
        let span = match style {
            Style::Plain if written_empty && tag.is_none() => shortened(span, written, 0),
            Style::Literal | Style::Folded => shortened(span, written, written.trim_end().len()),
            Style::SingleQuoted | Style::DoubleQuoted => {
                shortened(span, written, inside::quoted_length(written))
            }
            Style::Plain | Style::Other => span,
        };
        let merge = style == Style::Plain && tag.is_none() && text == "<<" && self.is_at_key();
        let value = match tag {
            Some(tag) if tag.is_yaml_core_schema() => match self.tagged(&text, tag, span) {
                Ok(value) => value,
                Err(finding) => {
                    self.note(*finding)?;
                    NodeValue::Text(text)
                }
            },
            Some(tag) if is_unspecific(tag) => NodeValue::Text(text),
            Some(tag) => {
                self.refuse_tag(tag, span)?;
                NodeValue::Text(text)
            }
            None if style == Style::Plain => match read_plain(&text) {
                Reading::Value(value) => value,
                Reading::BooleanElsewhere(value) => {
                    if !self.is_at_key() {
                        let warning = Diagnostic::warning(
                            self.source.file(),
                            format!("`{text}` is read as text, not as a boolean"),
                        )
                        .at(span)
                        .help(format!(
                            "write \"{text}\" for the text; true and false are the booleans"
                        ));
                        self.note(warning)?;
                    }
                    value
                }
                Reading::Refused { message, help } => {
                    let error = self.error(message, span).help(help);
                    self.note(error)?;
                    NodeValue::Text(text)
                }
            },
            None => NodeValue::Text(text),
        };
        Ok((Node { value, span, style }, merge))
    }

    /// A scalar with a tag of the core schema, which must then be what the tag says.
    fn tagged(&self, text: &str, tag: &Tag, span: Span) -> Result<NodeValue, Box<Diagnostic>> {
        if tag.suffix == "str" {
            return Ok(NodeValue::Text(text.to_owned()));
        }
        let value = match read_plain(text) {
            Reading::Value(value) | Reading::BooleanElsewhere(value) => value,
            Reading::Refused { message, help } => return Err(Box::new(self.error(message, span).help(help))),
        };
        match (tag.suffix.as_str(), value) {
            ("null", value @ NodeValue::Null) | ("bool", value @ NodeValue::Bool(_)) => Ok(value),
            ("int", NodeValue::Number(number)) if !number.is_f64() => Ok(NodeValue::Number(number)),
            ("float", NodeValue::Number(number)) => Ok(NodeValue::Number(number)),
            (suffix, _) => Err(Box::new(
                self.error(format!("this is not what its tag !!{suffix} says"), span),
            )),
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, span: Span) -> Result<(), Ended> {
        let name = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            tag.to_string()
        };
        let error = self
            .error(format!("the tag {name} is not understood"), span)
            .help("leave it out, or put the value in quotes when the text is meant");
        self.note(error)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Ended> {
        self.count(span)?;
        let Some(node) = self.anchors.get(&anchor) else {
            let error = self.error(
                "the alias stands inside what its own anchor names, or in another document",
                span,
            );
            return self.end_with(error);
        };
        if self.stack.len() + node.height() > self.limits.depth {
            let message = format!(
                "values are nested more than {} levels deep by this alias",
                self.limits.depth
            );
            return self.end_with(self.error(message, span));
        }
        let node = Node {
            span,
            style: Style::Other,
            ..node.clone()
        };
        self.count_alias(&node)?;
        self.finish(node, 0, false)
    }

    fn count(&mut self, span: Span) -> Result<(), Ended> {
        self.nodes += 1;
        if self.nodes <= self.limits.nodes {
            return Ok(());
        }
        let message = format!("the file holds more than {} keys and values", self.limits.nodes);
        self.end_with(self.error(message, span).help("split it into several files"))
    }

    /// Counts what an anchor keeps or an alias repeats, before much of it is repeated.
    fn count_alias(&mut self, node: &Node) -> Result<(), Ended> {
        let (nodes, bytes) = node.weight();
        self.alias_nodes = self.alias_nodes.saturating_add(nodes);
        self.alias_bytes = self.alias_bytes.saturating_add(bytes);
        if self.alias_nodes <= self.limits.alias_nodes && self.alias_bytes <= self.limits.bytes {
            return Ok(());
        }
        let error = self
            .error("anchors and aliases repeat too much", node.span)
            .label(format!(
                "here the limit of {} values is passed",
                self.limits.alias_nodes
            ))
            .help("write the repeated parts out, or repeat smaller ones");
        self.end_with(error)
    }

    fn error(&self, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic::error(self.source.file(), message).at(span)
    }

    fn note(&mut self, finding: Diagnostic) -> Result<(), Ended> {
        self.findings.push(finding);
        if self.findings.len() < MOST_FINDINGS {
            return Ok(());
        }
        let message = format!("there are more than {MOST_FINDINGS} findings; the rest is not shown");
        let last = self
            .findings
            .last()
            .and_then(|finding| finding.span)
            .unwrap_or_default();
        self.end_with(self.error(message, last))
    }

    fn end_with(&mut self, finding: Diagnostic) -> Result<(), Ended> {
        self.findings.push(finding);
        Err(Ended)
    }

    fn not_yaml(&mut self, marker: Marker, info: &str) {
        let span = self.positions.span(marker, marker);
        let mut error = self.error("the file is not YAML", span).label(info.to_owned());
        if let Some(help) = self.advice(span) {
            error = error.help(help);
        }
        self.findings.push(error);
    }

    /// What to do about text that is not YAML, judged by the text and not by the parser's words.
    fn advice(&self, span: Span) -> Option<&'static str> {
        let here = self.source.text().get(span.start as usize..).unwrap_or_default();
        let lines = [span.line, span.line.saturating_sub(1)];
        let is_tabbed = |line: &str| line.trim_start_matches(' ').starts_with('\t');
        if lines
            .iter()
            .filter_map(|number| self.source.line(*number))
            .any(is_tabbed)
        {
            return Some("indent with spaces: YAML allows no tabs there");
        }
        if here.starts_with(['@', '`', '%', '*', '&', '!', '|', '>', '[', '{', ']', '}']) {
            return Some("a value that begins with a character that means something in YAML needs quotes");
        }
        let line = self.source.line(span.line).unwrap_or_default();
        if line.contains("\\u") {
            return Some("write characters beyond U+FFFF themselves, or as \\U with eight digits");
        }
        if line.matches(": ").count() > 1 {
            return Some("a value that holds `: ` needs quotes");
        }
        None
    }
}

/// `!` alone says "text", as quotes do.
fn is_unspecific(tag: &Tag) -> bool {
    tag.suffix.is_empty() && matches!(tag.handle.as_str(), "!" | "")
        || tag.handle.is_empty() && tag.suffix == "!"
}
