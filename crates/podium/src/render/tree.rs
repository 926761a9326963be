//! A run and its steps: as a tree that is redrawn, and as lines that are added.

use jiff::Timestamp;
use podium_model::api::{StepView, Steps};
use podium_model::kinds::RunPhase;

use super::columns::Columns;
use super::text::{Paint, between, harmless, shortened};

/// Longest reason in the tree, whose lines must not break.
const LONGEST_REASON: usize = 90;

/// The sign of a step's state.
fn sign(step: &StepView) -> char {
    match step.state.as_str() {
        "running" => '…',
        "succeeded" => '✓',
        "unchanged" => '=',
        "failed" => '✗',
        _ => '⏸',
    }
}

/// How long the step took, or has taken so far.
fn elapsed(step: &StepView, now: Timestamp) -> String {
    step.started.map_or_else(String::new, |started| {
        between(started, step.finished.unwrap_or(now))
    })
}

/// Why it is where it is, and when it goes on.
fn reason(step: &StepView, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if step.attempt > 1 {
        parts.push(format!("attempt {}", step.attempt));
    }
    let message = harmless(&step.message);
    if !message.is_empty() && step.state != "succeeded" {
        parts.push(message);
    } else if step.state == "awaitingApproval" {
        parts.push("waits for a person".to_owned());
    } else if step.state == "skipped" {
        parts.push("not begun".to_owned());
    }
    if let Some(next) = step.next_try.filter(|_| step.state == "backoff") {
        parts.push(format!("again in {}", between(now, next)));
    }
    parts.join(", ")
}

/// The tree; the first line is its heading.
pub(crate) fn lines(heading: &str, steps: &Steps, now: Timestamp, paint: Paint) -> Vec<String> {
    let shown: Vec<&StepView> = steps
        .steps
        .iter()
        .filter(|step| step.state != "unchanged")
        .collect();
    let mut columns = Columns::default();
    for step in &shown {
        columns.row([
            format!("{} {}", paint.sign(sign(step)), harmless(&step.resource.id)),
            harmless(&step.resource.type_and_class()),
            harmless(&step.module),
            elapsed(step, now),
            paint.faint(&shortened(&reason(step, now), LONGEST_REASON)),
        ]);
    }
    let mut lines = vec![format!(
        "  {}   {}",
        paint.strong(heading),
        paint.faint(&format!("release {}", steps.release))
    )];
    let last = shown.len().saturating_sub(1);
    for (at, line) in columns.lines().into_iter().enumerate() {
        let branch = if at == last { "└─" } else { "├─" };
        lines.push(format!("  {branch} {line}"));
    }
    match steps.phase {
        RunPhase::Queued => lines.push("  ⏸ queued behind another run".to_owned()),
        RunPhase::AwaitingApproval => {
            for need in &steps.needs {
                lines.push(format!(
                    "  {} waits for a person: {}",
                    paint.sign('⏸'),
                    harmless(need)
                ));
            }
        }
        _ => {}
    }
    lines
}

/// Once a step has been at work for so long, what it does is worth a line.
const WORTH_A_LINE: i64 = 2000;

/// What has changed since `before`, a line each, for output that is kept.
pub(crate) fn changes(before: Option<&Steps>, steps: &Steps, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if steps.phase == RunPhase::AwaitingApproval && before.is_none_or(|before| before.phase != steps.phase) {
        lines.extend(
            steps
                .needs
                .iter()
                .map(|need| format!("⏸ waits for a person: {}", harmless(need))),
        );
    }
    for step in &steps.steps {
        let old = before.and_then(|before| before.steps.iter().find(|old| old.resource == step.resource));
        let begins =
            old.is_none_or(|old| old.state != step.state || old.attempt.max(1) != step.attempt.max(1));
        let says_more = old.is_none_or(|old| old.message != step.message);
        // What only waits for its turn is not worth a line.
        if matches!(step.state.as_str(), "waiting" | "unchanged") || !(begins || says_more) {
            continue;
        }
        let what = format!(
            "{} ({})",
            harmless(&step.resource.id),
            harmless(&step.resource.type_and_class())
        );
        let reason = reason(step, now);
        let line = match step.state.as_str() {
            "running" if begins && step.attempt <= 1 => {
                format!("… {what}: {} by {}", step.action, harmless(&step.module))
            }
            "running" if begins => format!("… {what}: attempt {}", step.attempt),
            "running" => {
                let at_work = step
                    .started
                    .map_or(0, |started| now.as_millisecond() - started.as_millisecond());
                if at_work < WORTH_A_LINE {
                    continue;
                }
                format!("… {what}: {reason}")
            }
            "succeeded" => format!("✓ {what} {}", elapsed(step, now)),
            _ => format!("{} {what}: {reason}", sign(step)),
        };
        lines.push(line.trim_end().to_owned());
    }
    lines
}
