//! From the parser's places, which count characters, to bytes.

use saphyr_parser::Marker;

use crate::source::{Span, small};

/// The first `kept` bytes of a span. Lines and columns are counted from its start, not from that of the file.
pub(crate) fn shortened(span: Span, written: &str, kept: usize) -> Span {
    let text = written.get(..kept).unwrap_or(written);
    if text.len() == written.len() {
        return span;
    }
    let ends = text.replace("\r\n", "\n");
    let lines = ends.matches(['\n', '\r']).count();
    let last = ends
        .rsplit(['\n', '\r'])
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
        end: span.start + small(text.len()),
        end_line: span.line + small(lines),
        end_column: small(end_column),
        ..span
    }
}

/// From the parser's places, which count characters, to bytes.
pub(crate) struct Positions<'t> {
    text: &'t str,
    /// Bytes of a leading byte order mark, which the parser is not shown.
    mark: usize,
    /// The byte of every 64th character; empty when characters are bytes.
    every: Vec<u32>,
}

const STRIDE: usize = 64;

impl<'t> Positions<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
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

    pub(crate) fn span(&self, start: Marker, end: Marker) -> Span {
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
