//! What a front end hands over: workloads and what they ask for.

use std::collections::BTreeMap;

use podium_document::Path;
use podium_model::coordinate::Coordinate;
use podium_model::value::{Reference, Value};

/// A place in a document where an output is named.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceUse {
    /// The output.
    pub reference: Reference,
    /// The value in the document that names it.
    pub path: Path,
    /// The bytes of that text which do.
    pub range: Option<(usize, usize)>,
}

/// A request of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestInput {
    /// The alias under which the workload names it.
    pub alias: String,
    /// What is asked for.
    pub coordinate: Coordinate,
    /// Params; a map.
    pub params: Value,
    /// The request's place in the document.
    pub path: Path,
}

/// A workload with its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadInput {
    /// Its name.
    pub name: String,
    /// Params of the type `workload`: metadata, containers and service.
    pub params: Value,
    /// What it asks for.
    pub requests: Vec<RequestInput>,
    /// Where its document names outputs.
    pub uses: Vec<ReferenceUse>,
}

/// What the resolver must know of what is live.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Ports that nodes have, by name.
    pub ports: BTreeMap<Coordinate, BTreeMap<String, u16>>,
    /// Who made the release in which a requester last changed its request: by node and requester.
    pub authors: BTreeMap<(Coordinate, String), (u64, String)>,
}
