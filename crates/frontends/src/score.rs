//! Score v1b1 workloads.
//!
//! **The way of a document.** The client reads the text (`podium-document`), brings old forms to the present one
//! ([`upgrade()`]) and sends JSON. The server applies overrides ([`apply_overrides`]), checks all of it ([`check()`]),
//! and turns it into requests ([`parse`], [`requests`]). Problems are told by path, so the client, which has the
//! text, can show file and line.
//!
//! **What it guarantees.** [`check()`] gives the verdict of the published JSON schema ([`check_structure`] alone is
//! held equal to it by test) and beyond it what the schema cannot say: the `before` order, placeholders, base64. All
//! mistakes of a document come at once, up to a bound. Equal documents make equal requests: maps are sorted, so the
//! order of keys means nothing.
//!
//! **Where Score's own tools differ from each other**, score-compose is followed: `before` names the containers that
//! wait for this one.
//!
//! **Rejected.** Checking with the JSON schema itself: its messages name rules and not what to do. Deserialising with serde: it stops at the first mistake.

mod check;
mod overrides;
mod pattern;
mod place;
mod placeholder;
mod request;
mod upgrade;
mod workload;

pub use check::{check, check_structure};
pub use overrides::{Override, OverrideError, apply_overrides, parse_property};
pub use placeholder::{Mistake, Part, Range, Reference, Scan, escape, scan};
pub use request::{FileText, ResourceRequest, Template, WorkloadRequest, requests};
pub use upgrade::{needs_upgrade, upgrade, upgrade_json};
pub use workload::{
    ComputeAmounts, Container, ContainerFile, ContainerVolume, FileContent, HttpGet, Probe, Protocol, Ready,
    ResourceNeed, Scheme, ScoreWorkload, ServicePort, parse,
};
