//! `history` and `diff`: releases, and what differs between two of them.

use podium_apiserver::{Answer, StatusError, SubresourceCall};
use podium_model::api::{DiffResponse, HistoryResponse, NodeDifference, ReleaseView};
use podium_model::graph::{Graph, Node};
use podium_model::kinds::{PLANS, PlanSpec, RELEASES, ReleaseSpec, ReleaseStatus, SimpleStatus};
use podium_model::plan::Action;
use podium_model::value::Value;
use podium_planner::difference;

use super::{json, number};
use crate::environment::{find, read_blob};
use crate::error::ControlError;
use crate::executor::release_name;
use crate::objects::{get, list, namespaced};
use crate::service::ControlPlane;

fn title(node: &Node) -> String {
    format!(
        "{}/{} v{}",
        node.driver.as_str(),
        node.module.module,
        node.module.version
    )
}

impl ControlPlane {
    pub(super) async fn verb_history(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let environment = find(&self.store, call.name).await?;
        let limit = number(call, "limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let mut releases =
            list::<ReleaseSpec, ReleaseStatus>(&*self.store, RELEASES, Some(call.name)).await?;
        releases.sort_by_key(|release| std::cmp::Reverse(release.spec.number));
        let mut views = Vec::new();
        for release in releases.into_iter().take(limit) {
            let key = namespaced(PLANS, call.name, release.name());
            let plan = get::<PlanSpec, SimpleStatus>(&*self.store, &key).await?;
            views.push(ReleaseView {
                number: release.spec.number,
                created: release.created().unwrap_or(jiff::Timestamp::UNIX_EPOCH),
                author: release.spec.author,
                cause: release.spec.cause,
                message: release.spec.message,
                phase: release.status.phase,
                summary: plan.map(|plan| plan.spec.summary).unwrap_or_default(),
                rollback_to: release.spec.rollback_to,
            });
        }
        json(&HistoryResponse {
            pinned: environment.status.pinned,
            releases: views,
        })
    }

    /// The graph of a release; an empty one for release 0.
    pub(super) async fn release_graph(&self, namespace: &str, number: u64) -> Result<Graph, ControlError> {
        if number == 0 {
            return Ok(Graph::default());
        }
        let key = namespaced(RELEASES, namespace, &release_name(number));
        let release = get::<ReleaseSpec, ReleaseStatus>(&*self.store, &key)
            .await?
            .ok_or_else(|| StatusError::new(404, "NotFound", format!("there is no release {number}")))?;
        read_blob(&self.store, &release.spec.graph).await
    }

    pub(super) async fn verb_diff(&self, call: &SubresourceCall<'_>) -> Result<Answer, ControlError> {
        let environment = find(&self.store, call.name).await?;
        let to = number(call, "to")?.unwrap_or(environment.status.release);
        let from = number(call, "from")?.unwrap_or_else(|| to.saturating_sub(1));
        let before = self.release_graph(call.name, from).await?;
        let after = self.release_graph(call.name, to).await?;
        let mut nodes = Vec::new();
        let all: std::collections::BTreeSet<_> = before.nodes.keys().chain(after.nodes.keys()).collect();
        let own = |node: &Node| {
            node.inputs
                .at(&["inputs".to_owned()])
                .cloned()
                .unwrap_or(Value::Null)
        };
        for coordinate in all {
            let (left, right) = (before.nodes.get(coordinate), after.nodes.get(coordinate));
            let (action, fields) = match (left, right) {
                (None, Some(_)) => (Action::Create, Vec::new()),
                (Some(_), None) => (Action::Delete, Vec::new()),
                (Some(left), Some(right)) => {
                    let fields = difference(&own(left), &own(right));
                    if fields.is_empty() && left.module == right.module {
                        continue;
                    }
                    (Action::Update, fields)
                }
                (None, None) => continue,
            };
            let (module_before, module_after) = (left.map(title), right.map(title));
            let same = module_before == module_after;
            nodes.push(NodeDifference {
                resource: coordinate.clone(),
                action,
                module_before: module_before.filter(|_| !same),
                module_after: module_after.filter(|_| !same),
                fields,
            });
        }
        json(&DiffResponse { from, to, nodes })
    }
}
