//! Podium: the platform orchestrator.
fn main() {}
