//! Text in aligned columns.
//!
//! Rejected: a table crate. Columns here carry colours that must not count as width, and stand inside trees.

use super::text::Paint;

/// Spaces between columns.
const GAP: usize = 3;

/// Rows to align.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// Adds a row.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The rows, each aligned, without blanks at its end. Columns that are empty in every row are left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..count)
            .map(|at| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| width(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        self.rows
            .iter()
            .map(|row| {
                let mut line = String::new();
                for (cell, width_of_column) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                    line.push_str(cell);
                    line.push_str(&" ".repeat(width_of_column + GAP - width(cell)));
                }
                line.truncate(line.trim_end().len());
                line
            })
            .collect()
    }

    /// The rows below a heading.
    pub(crate) fn with_heading(mut self, heading: &[&str], paint: Paint) -> String {
        let painted = heading
            .iter()
            .map(|name| paint.strong(&name.to_uppercase()))
            .collect();
        self.rows.insert(0, painted);
        let mut text = self.lines().join("\n");
        text.push('\n');
        text
    }
}

/// Characters that take a place: everything but colours.
pub(crate) fn width(text: &str) -> usize {
    let mut count = 0;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A colour: `ESC [ ... m`.
            for next in characters.by_ref() {
                if next == 'm' {
                    break;
                }
            }
        } else {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{Columns, width};
    use crate::render::text::Paint;

    #[test]
    fn colours_take_no_place() {
        let painted = Paint { on: true }.good("✓");
        assert_eq!(width(&painted), 1);
        let mut columns = Columns::default();
        columns.row([painted.as_str(), "a", "", "x"]);
        columns.row(["…", "bcd", "", "y"]);
        let lines = columns.lines();
        assert_eq!(lines[1], "…   bcd   y");
        assert_eq!(
            lines[0],
            format!("{painted}   a     x"),
            "an empty column is left out"
        );
    }
}
