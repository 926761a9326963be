//! Durable runs: a pure state machine and the runtime that feeds it
