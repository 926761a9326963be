//! The resolved graph of one environment: what is wanted, by which module, in which order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::coordinate::Coordinate;
use crate::kinds::{DependantsWait, DriverKind};
use crate::value::Value;

/// A module's version, as the graph names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModuleReference {
    /// The module's name.
    pub module: String,
    /// The version's number.
    pub version: u64,
}

impl ModuleReference {
    /// Name of the ModuleVersion object.
    pub fn object_name(&self) -> String {
        format!("{}-v{}", self.module, self.version)
    }
}

/// A request for a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requester {
    /// Who asks: a workload or a resource. `None` for the document itself, which asks for its workload.
    pub node: Option<Coordinate>,
    /// The alias under which it asks.
    pub alias: String,
    /// What it asks for.
    pub params: Value,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Type, class and id.
    pub coordinate: Coordinate,
    /// The module version chosen.
    pub module: ModuleReference,
    /// Its driver.
    pub driver: DriverKind,
    /// Its runner.
    pub runner: String,
    /// The rule that chose the module.
    pub rule: String,
    /// Who asks for it.
    pub requested_by: Vec<Requester>,
    /// What the driver is given; references stand for outputs that are not known.
    pub inputs: Value,
    /// The type's outputs by the module's mapping; references with [`crate::value::Source::Tool`] to the node itself stand
    /// for what the tool will answer.
    pub outputs: Value,
    /// The outputs of `outputs` that are identity: known now and for all its life.
    pub identity: BTreeMap<String, Value>,
    /// Ports to allot, by name.
    pub ports: BTreeSet<String>,
    /// Nodes that must be there first.
    pub needs: BTreeSet<Coordinate>,
    /// When those that need it may go on.
    pub dependants_wait: DependantsWait,
    /// Inputs whose change replaces it.
    pub replace_on: Vec<String>,
}

/// A graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The nodes, by coordinate.
    #[serde(with = "node_list")]
    pub nodes: BTreeMap<Coordinate, Node>,
}

/// Maps with structured keys are written as lists.
mod node_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Coordinate, Node};

    pub(super) fn serialize<S: Serializer>(
        nodes: &BTreeMap<Coordinate, Node>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        nodes.values().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Coordinate, Node>, D::Error> {
        let nodes = Vec::<Node>::deserialize(deserializer)?;
        Ok(nodes
            .into_iter()
            .map(|node| (node.coordinate.clone(), node))
            .collect())
    }
}
