//! Text to located values.
//!
//! The parser's events are turned into a tree with an explicit stack, so that neither deep nor long documents use
//! the machine's. A mistake that leaves the structure clear (a key set twice, a number that cannot be carried) is
//! noted and reading goes on; any other ends it, and what was noted before is reported with it.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::diagnostic::Diagnostic;
use crate::node::{Entry, Key, Node, NodeValue, Style};
use crate::problem::{self, Problem};
use crate::scalar::{Reading, read_plain};
use crate::source::{Source, Span, small};

/// After so many findings reading ends: nobody reads more, and each costs memory.
const MOST_FINDINGS: usize = 100;
/// Maps up to this size are searched for a key set twice without an index.
const SMALL_MAP: usize = 8;

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
        let mut builder = Builder::new(&source, limits);
        let finished = builder.run();
        let Builder {
            documents,
            mut findings,
            ..
        } = builder;
        if finished.is_err() || findings.iter().any(Diagnostic::is_error) {
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
        let (style, is_block) = match style {
            ScalarStyle::Plain => (Style::Plain, false),
            ScalarStyle::SingleQuoted => (Style::SingleQuoted, false),
            ScalarStyle::DoubleQuoted => (Style::DoubleQuoted, false),
            ScalarStyle::Literal => (Style::Literal, true),
            ScalarStyle::Folded => (Style::Folded, true),
        };
        let written_empty = style == Style::Plain && text.is_empty();
        // The parser gives nothing the place of what comes next, and a block the empty lines after it.
        let span = if written_empty && tag.is_none() {
            Span {
                end: span.start,
                end_line: span.line,
                end_column: span.column,
                ..span
            }
        } else if is_block {
            self.without_trailing_blanks(span)
        } else {
            span
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
        if self.stack.len() + height(node) > self.limits.depth {
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
        let (nodes, bytes) = weight(node);
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

    fn without_trailing_blanks(&self, span: Span) -> Span {
        let text = self.source.slice(span);
        let kept = text.trim_end().len();
        if kept == text.len() || kept == 0 {
            return span;
        }
        // Lines and columns are counted from the start of the block, not from that of the file.
        let lines = text[..kept].matches('\n').count();
        let last = text[..kept]
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        let end_column = if lines == 0 {
            span.column as usize + last
        } else {
            last + 1
        };
        Span {
            end: span.start + small(kept),
            end_line: span.line + small(lines),
            end_column: small(end_column),
            ..span
        }
    }
}

/// `!` alone says "text", as quotes do.
fn is_unspecific(tag: &Tag) -> bool {
    tag.suffix.is_empty() && matches!(tag.handle.as_str(), "!" | "")
        || tag.handle.is_empty() && tag.suffix == "!"
}

fn height(node: &Node) -> usize {
    match &node.value {
        NodeValue::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        NodeValue::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| height(&entry.value))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

/// Values and bytes of text in a tree.
fn weight(node: &Node) -> (usize, usize) {
    let add = |(nodes, bytes): (usize, usize), (more, longer): (usize, usize)| (nodes + more, bytes + longer);
    match &node.value {
        NodeValue::List(items) => items.iter().map(weight).fold((1, 0), add),
        NodeValue::Map(entries) => entries
            .iter()
            .map(|entry| add(weight(&entry.value), (1, entry.key.name.len())))
            .fold((1, 0), add),
        NodeValue::Text(text) => (1, text.len()),
        _ => (1, 0),
    }
}

/// The maps that `<<` names, nearest first; nothing when it names something else.
fn merge_sources(node: Node) -> Option<Vec<Vec<Entry>>> {
    match node.value {
        NodeValue::Map(entries) => Some(vec![entries]),
        NodeValue::List(items) => items
            .into_iter()
            .map(|item| match item.value {
                NodeValue::Map(entries) => Some(entries),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// Puts merged entries where their `<<` stood. A key of the map itself wins, then the map merged first.
fn merge(entries: Vec<Entry>, merges: Vec<(usize, Vec<Entry>)>) -> Vec<Entry> {
    if merges.is_empty() {
        return entries;
    }
    let mut taken: std::collections::HashSet<String> =
        entries.iter().map(|entry| entry.key.name.clone()).collect();
    let mut merges = merges.into_iter().peekable();
    let mut result = Vec::new();
    let mut pour = |at: usize, result: &mut Vec<Entry>| {
        while let Some((_, merged)) = merges.next_if(|(place, _)| *place <= at) {
            result.extend(
                merged
                    .into_iter()
                    .filter(|entry| taken.insert(entry.key.name.clone())),
            );
        }
    };
    for (at, entry) in entries.into_iter().enumerate() {
        pour(at, &mut result);
        result.push(entry);
    }
    pour(usize::MAX, &mut result);
    result
}

/// From the parser's places, which count characters, to bytes.
struct Positions<'t> {
    text: &'t str,
    /// Bytes of a leading byte order mark, which the parser is not shown.
    mark: usize,
    /// The byte of every 64th character; empty when characters are bytes.
    every: Vec<u32>,
}

const STRIDE: usize = 64;

impl<'t> Positions<'t> {
    fn new(text: &'t str) -> Self {
        let mark = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let shown = text.get(mark..).unwrap_or_default();
        let every = if shown.is_ascii() {
            Vec::new()
        } else {
            shown
                .char_indices()
                .step_by(STRIDE)
                .map(|(at, _)| small(at + mark))
                .collect()
        };
        Self { text, mark, every }
    }

    fn byte(&self, character: usize) -> usize {
        if self.every.is_empty() {
            return (self.mark + character).min(self.text.len());
        }
        let Some(start) = self.every.get(character / STRIDE) else {
            return self.text.len();
        };
        let start = *start as usize;
        let rest = self.text.get(start..).unwrap_or_default();
        rest.char_indices()
            .nth(character % STRIDE)
            .map_or(self.text.len(), |(at, _)| start + at)
    }

    fn span(&self, start: Marker, end: Marker) -> Span {
        let first = self.byte(start.index());
        Span {
            start: small(first),
            end: small(self.byte(end.index()).max(first)),
            line: small(start.line()),
            column: small(start.col() + 1),
            end_line: small(end.line()),
            end_column: small(end.col() + 1),
        }
    }
}
