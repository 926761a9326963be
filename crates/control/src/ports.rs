//! Ports for workloads: outside the kernel's ephemeral range, so that no outgoing connection takes one by chance.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use podium_model::kinds::{RESOURCES, ResourceSpec, ResourceStatus};
use podium_store::SharedStore;

use crate::error::ControlError;
use crate::objects::list;

/// Lowest port that is allotted. Linux begins its ephemeral range at 32768.
const FIRST: u16 = 20_000;
/// Highest port that is allotted.
const LAST: u16 = 32_000;

/// Knows which ports are taken.
#[derive(Default)]
pub(crate) struct Ports {
    /// Differs between installations, so that two on one machine do not try the same ports first.
    salt: String,
    taken: Mutex<BTreeSet<u16>>,
}

impl Ports {
    /// Reads what was allotted before.
    pub(crate) async fn load(store: &SharedStore) -> Result<Self, ControlError> {
        let mut taken = BTreeSet::new();
        for resource in list::<ResourceSpec, ResourceStatus>(&**store, RESOURCES, None).await? {
            taken.extend(resource.spec.ports.values().copied());
        }
        Ok(Self {
            salt: store.digest(b"ports").to_string(),
            taken: Mutex::new(taken),
        })
    }

    /// A port that nobody was given and nobody listens on. `hint` spreads allotments; the same hint tries the same
    /// ports first.
    pub(crate) fn allot(&self, hint: &str) -> Result<u16, ControlError> {
        let span = u32::from(LAST - FIRST) + 1;
        let start = self
            .salt
            .bytes()
            .chain(hint.bytes())
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for step in 0..span {
            let offset = (start % span + step) % span;
            let Ok(offset) = u16::try_from(offset) else {
                continue;
            };
            let port = FIRST + offset;
            if !taken.contains(&port) && !Self::is_taken(port) {
                taken.insert(port);
                return Ok(port);
            }
        }
        Err(podium_apiserver::StatusError::unavailable("no port is free for another workload").into())
    }

    /// Whether somebody listens on the port.
    pub(crate) fn is_taken(port: u16) -> bool {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
    }

    /// Gives ports back.
    pub(crate) fn free(&self, ports: impl IntoIterator<Item = u16>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for port in ports {
            taken.remove(&port);
        }
    }
}
