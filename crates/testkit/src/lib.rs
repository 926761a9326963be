//! Simulated clock, store and drivers; fixtures
