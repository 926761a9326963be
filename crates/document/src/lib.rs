//! Documents as text: YAML and JSON read within bounds, every value with its place; diagnostics.
//!
//! **What it guarantees.** [`Document::parse_all`] turns a text (YAML, several documents, or JSON, which is YAML)
//! into trees of [`Node`]s in which every key and value knows its bytes, line and column. It is pure: the same text
//! gives the same tree, nothing is read, nothing is printed, and no input makes it panic. Everything is bounded
//! ([`Limits`]): size before a byte is looked at; depth, number of values and what aliases expand to while reading.
//! All mistakes that do not prevent reading on are reported together.
//!
//! **How scalars are read.** By the core schema of YAML 1.2, with these decisions:
//! - `yes`, `no`, `on`, `off`, `y` and `n` are text, with a warning when they stand unquoted as a value, because the
//!   YAML reader of Kubernetes takes them for booleans.
//! - A whole number with a leading zero (`0644`) is refused: it is decimal in YAML 1.2 and octal for Kubernetes, and
//!   which of the two was meant is exactly what matters. Quotes or `0o644` say it.
//! - Whole numbers beyond 64 bits, `.inf` and `.nan` are refused, since JSON cannot carry them.
//! - Dates and times stay text. Tags other than those of the core schema are refused.
//! - Keys are text. A number, boolean or null as a key is refused instead of being turned into text silently.
//! - A key set twice is refused, with both places.
//! - Anchors, aliases and merge keys (`<<`) work, as they do for Kubernetes; what they expand to is counted.
//!
//! **Problems travel without text.** A server that has only JSON reports [`Problem`]s by path; the client, which has
//! the text, turns them into [`Diagnostic`]s with [`Document::locate`].
//!
//! **Rejected.** Deserialising into types right here: it stops at the first mistake, and the place of a value is
//! lost as soon as it is inside a type. An own YAML scanner: the grammar is large, and the parser used passes the
//! official test suite.

mod builder;
mod diagnostic;
mod inside;
mod merge;
mod node;
mod parse;
mod path;
mod positions;
mod problem;
mod render;
mod scalar;
mod source;
mod suggest;

pub use diagnostic::{Diagnostic, Severity};
pub use node::{Entry, Key, Node, NodeValue, Style};
pub use parse::{Document, Limits, Parsed};
pub use path::{Path, PathSegment};
pub use problem::{Problem, locate, locate_among};
pub use render::render;
pub use source::{Source, Span};
pub use suggest::suggest;
