//! A plan for people.

use std::fmt::Write as _;

use podium_model::plan::{Action, Fidelity, FieldChange, Plan, PlannedChange};

use super::columns::Columns;
use super::text::{Paint, counted, duration, harmless, value};

/// Characters of a plan's digest that tell plans apart for people.
const DIGEST: usize = 12;

/// How the plan comes to be shown, which its last lines depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// `podium plan`: nothing follows.
    Would,
    /// A command that goes on with it.
    Will,
    /// A person is about to decide on it.
    Waits,
}

/// The plan; `elapsed` is what it took, in milliseconds.
pub(crate) fn render(plan: &Plan, mood: Mood, elapsed: Option<i64>, paint: Paint) -> String {
    let mut text = String::new();
    let changed = plan.effective().count();
    let place = format!("{}/{}", harmless(&plan.project), harmless(&plan.environment));
    let digest: String = plan
        .digest
        .trim_start_matches("sha256:")
        .chars()
        .take(DIGEST)
        .collect();
    let took = elapsed.map_or_else(String::new, |elapsed| format!(" · {}", duration(elapsed)));
    let all = counted(plan.changes.len(), "resource");
    let verb = if mood == Mood::Would {
        "would change"
    } else {
        "changes"
    };
    // Writing to a string cannot fail.
    let _ = if changed == 0 {
        writeln!(
            text,
            "{}, nothing {verb}: {all} as wanted{took}",
            paint.strong(&place)
        )
    } else {
        writeln!(
            text,
            "{}, release {} {verb} {changed} of {all}   {}",
            paint.strong(&place),
            plan.release,
            paint.faint(&format!("plan {digest}{took}"))
        )
    };
    if changed > 0 {
        text.push('\n');
        changes(&mut text, plan, paint);
    }
    for warning in &plan.warnings {
        let _ = write!(text, "\n{} {}\n", paint.care("warning:"), harmless(warning));
    }
    if !plan.gate.destructive.is_empty() {
        let lost = plan
            .gate
            .destructive
            .iter()
            .map(|name| harmless(name))
            .collect::<Vec<_>>()
            .join(", ");
        let _ = write!(
            text,
            "\n{} {lost}\n",
            paint.bad("Needs your consent, since what is in it is lost:")
        );
    }
    if !plan.gate.needs.is_empty() {
        text.push('\n');
        for need in &plan.gate.needs {
            let _ = writeln!(text, "{} {}", paint.care("Needs a person:"), harmless(need));
        }
        if mood != Mood::Waits {
            let _ = writeln!(
                text,
                "  once deployed, it waits for: podium approve RUN -n {}",
                harmless(&plan.namespace)
            );
        }
    }
    text
}

fn changes(text: &mut String, plan: &Plan, paint: Paint) {
    let mut columns = Columns::default();
    for change in plan.effective() {
        columns.row([
            paint.sign(change.action.sign()),
            paint.strong(&harmless(&change.resource.id)),
            harmless(&change.resource.type_and_class()),
            module(change),
            certainty(change),
        ]);
    }
    for (line, change) in columns.lines().iter().zip(plan.effective()) {
        // The sign stands nearer to the name than columns are apart.
        let line = line.replacen("   ", " ", 1);
        let _ = writeln!(text, "  {line}");
        fields(text, change, paint);
        let first = usize::from(change.fidelity == Fidelity::Pending);
        for note in change.notes.iter().skip(first) {
            let _ = writeln!(text, "      {}", paint.faint(&harmless(note)));
        }
    }
    let unchanged = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Unchanged)
        .count();
    if unchanged > 0 {
        let _ = writeln!(text, "  {} {unchanged} unchanged", paint.sign('='));
    }
}

/// `terraform/rds v3 → v4`, or both names when the module itself is another.
fn module(change: &PlannedChange) -> String {
    let now = harmless(&change.module);
    let Some(before) = change
        .previous_module
        .as_deref()
        .map(harmless)
        .filter(|before| *before != now)
    else {
        return now;
    };
    match (before.rsplit_once(' '), now.rsplit_once(' ')) {
        (Some((name_before, version_before)), Some((name, version))) if name_before == name => {
            format!("{name} {version_before} → {version}")
        }
        _ => format!("{before} → {now}"),
    }
}

fn certainty(change: &PlannedChange) -> String {
    match change.fidelity {
        Fidelity::Exact => "exact".to_owned(),
        Fidelity::InputsOnly => "inputs only".to_owned(),
        Fidelity::Pending => match change.notes.first() {
            Some(reason) => format!("pending: {}", harmless(reason)),
            None => "pending".to_owned(),
        },
    }
}

/// The fields that change, of this or that.
pub(crate) fn fields(text: &mut String, change: &PlannedChange, paint: Paint) {
    for line in field_lines(&change.fields, paint) {
        let _ = writeln!(text, "      {line}");
    }
}

/// Fields with their values before and after.
pub(crate) fn field_lines(fields: &[FieldChange], paint: Paint) -> Vec<String> {
    let mut columns = Columns::default();
    for field in fields {
        let values = match (&field.before, &field.after) {
            (Some(before), Some(after)) => format!("{} → {}", value(before), value(after)),
            (None, Some(after)) => value(after),
            (Some(before), None) => format!("{} → (none)", value(before)),
            (None, None) => String::new(),
        };
        let forced = if field.forces_replacement {
            paint.bad("forces replacement")
        } else {
            String::new()
        };
        columns.row([harmless(&field.path), values, forced]);
    }
    columns.lines()
}
