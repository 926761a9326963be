//! The words of Podium as types: kinds, coordinates, conditions, values, graph and plan.
//!
//! **What it guarantees.** Types only: no I/O, no async, no clock reading outside [`clock::SystemClock`]. What
//! crosses a crate boundary is described here, so that the planner, the engine, the drivers and the API server
//! agree without knowing each other.

pub mod api;
pub mod clock;
pub mod condition;
pub mod coordinate;
pub mod graph;
pub mod kinds;
pub mod plan;
pub mod secret;
pub mod value;
