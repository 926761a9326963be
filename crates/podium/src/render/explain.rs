//! Why each resource is made the way it is.

use std::fmt::Write as _;

use podium_model::api::{ExplainResponse, Explanation};
use podium_model::coordinate::DEFAULT_CLASS;

use super::columns::Columns;
use super::text::{Paint, harmless, phase_sign, phase_word, value};

/// Width of the headings at the left.
const LEFT: usize = 10;

/// The resources, one after the other.
pub(crate) fn render(response: &ExplainResponse, paint: Paint) -> String {
    let place = format!(
        "{}/{}",
        harmless(&response.project),
        harmless(&response.environment)
    );
    let blocks: Vec<String> = response
        .resources
        .iter()
        .map(|one| block(one, &place, paint))
        .collect();
    if blocks.is_empty() {
        format!("nothing is asked for in {place}\n")
    } else {
        blocks.join("\n")
    }
}

fn block(explanation: &Explanation, place: &str, paint: Paint) -> String {
    let resource = &explanation.resource;
    let class = if resource.class == DEFAULT_CLASS {
        String::new()
    } else {
        format!(", class {}", harmless(&resource.class))
    };
    let title = if resource.id.is_empty() {
        format!(
            "{}{class} in {place}",
            paint.strong(&harmless(&resource.resource_type))
        )
    } else {
        format!(
            "{} ({}{class}) in {place}",
            paint.strong(&harmless(&resource.id)),
            harmless(&resource.resource_type)
        )
    };
    let mut text = title;
    if let Some(phase) = explanation.phase {
        // Writing to a string cannot fail.
        let _ = write!(text, "   {} {}", paint.sign(phase_sign(phase)), phase_word(phase));
    }
    text.push('\n');
    section(&mut text, "made by", vec![made_by(explanation)]);
    section(&mut text, "rules", rules(explanation, paint));
    section(&mut text, "asked by", asked_by(explanation));
    section(&mut text, "inputs", inputs(explanation));
    let needs = explanation
        .needs
        .iter()
        .map(|need| harmless(need))
        .collect::<Vec<_>>();
    section(
        &mut text,
        "needs",
        if needs.is_empty() {
            Vec::new()
        } else {
            vec![needs.join(", ")]
        },
    );
    let waits = harmless(&explanation.waits);
    section(
        &mut text,
        "waits",
        if waits.is_empty() { Vec::new() } else { vec![waits] },
    );
    text
}

fn section(text: &mut String, heading: &str, lines: Vec<String>) {
    for (at, line) in lines.into_iter().enumerate() {
        let heading = if at == 0 { heading } else { "" };
        let _ = writeln!(text, "  {heading:LEFT$}{line}");
    }
}

fn made_by(explanation: &Explanation) -> String {
    if explanation.module.is_empty() {
        return "nothing: no rule serves it here".to_owned();
    }
    let mut line = harmless(&explanation.module);
    if let Some(rule) = explanation.rules.iter().find(|rule| rule.chosen) {
        let _ = write!(line, ", by rule {}", harmless(&rule.rule));
    }
    if !explanation.owner.is_empty() {
        let _ = write!(line, "; ask {}", harmless(&explanation.owner));
    }
    line
}

fn rules(explanation: &Explanation, paint: Paint) -> Vec<String> {
    if explanation.rules.is_empty() {
        return vec![format!(
            "none for type {}",
            harmless(&explanation.resource.resource_type)
        )];
    }
    let mut columns = Columns::default();
    for rule in &explanation.rules {
        let sign = paint.sign(if rule.chosen { '✓' } else { '✗' });
        columns.row([
            format!("{sign} {}", harmless(&rule.rule)),
            harmless(&rule.module),
            harmless(&rule.reason),
        ]);
    }
    columns.lines()
}

fn asked_by(explanation: &Explanation) -> Vec<String> {
    let each: Vec<String> = explanation
        .requested_by
        .iter()
        .map(|request| {
            // A workload is known by its name alone.
            let who = harmless(&request.requester);
            let who = who.strip_prefix("workload.default#").unwrap_or(&who);
            let alias = match harmless(&request.alias) {
                alias if alias.is_empty() => String::new(),
                alias => format!(" as {alias}"),
            };
            if request.release == 0 {
                format!("{who}{alias}")
            } else {
                format!("{who}{alias} (release {})", request.release)
            }
        })
        .collect();
    if each.is_empty() {
        Vec::new()
    } else {
        vec![each.join(", ")]
    }
}

fn inputs(explanation: &Explanation) -> Vec<String> {
    let mut columns = Columns::default();
    for input in &explanation.inputs {
        columns.row([harmless(&input.path), value(&input.value)]);
    }
    columns.lines()
}
