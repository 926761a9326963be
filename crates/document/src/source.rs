//! The text of a file, and places in it.

use serde::{Deserialize, Serialize};

/// A stretch of a text: as bytes, for programs, and as lines and columns, for people.
///
/// Lines and columns count from 1, columns in characters. The end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the character after the last.
    pub end_line: u32,
    /// Column of the character after the last.
    pub end_column: u32,
}

impl Span {
    /// Whether it covers no character, as the value in `key:` does.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// From the start of this to the end of `other`.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span {
            end: other.end,
            end_line: other.end_line,
            end_column: other.end_column,
            ..self
        }
    }

    /// The empty stretch where this one ends.
    #[must_use]
    pub fn after(self) -> Span {
        Span {
            start: self.end,
            line: self.end_line,
            column: self.end_column,
            ..self
        }
    }
}

/// The text of one file, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    file: String,
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Takes the text and finds its lines. A line ends with `\n`, `\r\n` or `\r`, as in YAML.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let bytes = text.as_bytes();
        let mut line_starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                line_starts.push(at + 1);
            }
        }
        Self {
            file: file.into(),
            text,
            line_starts,
        }
    }

    /// Name of the file, as messages show it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text that a span covers; empty when the span is of another text.
    pub fn slice(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// A line by its number from 1, without its line end.
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = (number as usize).checked_sub(1)?;
        let start = *self.line_starts.get(index)?;
        let end = self
            .line_starts
            .get(index + 1)
            .copied()
            .unwrap_or(self.text.len());
        Some(self.text.get(start..end)?.trim_end_matches(['\n', '\r']))
    }

    /// The span of a range of bytes. A bound inside a character moves to its start, one beyond the end to the end.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let start = self.boundary(start);
        let end = self.boundary(end.max(start));
        let (line, column) = self.line_and_column(start);
        let (end_line, end_column) = self.line_and_column(end);
        Span {
            start: small(start),
            end: small(end),
            line,
            column,
            end_line,
            end_column,
        }
    }

    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn line_and_column(&self, at: usize) -> (u32, u32) {
        let index = self
            .line_starts
            .partition_point(|start| *start <= at)
            .saturating_sub(1);
        let start = self.line_starts.get(index).copied().unwrap_or(0);
        let before = self.text.get(start..at).unwrap_or_default();
        // A byte order mark is no column: editors do not show it.
        let column = before
            .chars()
            .filter(|character| *character != '\u{feff}')
            .count();
        (small(index + 1), small(column + 1))
    }
}

/// A number as it is kept in spans. Texts are bounded far below the limit.
pub(crate) fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn lines_end_as_in_yaml_and_columns_count_characters() {
        let source = Source::new("a.yaml", "one\r\ntwö: x\rthree\nfour");
        let lines: Vec<_> = (1..=5).map(|number| source.line(number)).collect();
        assert_eq!(
            lines,
            [Some("one"), Some("twö: x"), Some("three"), Some("four"), None]
        );
        let at = source.text().find('x').unwrap();
        let span = source.span(at, at + 1);
        assert_eq!((span.line, span.column, span.end_column), (2, 6, 7));
        assert_eq!(source.slice(span), "x");
    }

    #[test]
    fn bounds_that_fit_nothing_are_moved_not_panicked_on() {
        let source = Source::new("a.yaml", "ö");
        assert_eq!(source.span(1, 9).end, 2);
        assert_eq!(source.span(1, 9).start, 0);
        assert_eq!(source.line(0), None);
    }
}
