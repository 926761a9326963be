//! Which module serves a request, and why the others do not.

use podium_model::coordinate::Coordinate;
use podium_planner::{Catalogue, EnvironmentContext, choose, explain_choice};
use serde_json::{Value as Json, json};

use crate::support::{Platform, resource, script};

/// Selectors that all match `db#orders` in `shop/dev` of type `development`, the most specific first.
fn selectors() -> Vec<(&'static str, Json)> {
    vec![
        (
            "id+environment",
            json!({"resourceId": "orders", "environment": "dev", "project": "shop"}),
        ),
        ("id+project", json!({"resourceId": "orders", "project": "shop"})),
        (
            "id+type",
            json!({"resourceId": "orders", "environmentType": "development"}),
        ),
        ("id", json!({"resourceId": "orders"})),
        (
            "environment+type",
            json!({"environment": "dev", "project": "shop", "environmentType": "development"}),
        ),
        ("environment", json!({"environment": "dev", "project": "shop"})),
        (
            "project+type",
            json!({"project": "shop", "environmentType": "development"}),
        ),
        ("project", json!({"project": "shop"})),
        ("type", json!({"environmentType": "development"})),
        ("nothing", json!({})),
    ]
}

fn platform() -> Platform {
    Platform::new().with_type("db", &json!({}), &json!({}))
}

fn rule(platform: Platform, name: &str, selector: &Json) -> Platform {
    let mut spec = selector.clone();
    spec["module"] = json!(name);
    platform
        .with_version(name, 1, &script("db"))
        .with_rule(name, &spec)
}

fn chosen(catalogue: &Catalogue, context: &EnvironmentContext, node: &Coordinate) -> Option<String> {
    let choice = choose(catalogue, context, node)?;
    assert_eq!(
        choice.rule, choice.module.reference.module,
        "the rule's own module"
    );
    Some(choice.rule.to_owned())
}

#[test]
fn of_each_two_rules_the_more_specific_wins_whatever_their_order() {
    let all = selectors();
    for (high, winner) in all.iter().enumerate() {
        for loser in &all[high + 1..] {
            for (first, second) in [(winner, loser), (loser, winner)] {
                let platform = rule(rule(platform(), first.0, &first.1), second.0, &second.1);
                let node = resource("db", "orders");
                let catalogue = platform.catalogue();
                assert_eq!(
                    chosen(&catalogue, &platform.context, &node).as_deref(),
                    Some(winner.0),
                    "{} against {}",
                    winner.0,
                    loser.0
                );
                let verdicts = explain_choice(&catalogue, &platform.context, &node);
                let chosen: Vec<&str> = verdicts
                    .iter()
                    .filter(|verdict| verdict.chosen)
                    .map(|verdict| verdict.rule.as_str())
                    .collect();
                assert_eq!(chosen, [winner.0], "explain says the same");
                assert!(verdicts[0].chosen, "and says it first");
                assert!(
                    verdicts[1].reason.starts_with("less specific: no "),
                    "{}: {}",
                    loser.0,
                    verdicts[1].reason
                );
            }
        }
    }
}

#[test]
fn a_selector_that_does_not_match_never_wins_however_specific() {
    for (part, wrong) in [
        ("resourceId", "other"),
        ("environment", "staging"),
        ("project", "bank"),
        ("environmentType", "production"),
        ("class", "large"),
    ] {
        let mut selector = selectors()[0].1.clone();
        selector[part] = json!(wrong);
        let platform = rule(rule(platform(), "specific", &selector), "general", &json!({}));
        let catalogue = platform.catalogue();
        let node = resource("db", "orders");
        assert_eq!(
            chosen(&catalogue, &platform.context, &node).as_deref(),
            Some("general"),
            "{part}"
        );
        let verdicts = explain_choice(&catalogue, &platform.context, &node);
        let reason = &verdicts[1].reason;
        assert!(
            reason.contains(wrong) && reason.contains("this is"),
            "{part}: {reason}"
        );
    }
}

#[test]
fn classes_match_exactly_and_unset_means_default() {
    let platform = rule(
        rule(platform(), "plain", &json!({})),
        "large",
        &json!({"class": "large"}),
    );
    let catalogue = platform.catalogue();
    for (class, module) in [
        ("default", Some("plain")),
        ("large", Some("large")),
        ("small", None),
    ] {
        let node = Coordinate::new("db", class, "orders");
        assert_eq!(
            chosen(&catalogue, &platform.context, &node).as_deref(),
            module,
            "class {class}"
        );
    }
    let named = rule(crate::choosing::platform(), "named", &json!({"class": "default"}));
    assert_eq!(
        chosen(&named.catalogue(), &named.context, &resource("db", "orders")).as_deref(),
        Some("named"),
        "`default` may be written"
    );
}

#[test]
fn each_rule_is_explained() {
    let mut platform = platform();
    for (name, selector) in selectors() {
        platform = rule(platform, name, &selector);
    }
    for (name, selector) in [
        ("other id", json!({"resourceId": "users"})),
        (
            "other environment",
            json!({"environment": "prod", "project": "shop"}),
        ),
        ("other class", json!({"class": "large", "resourceId": "orders"})),
    ] {
        platform = rule(platform, name, &selector);
    }
    let verdicts = explain_choice(
        &platform.catalogue(),
        &platform.context,
        &resource("db", "orders"),
    );
    let lines: Vec<String> = verdicts
        .iter()
        .map(|verdict| {
            let sign = if verdict.chosen { "chosen" } else { "lost" };
            format!("{sign} {}: {}", verdict.rule, verdict.reason)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn of_equal_rules_the_first_by_name_is_taken_and_the_other_told_so() {
    let platform = rule(rule(platform(), "b", &json!({})), "a", &json!({}));
    let catalogue = platform.catalogue();
    let node = resource("db", "orders");
    assert_eq!(chosen(&catalogue, &platform.context, &node).as_deref(), Some("a"));
    let verdicts = explain_choice(&catalogue, &platform.context, &node);
    assert!(
        verdicts[1].reason.contains("same selectors"),
        "{}",
        verdicts[1].reason
    );
}
