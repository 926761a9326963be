//! The one place that writes: data to standard output, talk to standard error.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::Result;

use super::text::Paint;

/// Standard output did not take what was written.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written")]
pub(crate) struct OutputError {
    /// Why.
    #[source]
    pub(crate) source: std::io::Error,
}

/// Standard input, output and error of this process.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts about three streams that do not depend on each other"
)]
pub(crate) struct Terminal {
    input: bool,
    output: bool,
    error: bool,
    colour: bool,
}

impl Terminal {
    /// Looks at what the streams are.
    pub(crate) fn detect() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            input: std::io::stdin().is_terminal(),
            output: std::io::stdout().is_terminal(),
            error: std::io::stderr().is_terminal(),
            colour: !refused && !dumb,
        }
    }

    /// Whether a person can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        self.input && self.error
    }

    /// Whether talk may be redrawn in place.
    pub(crate) fn is_live(&self) -> bool {
        self.error && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
    }

    /// Whether data is read by a person.
    pub(crate) fn shows_data(&self) -> bool {
        self.output
    }

    /// Colours of data.
    pub(crate) fn paint(&self) -> Paint {
        Paint {
            on: self.output && self.colour,
        }
    }

    /// Colours of talk.
    pub(crate) fn talk_paint(&self) -> Paint {
        Paint {
            on: self.error && self.colour,
        }
    }

    /// Writes data; a line end is added when there is none.
    pub(crate) fn data(&self, text: &str) -> Result<(), OutputError> {
        self.raw(text.as_bytes())?;
        if text.is_empty() || text.ends_with('\n') {
            Ok(())
        } else {
            self.raw(b"\n")
        }
    }

    /// Writes bytes of data as they are, at once.
    #[expect(clippy::unused_self, reason = "whoever writes must hold the terminal")]
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), OutputError> {
        let mut output = std::io::stdout().lock();
        output
            .write_all(bytes)
            .and_then(|()| output.flush())
            .map_err(|source| OutputError { source })
    }

    /// Says something to people; a line end is added when there is none.
    #[expect(clippy::unused_self, reason = "whoever writes must hold the terminal")]
    pub(crate) fn talk(&self, text: &str) {
        let mut error = std::io::stderr().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        // There is nowhere left to say that it failed.
        let _unheard = write!(error, "{text}{end}");
    }

    /// Asks a question that `y` or `yes` agrees to. Only to be called when [`Terminal::is_interactive`].
    pub(crate) async fn ask(&self, question: &str) -> bool {
        {
            let mut error = std::io::stderr().lock();
            let _unheard = write!(error, "{question} [y/N] ");
            let _unheard = error.flush();
        }
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        match answer.await {
            Ok(Ok(line)) => matches!(line.trim().to_lowercase().as_str(), "y" | "yes"),
            _ => false,
        }
    }
}
