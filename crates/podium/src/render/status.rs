//! How an environment is, for the person paged at night.

use std::fmt::Write as _;

use jiff::Timestamp;
use podium_model::api::{Overview, ResourceView, WorkloadView};
use podium_model::kinds::{Phase, RunPhase};

use super::columns::Columns;
use super::text::{Paint, between, harmless, phase_sign, phase_word};

/// Up to so many lines are all shown; above, what is well is counted once something is not.
const SHOWN: usize = 12;

/// What a person has to look at first.
fn urgency(phase: Phase) -> u8 {
    match phase {
        Phase::Failed => 0,
        Phase::Degraded => 1,
        Phase::Waiting => 2,
        Phase::Applying | Phase::Deleting => 3,
        Phase::Ready => 4,
    }
}

struct Row {
    phase: Phase,
    cells: [String; 5],
}

/// The environment; `all` shows also what is well, however much it is.
pub(crate) fn render(overview: &Overview, now: Timestamp, all: bool, paint: Paint) -> String {
    let mut text = heading(overview, now, paint);
    if let Some(run) = &overview.run {
        // Writing to a string cannot fail.
        let _ = match run.phase {
            RunPhase::AwaitingApproval => writeln!(
                text,
                "  {} release {} waits for a person: {}\n    podium approve {} -n {}",
                paint.sign('⏸'),
                run.release,
                run.needs
                    .iter()
                    .map(|need| harmless(need))
                    .collect::<Vec<_>>()
                    .join("; "),
                run.name,
                overview.namespace
            ),
            RunPhase::Queued => writeln!(
                text,
                "  {} run {} is queued behind another",
                paint.sign('⏸'),
                run.name
            ),
            RunPhase::Running => writeln!(
                text,
                "  {} run {} is at work on release {}",
                paint.sign('…'),
                run.name,
                run.release
            ),
            _ => Ok(()),
        };
    }
    let mut rows: Vec<Row> = overview
        .resources
        .iter()
        .map(|resource| resource_row(resource, now, paint))
        .collect();
    rows.extend(
        overview
            .workloads
            .iter()
            .map(|workload| workload_row(overview, workload, now, paint)),
    );
    if rows.is_empty() {
        let _ = writeln!(
            text,
            "\n  nothing runs here yet: podium deploy FILE -p {} -e {}",
            overview.project, overview.environment
        );
        return text;
    }
    // What is worst comes first; within it the order of the answer stays.
    rows.sort_by_key(|row| urgency(row.phase));
    let troubled = rows.iter().filter(|row| row.phase != Phase::Ready).count();
    let well = rows.len() - troubled;
    let collapsed = !all && troubled > 0 && rows.len() > SHOWN;
    if collapsed {
        rows.retain(|row| row.phase != Phase::Ready);
    }
    let mut columns = Columns::default();
    for row in rows {
        columns.row(row.cells);
    }
    text.push('\n');
    for line in columns.lines() {
        let _ = writeln!(text, "  {line}");
    }
    if collapsed {
        let _ = writeln!(text, "  {} {well} others", paint.sign('✓'));
    }
    text
}

fn heading(overview: &Overview, now: Timestamp, paint: Paint) -> String {
    let place = paint.strong(&format!(
        "{}/{}",
        harmless(&overview.project),
        harmless(&overview.environment)
    ));
    let worst = overview
        .resources
        .iter()
        .map(|resource| (resource.phase, resource.since))
        .chain(
            overview
                .workloads
                .iter()
                .map(|workload| (workload.phase, workload.since)),
        )
        .filter(|(phase, _)| *phase == overview.phase)
        .filter_map(|(_, since)| since)
        .min();
    let since = match worst {
        Some(since) if overview.phase != Phase::Ready => {
            let clock = since.to_string().get(11..16).unwrap_or_default().to_owned();
            format!(" since {clock} UTC ({})", between(since, now))
        }
        _ => String::new(),
    };
    let word = phase_word(overview.phase);
    let word = match overview.phase {
        Phase::Ready => paint.good(word),
        Phase::Failed | Phase::Degraded => paint.bad(word),
        _ => paint.care(word),
    };
    let release = match overview.release {
        0 => "no release yet".to_owned(),
        number => format!("release {number}, by {}", harmless(&overview.author)),
    };
    let pinned = overview.pinned.map_or_else(String::new, |pinned| {
        format!(
            "\n  {} pinned to release {pinned}; lift it: podium rollback --lift -p {} -e {}",
            paint.sign('⏸'),
            overview.project,
            overview.environment
        )
    });
    format!("{place}   {word}{since}   {release}{pinned}\n")
}

fn named(phase: Phase, id: &str, paint: Paint) -> String {
    format!("{} {}", paint.sign(phase_sign(phase)), harmless(id))
}

/// The first line of a message: what a step printed follows it, and is in the log.
fn message(phase: Phase, message: &str, since: Option<Timestamp>, now: Timestamp) -> String {
    let message = harmless(message.lines().next().unwrap_or_default());
    match since {
        Some(since) if phase != Phase::Ready => format!("{message} (for {})", between(since, now))
            .trim()
            .to_owned(),
        _ => message,
    }
}

fn resource_row(resource: &ResourceView, now: Timestamp, paint: Paint) -> Row {
    let kind = if resource.class == podium_model::coordinate::DEFAULT_CLASS {
        harmless(&resource.resource_type)
    } else {
        format!(
            "{}.{}",
            harmless(&resource.resource_type),
            harmless(&resource.class)
        )
    };
    Row {
        phase: resource.phase,
        cells: [
            named(resource.phase, &resource.id, paint),
            kind,
            harmless(&resource.module),
            message(resource.phase, &resource.message, resource.since, now),
            String::new(),
        ],
    }
}

fn workload_row(overview: &Overview, workload: &WorkloadView, now: Timestamp, paint: Paint) -> Row {
    let hint = match workload.phase {
        Phase::Failed | Phase::Degraded => paint.faint(&format!(
            "podium logs {} -p {} -e {}",
            workload.name, overview.project, overview.environment
        )),
        _ => String::new(),
    };
    let mut said = message(workload.phase, &workload.message, workload.since, now);
    for url in &workload.urls {
        if !said.is_empty() {
            said.push(' ');
        }
        said.push_str(&harmless(url));
    }
    Row {
        phase: workload.phase,
        cells: [
            named(workload.phase, &workload.name, paint),
            "workload".to_owned(),
            harmless(&workload.module),
            said,
            hint,
        ],
    }
}
