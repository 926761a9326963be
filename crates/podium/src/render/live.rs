//! Shows a run while it is at work: redrawn in place on a terminal, as added lines elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use podium_model::api::Steps;
use podium_model::kinds::RunPhase;

use super::terminal::Terminal;
use super::text::Paint;
use super::tree;

/// Milliseconds after which a run that has not begun is said to be queued.
const QUEUED_LONG: i64 = 1000;

/// The picture of one run.
pub(crate) struct Live<'t> {
    terminal: &'t Terminal,
    heading: String,
    paint: Paint,
    drawing: Option<Drawing>,
    steps: Option<Steps>,
    notice: Option<String>,
    queued: Option<Queued>,
}

/// A run that has not begun. Each is so for a moment; only a longer wait is worth a word.
struct Queued {
    since: Timestamp,
    told: bool,
}

struct Drawing {
    progress: MultiProgress,
    lines: Vec<ProgressBar>,
    style: ProgressStyle,
}

impl<'t> Live<'t> {
    /// Begins an empty picture.
    pub(crate) fn new(terminal: &'t Terminal, heading: String) -> Self {
        let drawing = terminal.is_live().then(|| Drawing {
            progress: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12)),
            lines: Vec::new(),
            style: ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        });
        Self {
            terminal,
            heading,
            paint: terminal.talk_paint(),
            drawing,
            steps: None,
            notice: None,
            queued: None,
        }
    }

    /// Whether it has to be drawn anew as time goes by.
    pub(crate) fn ticks(&self) -> bool {
        self.queued.is_some() || (self.drawing.is_some() && self.steps.is_some())
    }

    /// Shows the run as it is now.
    pub(crate) fn show(&mut self, steps: Steps, now: Timestamp) {
        if self.drawing.is_none() {
            for line in tree::changes(self.steps.as_ref(), &steps, now) {
                self.terminal.talk(&line);
            }
        }
        self.queued = match self.queued.take() {
            _ if steps.phase != RunPhase::Queued => None,
            None => Some(Queued {
                since: now,
                told: false,
            }),
            still => still,
        };
        self.steps = Some(steps);
        self.notice = None;
        self.draw(now);
    }

    /// Says something about the connection, once.
    pub(crate) fn notice(&mut self, text: &str, now: Timestamp) {
        if self.notice.as_deref() == Some(text) {
            return;
        }
        self.notice = Some(text.to_owned());
        if self.drawing.is_none() {
            self.terminal.talk(text);
        }
        self.draw(now);
    }

    /// Draws it anew, with the time that has gone by.
    pub(crate) fn draw(&mut self, now: Timestamp) {
        if let Some(queued) = self.queued.as_mut().filter(|_| self.drawing.is_none()) {
            let waited = now.as_millisecond() - queued.since.as_millisecond();
            if !queued.told && waited >= QUEUED_LONG {
                queued.told = true;
                self.terminal.talk("⏸ queued behind another run");
            }
        }
        let (Some(drawing), Some(steps)) = (&mut self.drawing, &self.steps) else {
            return;
        };
        let mut lines = tree::lines(&self.heading, steps, now, self.paint);
        lines.extend(self.notice.as_ref().map(|notice| format!("  ⏸ {notice}")));
        while drawing.lines.len() < lines.len() {
            let line = ProgressBar::new_spinner().with_style(drawing.style.clone());
            drawing.lines.push(drawing.progress.add(line));
        }
        for (at, line) in drawing.lines.iter().enumerate() {
            line.set_message(lines.get(at).cloned().unwrap_or_default());
        }
    }

    /// Leaves the last picture where it is, so that what follows stands below it.
    pub(crate) fn finish(&mut self, now: Timestamp) {
        self.draw(now);
        if let Some(drawing) = self.drawing.take() {
            for line in &drawing.lines {
                line.abandon();
            }
            // The cursor is left behind the last line.
            self.terminal.talk("\n");
        }
    }
}
