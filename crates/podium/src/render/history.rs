//! The releases of an environment.

use jiff::Timestamp;
use podium_model::api::{HistoryResponse, ReleaseView};
use podium_model::kinds::{Cause, RunPhase};
use podium_model::plan::Action;

use super::columns::Columns;
use super::text::{Paint, between, harmless};

/// A table, newest first.
pub(crate) fn render(history: &HistoryResponse, now: Timestamp, paint: Paint) -> String {
    if history.releases.is_empty() {
        return "no release yet\n".to_owned();
    }
    let mut columns = Columns::default();
    for release in &history.releases {
        let pin = if history.pinned == Some(release.number) {
            " (pinned)"
        } else {
            ""
        };
        columns.row([
            format!("{}{pin}", release.number),
            phase(release.phase, paint),
            harmless(&release.author),
            format!("{} ago", between(release.created, now)),
            changes(release),
            about(release),
        ]);
    }
    columns.with_heading(&["release", "state", "author", "when", "changes", "about"], paint)
}

fn phase(phase: RunPhase, paint: Paint) -> String {
    let (sign, word) = match phase {
        RunPhase::Succeeded => ('✓', "done"),
        RunPhase::Failed => ('✗', "failed"),
        RunPhase::Cancelled => ('✗', "cancelled"),
        RunPhase::Running => ('…', "at work"),
        RunPhase::Queued => ('⏸', "queued"),
        RunPhase::AwaitingApproval => ('⏸', "waits for a person"),
        RunPhase::Superseded => ('=', "superseded"),
    };
    format!("{} {word}", paint.sign(sign))
}

fn changes(release: &ReleaseView) -> String {
    release
        .summary
        .iter()
        .filter(|(action, count)| **action != Action::Unchanged && **count > 0)
        .map(|(action, count)| format!("{}{count}", action.sign()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn about(release: &ReleaseView) -> String {
    let cause = match release.cause {
        Cause::Change => String::new(),
        Cause::Rollback => match release.rollback_to {
            Some(number) => format!("rollback to {number}"),
            None => "rollback".to_owned(),
        },
        Cause::Destroy => "destroy".to_owned(),
        Cause::Repair => "repair".to_owned(),
    };
    [cause, harmless(&release.message)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(": ")
}
