//! The kinds that Podium itself defines.

mod definition;

pub use definition::{Column, KindDefinition, Subresource, Writes};
