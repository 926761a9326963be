//! Where in a document something is.

use std::fmt::Write as _;

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A field of an object, or a key of a map.
    Field(String),
    /// An item of a list.
    Index(usize),
}

/// A path as Kubernetes writes it: `spec.ports[0].name`. The empty path is the empty string.
pub fn render_path(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Field(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Segment::Index(index) => {
                // Writing to a string cannot fail.
                let _ = write!(text, "[{index}]");
            }
        }
    }
    text
}

/// The path being walked: pushes on the way down and pops on the way up, so that no path is built unless needed.
#[derive(Default)]
pub(crate) struct Walk {
    segments: Vec<Segment>,
}

impl Walk {
    pub(crate) fn push_field(&mut self, name: &str) {
        self.segments.push(Segment::Field(name.to_owned()));
    }

    pub(crate) fn push_index(&mut self, index: usize) {
        self.segments.push(Segment::Index(index));
    }

    pub(crate) fn pop(&mut self) {
        self.segments.pop();
    }

    pub(crate) fn path(&self) -> Vec<Segment> {
        self.segments.clone()
    }

    pub(crate) fn child(&self, name: &str) -> Vec<Segment> {
        let mut path = self.segments.clone();
        path.push(Segment::Field(name.to_owned()));
        path
    }

    pub(crate) fn item(&self, index: usize) -> Vec<Segment> {
        let mut path = self.segments.clone();
        path.push(Segment::Index(index));
        path
    }
}
