//! Errors of the runner.

use std::path::PathBuf;

/// The runner could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The specification asks for what cannot be.
    #[error("{place}: {reason}")]
    Invalid {
        /// Where in the specification.
        place: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The shim refused to start.
    #[error("the supervisor of {id} did not start: {reason}")]
    ShimRefused {
        /// The step or workload.
        id: String,
        /// What it said.
        reason: String,
    },
    /// Another shim holds the work.
    #[error("{id} is already held by another supervisor; stop that one first")]
    Held {
        /// The step or workload.
        id: String,
    },
    /// There is no such step or workload.
    #[error("there is no {kind} {id} on this runner")]
    Unknown {
        /// Step or workload.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// A shim answered what cannot be understood.
    #[error("the supervisor of {id} answered {what}")]
    Protocol {
        /// The step or workload.
        id: String,
        /// What was wrong with it.
        what: String,
    },
    /// A sealed result does not open: another key, or damage.
    #[error("the sealed result of {id} does not open; it was sealed with another key or is damaged")]
    Unsealed {
        /// The step.
        id: String,
    },
    /// The machine cannot confine, and the policy says that it must.
    #[error("this machine cannot confine what it runs: {gaps}; allow it with --allow-unconfined")]
    Unconfined {
        /// What is missing.
        gaps: String,
    },
}

impl RunnerError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> RunnerError {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn invalid(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            place: place.into(),
            reason: reason.into(),
        }
    }
}

/// The error with its causes in one line, for places that hold one text.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
