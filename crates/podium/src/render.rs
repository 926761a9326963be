//! Answers as text. Everything here is pure, but [`terminal`], which writes, and [`live`], which redraws.
//!
//! **What it guarantees.** The first line answers the question; one sign has one meaning everywhere (`+` create,
//! `~` update, `±` replace, `-` delete, `=` unchanged, `✓` done, `✗` failed, `…` at work, `⏸` waits); nothing needs
//! colour; and no text of others reaches the terminal with control characters in it.

pub(crate) mod columns;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod failure;
pub(crate) mod graph_svg;
pub(crate) mod history;
pub(crate) mod live;
pub(crate) mod objects;
pub(crate) mod outputs;
pub(crate) mod plan;
pub(crate) mod status;
pub(crate) mod structured;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod tree;

#[cfg(test)]
mod tests;
