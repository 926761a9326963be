//! Conditions as Kubernetes writes them, judged by kstatus.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

/// One observation of an object's state. `Ready` is the one that `kubectl wait` and Argo CD look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready`, `Reconciling` or `Stalled`.
    #[serde(rename = "type")]
    pub condition_type: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word for machines, such as `AwaitingApproval`.
    pub reason: String,
    /// A sentence for people: what is waited for, and when it is tried next.
    #[serde(default)]
    pub message: String,
    /// Since when the status is what it is.
    #[schemars(with = "String")]
    pub last_transition_time: Timestamp,
    /// The generation that was observed.
    #[serde(default)]
    pub observed_generation: i64,
}

/// Sets a condition, keeping the transition time when its status stays the same.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition) {
    if let Some(old) = conditions
        .iter_mut()
        .find(|old| old.condition_type == new.condition_type)
    {
        if old.status == new.status {
            new.last_transition_time = old.last_transition_time;
        }
        *old = new;
    } else {
        conditions.push(new);
    }
}
