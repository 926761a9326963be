//! Faults: servers that are killed, machines that refuse, secrets that somebody looks for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    // Real processes live in real time.
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub
)]

#[path = "../support/mod.rs"]
mod support;

mod cloud;
mod processes;
mod scan;

mod crashes;
mod lifecycle;
mod ordinary_user;
mod postgres;
mod secrets;
