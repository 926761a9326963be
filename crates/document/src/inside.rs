//! From a place inside a scalar's decoded text back to its place in the source.
//!
//! The source is walked along with the decoded text: quotes, escapes, indentation and folded line ends are skipped
//! where the style has them. When the two do not match after all (an indentation given explicitly and oddly, say),
//! there is no answer, and the caller marks the whole scalar: a coarse place is better than a wrong one.

use crate::node::{Node, Style};
use crate::source::{Source, Span};

/// Where the bytes `range` of the decoded `text` of a scalar stand.
pub(crate) fn span_inside(source: &Source, node: &Node, text: &str, range: (usize, usize)) -> Option<Span> {
    let (start, end) = range;
    let proper =
        start <= end && end <= text.len() && text.is_char_boundary(start) && text.is_char_boundary(end);
    if !proper {
        return None;
    }
    let from = node.span.start as usize;
    let written = source.slice(node.span);
    let mut walk = Walk {
        written,
        at: properties(written),
        text,
        done: 0,
        start,
        end,
        found: None,
    };
    let end_at = match node.style {
        Style::Plain => walk.flow(Style::Plain)?,
        Style::SingleQuoted | Style::DoubleQuoted => {
            walk.at += 1;
            walk.flow(node.style)?
        }
        Style::Literal | Style::Folded => walk.block(node.style, node.span.column as usize)?,
        Style::Other => return None,
    };
    Some(source.span(from + walk.found?, from + end_at))
}

/// Length of an anchor and a tag before the scalar, with the blanks after them.
fn properties(written: &str) -> usize {
    let mut rest = written;
    while rest.starts_with(['&', '!']) {
        rest = rest.trim_start_matches(|character: char| !character.is_ascii_whitespace());
        rest = rest.trim_start_matches(|character: char| character.is_ascii_whitespace());
    }
    written.len() - rest.len()
}

/// Length of a quoted scalar up to its closing quote, with the anchor and the tag before it.
pub(crate) fn quoted_length(written: &str) -> usize {
    let begin = properties(written);
    let bytes = written.as_bytes();
    let Some(quote) = bytes.get(begin) else {
        return written.len();
    };
    let mut at = begin + 1;
    while let Some(byte) = bytes.get(at) {
        let doubled = *quote == b'\'' && bytes.get(at + 1) == Some(quote);
        match byte {
            b'\\' if *quote == b'"' => at += 2,
            byte if byte == quote && doubled => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    written.len()
}

struct Walk<'t> {
    written: &'t str,
    /// Next byte of what is written.
    at: usize,
    text: &'t str,
    /// Next byte of the decoded text.
    done: usize,
    start: usize,
    end: usize,
    /// Where the range starts in what is written.
    found: Option<usize>,
}

impl Walk<'_> {
    fn rest(&self) -> &str {
        self.written.get(self.at..).unwrap_or_default()
    }

    fn next_decoded(&self) -> Option<char> {
        self.text.get(self.done..)?.chars().next()
    }

    /// The decoded text goes on by `decoded` bytes, written with `written` bytes from here.
    fn step(&mut self, written: usize, decoded: usize) {
        if self.found.is_none() && self.start < self.done + decoded {
            self.found = Some(self.at);
        }
        self.at += written;
        self.done += decoded;
    }

    /// Whether the range ends here; its end in what is written.
    fn ended(&mut self) -> Option<usize> {
        if self.done < self.end {
            return None;
        }
        if self.found.is_none() {
            self.found = Some(self.at);
        }
        Some(self.at)
    }

    /// Plain and quoted scalars.
    fn flow(&mut self, style: Style) -> Option<usize> {
        loop {
            if let Some(end) = self.ended() {
                return Some(end);
            }
            let character = self.rest().chars().next()?;
            if let Some((length, breaks)) = line_ends(self.rest()) {
                let decoded = self.folded(breaks)?;
                self.step(length, decoded);
            } else if style == Style::SingleQuoted && character == '\'' {
                self.step(2, 1);
            } else if style == Style::DoubleQuoted && character == '\\' {
                self.escape()?;
            } else if Some(character) == self.next_decoded() {
                self.step(character.len_utf8(), character.len_utf8());
            } else {
                return None;
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let after = self.rest().get(1..)?;
        if let Some(length) = line_ends(after)
            .filter(|_| after.starts_with(['\n', '\r']))
            .map(|(length, _)| length)
        {
            // An escaped line end stands for nothing, and so do the blanks around it.
            self.step(1 + length, 0);
            return Some(());
        }
        let written = match after.chars().next()? {
            'x' => 4,
            'u' => 6,
            'U' => 10,
            other => 1 + other.len_utf8(),
        };
        let decoded = self.next_decoded()?.len_utf8();
        self.step(written, decoded);
        Some(())
    }

    /// Decoded bytes that so many line ends in a row stand for: one is a blank, of more the first is dropped.
    fn folded(&self, breaks: usize) -> Option<usize> {
        let decoded = self.text.get(self.done..)?;
        if breaks == 1 {
            return decoded.starts_with(' ').then_some(1);
        }
        let wanted = breaks - 1;
        (decoded.bytes().take(wanted).filter(|byte| *byte == b'\n').count() == wanted).then_some(wanted)
    }

    /// Literal and folded blocks.
    fn block(&mut self, style: Style, column: usize) -> Option<usize> {
        // The parser's place of a block is its first line with content, unless an anchor or a tag comes before.
        let indent = if self.at == 0 {
            column - 1
        } else {
            self.at += line_end_at(self.rest())?;
            let indent = self.indent()?;
            let content = self.rest().trim_start_matches(['\n', '\r', ' ']);
            let line = self.rest().len() - content.len();
            self.at += self.rest()[..line].rfind(['\n', '\r']).map_or(0, |at| at + 1);
            self.skip_indent(indent);
            indent
        };
        let empty_lines = self.text.len() - self.text.trim_start_matches('\n').len();
        self.step(0, empty_lines);
        loop {
            if let Some(end) = self.ended() {
                return Some(end);
            }
            let Some(character) = self.rest().chars().next() else {
                // The line ends that close the block are not part of its place.
                self.done = self.end;
                continue;
            };
            if character == '\n' || character == '\r' {
                self.block_line_end(style, indent)?;
            } else if Some(character) == self.next_decoded() {
                self.step(character.len_utf8(), character.len_utf8());
            } else {
                return None;
            }
        }
    }

    fn block_line_end(&mut self, style: Style, indent: usize) -> Option<()> {
        let length = |rest: &str| if rest.starts_with("\r\n") { 2 } else { 1 };
        if style == Style::Literal {
            if self.next_decoded()? != '\n' {
                return None;
            }
            self.step(length(self.rest()), 1);
            self.skip_indent(indent);
            return Some(());
        }
        let from = self.at;
        let mut breaks = 0;
        while self.rest().starts_with(['\n', '\r']) {
            self.at += length(self.rest());
            breaks += 1;
            self.skip_indent(indent);
        }
        let written = self.at - from;
        self.at = from;
        let decoded = self.text.get(self.done..)?;
        // Between lines that are indented further, no line end is dropped.
        let kept = decoded
            .bytes()
            .take(breaks)
            .take_while(|byte| *byte == b'\n')
            .count();
        let decoded = match kept {
            0 if breaks == 1 && decoded.starts_with(' ') => 1,
            0 => return None,
            kept => kept,
        };
        self.step(written, decoded);
        Some(())
    }

    /// Indentation of the first line that is not empty. Its decoded form may keep blanks of its own.
    fn indent(&self) -> Option<usize> {
        let line = self.rest().lines().find(|line| !line.trim().is_empty())?;
        let decoded = self.text.lines().find(|line| !line.trim().is_empty())?;
        let first = decoded.len() - decoded.trim_start_matches(' ').len();
        (line.len() - line.trim_start_matches(' ').len()).checked_sub(first)
    }

    fn skip_indent(&mut self, indent: usize) {
        let blanks = self
            .rest()
            .bytes()
            .take(indent)
            .take_while(|byte| *byte == b' ')
            .count();
        self.at += blanks;
    }
}

/// Length up to and with the first line end.
fn line_end_at(text: &str) -> Option<usize> {
    text.find('\n').or_else(|| text.find('\r')).map(|at| at + 1)
}

/// When only blanks stand before a line end: the length of them all, with further empty lines and the indentation
/// of the next line, and how many line ends there are.
fn line_ends(text: &str) -> Option<(usize, usize)> {
    let rest = text.trim_start_matches([' ', '\t']);
    if !rest.starts_with(['\n', '\r']) {
        return None;
    }
    let whole = text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len();
    let ends = text[..whole].replace("\r\n", "\n");
    Some((whole, ends.matches(['\n', '\r']).count()))
}
