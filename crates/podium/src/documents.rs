//! What developers and platform teams write, read on their machine: Score files, Podium's objects, module folders.
//!
//! **What it guarantees.** A document is bounded before it is parsed, all mistakes of all documents come at once
//! with their lines, and nothing is sent before all of them are right. The server never sees a path: files and
//! folders that a document names are uploaded by their content.

pub(crate) mod bundle;
pub(crate) mod files;
pub(crate) mod manifest;
pub(crate) mod merge;
pub(crate) mod problems;
pub(crate) mod score;
pub(crate) mod upload;
