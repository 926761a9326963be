//! Where a check is, and what it found.
//!
//! Places are links on the stack to the place above, so that a document without mistakes costs no path at all.

use podium_document::{Path, PathSegment, Problem};

/// A document with more mistakes than this is not read further into: nobody reads more, and each costs memory.
const MOST: usize = 100;

/// A place in the document that is checked.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    pub(super) const ROOT: Place<'static> = Place {
        above: None,
        step: Step::Root,
    };

    pub(super) fn key(&'a self, key: &'a str) -> Place<'a> {
        Place {
            above: Some(self),
            step: Step::Key(key),
        }
    }

    pub(super) fn index(&'a self, index: usize) -> Place<'a> {
        Place {
            above: Some(self),
            step: Step::Index(index),
        }
    }

    pub(super) fn path(&self) -> Path {
        let mut segments = Vec::new();
        let mut place = Some(self);
        while let Some(here) = place {
            match here.step {
                Step::Root => {}
                Step::Key(key) => segments.push(PathSegment::from(key)),
                Step::Index(index) => segments.push(PathSegment::from(index)),
            }
            place = here.above;
        }
        segments.reverse();
        Path(segments)
    }

    /// What messages call the value here: its key, or the key of the list it is in.
    pub(super) fn name(&self) -> String {
        match (self.step, self.above) {
            (Step::Key(key), _) => format!("`{}`", shown(key)),
            (Step::Index(_), Some(above)) => format!("an item of {}", above.name()),
            (Step::Index(_), None) | (Step::Root, _) => "the document".to_owned(),
        }
    }
}

/// Text of the document as messages show it: not longer than a line.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 70;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What was found, in the order of the checks.
#[derive(Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    more: bool,
}

impl Findings {
    pub(super) fn push(&mut self, problem: Problem) {
        if self.problems.len() < MOST {
            self.problems.push(problem);
        } else {
            self.more = true;
        }
    }

    pub(super) fn into_problems(mut self, document: Option<&str>) -> Vec<Problem> {
        if self.more {
            let message = format!("there are more than {MOST} problems; the rest is not shown");
            self.problems.push(Problem::error(Path::root(), message));
        }
        if let Some(name) = document {
            for problem in &mut self.problems {
                problem.document = Some(name.to_owned());
            }
        }
        self.problems
    }
}
