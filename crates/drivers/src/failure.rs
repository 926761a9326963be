//! Failures in the words of the person who reads them.

use std::error::Error;
use std::fmt::Write;

use podium_model::secret::Secret;
use podium_model::value::SECRET_MARK;
use podium_runners::RunnerError;
use podium_runners::log::{Line, Stream};

use crate::interface::{KeptState, Operation, Outcome};

/// Lines of output that a failure shows.
pub(crate) const TAIL_LINES: usize = 20;
/// The longest line that a failure shows, in characters.
const LINE_CHARACTERS: usize = 400;

/// A shorter secret is not masked: that would blank the lines without hiding anything.
const SHORTEST_MASKED: usize = 3;

/// Which module failed, and whom to ask.
pub(crate) fn whom_to_ask(operation: &Operation) -> String {
    let module = operation.module.object_name();
    if operation.owner.is_empty() {
        format!("module {module} names no owner to ask")
    } else {
        format!("ask {}, who owns module {module}", operation.owner)
    }
}

/// A failure that no attempt will get past.
pub(crate) fn hopeless(operation: &Operation, step: &str, what: &str) -> Outcome {
    Outcome::Failed {
        step: step.to_owned(),
        message: format!("{what}; {}", whom_to_ask(operation)),
        output_tail: String::new(),
        retriable: false,
        state: None,
    }
}

/// A failure of a step that ran.
pub(crate) fn of_step(
    operation: &Operation,
    step: &str,
    what: &str,
    output_tail: String,
    retriable: bool,
    state: Option<KeptState>,
) -> Outcome {
    Outcome::Failed {
        step: step.to_owned(),
        message: format!("{what}; {}", whom_to_ask(operation)),
        output_tail,
        retriable,
        state,
    }
}

/// A failure of the runner: the module's owner cannot help.
pub(crate) fn of_runner(step: &str, error: &RunnerError) -> Outcome {
    let retriable = !matches!(
        error,
        RunnerError::Invalid { .. } | RunnerError::Unconfined { .. } | RunnerError::Unknown { .. }
    );
    Outcome::Failed {
        step: step.to_owned(),
        message: format!("the runner could not do it: {}", one_line(error)),
        output_tail: String::new(),
        retriable,
        state: None,
    }
}

/// An error with its causes.
pub(crate) fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _infallible = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

/// The last lines of a log as people want to see them: what the work printed, without the supervisor's columns.
/// `secrets` are masked in them as well, those that only the result revealed.
pub(crate) fn tail(lines: &[String], secrets: &[Secret], only: Option<&str>) -> String {
    tail_of(lines, secrets, only, TAIL_LINES)
}

/// The same with as many lines as are asked for.
pub(crate) fn tail_of(lines: &[String], secrets: &[Secret], only: Option<&str>, most: usize) -> String {
    // The longer ones first, which may have shorter ones in them.
    let mut parts: Vec<&str> = secrets
        .iter()
        .flat_map(|secret| secret.expose().lines())
        .filter(|part| part.len() >= SHORTEST_MASKED)
        .collect();
    parts.sort_by_key(|part| (std::cmp::Reverse(part.len()), *part));
    parts.dedup();
    let mut shown: Vec<String> = lines
        .iter()
        .rev()
        .filter_map(|line| Line::parse(line))
        .filter(|line| line.stream != Stream::Podium && only.is_none_or(|name| line.name == name))
        .take(most)
        .map(|line| {
            let mut text = line.text.to_owned();
            for part in &parts {
                text = text.replace(part, SECRET_MARK);
            }
            text.chars().take(LINE_CHARACTERS).collect()
        })
        .collect();
    shown.reverse();
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use podium_model::secret::Secret;

    use super::{TAIL_LINES, tail};

    #[test]
    fn the_tail_has_the_last_lines_of_the_step_and_no_secret() {
        let mut lines: Vec<String> = (0..50)
            .map(|number| format!("2026-01-01T00:00:00.000Z make out line {number}\n"))
            .collect();
        lines.push("2026-01-01T00:00:00.000Z make err the password is new-secret\n".into());
        lines.push("2026-01-01T00:00:00.000Z other out elsewhere\n".into());
        lines.push("2026-01-01T00:00:00.000Z make podium ended with exit code 1\n".into());
        let shown = tail(&lines, &[Secret::new("new-secret")], Some("make"));
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert!(shown.starts_with("line 31\n"), "{shown}");
        assert!(shown.ends_with("\nthe password is (secret)"), "{shown}");
    }
}
