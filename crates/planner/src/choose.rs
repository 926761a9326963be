//! Which module serves a request, and why the others do not.

use std::collections::BTreeMap;

use podium_model::api::RuleVerdict;
use podium_model::coordinate::{Coordinate, DEFAULT_CLASS};
use podium_model::kinds::ModuleRuleSpec;

use crate::catalogue::{Catalogue, CompiledModule};
use crate::context::EnvironmentContext;

/// A module, and the rule that chose it.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The module version.
    pub module: &'a CompiledModule,
}

/// How specific a rule is: compared in this order, set before unset. An environment implies its project.
pub(crate) fn specificity(rule: &ModuleRuleSpec) -> [bool; 4] {
    [
        rule.resource_id.is_some(),
        rule.environment.is_some(),
        rule.project.is_some() || rule.environment.is_some(),
        rule.environment_type.is_some(),
    ]
}

/// Whether a rule is for this node here.
fn matches(rule: &ModuleRuleSpec, context: &EnvironmentContext, node: &Coordinate) -> bool {
    let fits = |wanted: &Option<String>, actual: &str| wanted.as_ref().is_none_or(|wanted| wanted == actual);
    rule.class.as_deref().unwrap_or(DEFAULT_CLASS) == node.class
        && fits(&rule.resource_id, &node.id)
        && fits(&rule.project, &context.project)
        && fits(&rule.environment, &context.environment)
        && fits(&rule.environment_type, &context.environment_type)
}

/// Why a rule is not for this node here; `None` when it is.
fn mismatch(rule: &ModuleRuleSpec, context: &EnvironmentContext, node: &Coordinate) -> Option<String> {
    let differs = |what: &str, wanted: &Option<String>, actual: &str| {
        wanted
            .as_ref()
            .filter(|wanted| *wanted != actual)
            .map(|wanted| format!("{what} {wanted}, this is {actual}"))
    };
    differs(
        "class",
        &Some(rule.class.clone().unwrap_or_else(|| DEFAULT_CLASS.to_owned())),
        &node.class,
    )
    .or_else(|| differs("resource", &rule.resource_id, &node.id))
    .or_else(|| differs("project", &rule.project, &context.project))
    .or_else(|| differs("environment", &rule.environment, &context.environment))
    .or_else(|| {
        differs(
            "environment type",
            &rule.environment_type,
            &context.environment_type,
        )
    })
}

/// The module that serves `node` in `context`: that of the most specific rule that matches.
pub fn choose<'a>(
    catalogue: &'a Catalogue,
    context: &EnvironmentContext,
    node: &Coordinate,
) -> Option<Choice<'a>> {
    // Rules are sorted by specificity, and two with identical selectors are refused when they are applied.
    let rules = catalogue.rules.get(&node.resource_type)?.get(&node.class)?;
    let rule = rules.iter().find(|rule| matches(&rule.spec, context, node))?;
    Some(Choice {
        rule: &rule.name,
        module: catalogue.modules.get(&rule.spec.module)?,
    })
}

/// Every rule for the node's type, the chosen one first, each with its reason.
pub fn explain_choice(
    catalogue: &Catalogue,
    context: &EnvironmentContext,
    node: &Coordinate,
) -> Vec<RuleVerdict> {
    let mut rules: Vec<_> = catalogue
        .rules
        .get(&node.resource_type)
        .into_iter()
        .flat_map(BTreeMap::values)
        .flatten()
        .collect();
    rules.sort_by(|left, right| {
        specificity(&right.spec)
            .cmp(&specificity(&left.spec))
            .then_with(|| left.name.cmp(&right.name))
    });
    let chosen = rules.iter().position(|rule| matches(&rule.spec, context, node));
    let mut verdicts: Vec<RuleVerdict> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let reason = if Some(index) == chosen {
                matched(&rule.spec)
            } else if let Some(reason) = mismatch(&rule.spec, context, node) {
                reason
            } else {
                let winner = chosen.map(|chosen| &rules[chosen].spec);
                less_specific(&rule.spec, winner)
            };
            RuleVerdict {
                rule: rule.name.clone(),
                module: rule.spec.module.clone(),
                chosen: Some(index) == chosen,
                reason,
            }
        })
        .collect();
    verdicts.sort_by_key(|verdict| !verdict.chosen);
    verdicts
}

fn matched(rule: &ModuleRuleSpec) -> String {
    let parts: Vec<String> = [
        ("resource", &rule.resource_id),
        ("environment", &rule.environment),
        ("project", &rule.project),
        ("environment type", &rule.environment_type),
        ("class", &rule.class),
    ]
    .into_iter()
    .filter_map(|(what, value)| value.as_ref().map(|value| format!("{what} {value}")))
    .collect();
    if parts.is_empty() {
        "matches everything".into()
    } else {
        parts.join(", ")
    }
}

fn less_specific(rule: &ModuleRuleSpec, winner: Option<&ModuleRuleSpec>) -> String {
    const NAMES: [&str; 4] = ["resource", "environment", "project", "environment type"];
    let Some(winner) = winner else {
        return "less specific".into();
    };
    let (own, other) = (specificity(rule), specificity(winner));
    (0..4).find(|&index| other[index] && !own[index]).map_or_else(
        || "the same selectors: of equal rules, the first by name is taken".to_owned(),
        |index| format!("less specific: no {}", NAMES[index]),
    )
}
