//! Resolve, assemble and explain, by capability.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod choosing;
mod dependencies;
mod planning;
mod properties;
mod references;
mod refusals;
mod sharing;
mod support;
