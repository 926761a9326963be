//! The lines of the processes: read, bounded, masked, and written to the log, to the tail and to who follows.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use podium_model::clock::SharedClock;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::log::{LINE, Stream, Writer, format_line, tail};
use crate::mask::Masker;
use crate::specification::LogVisibility;
use crate::wire::{Start, Work};

/// Lines that the outcome of a step shows when its log was live.
const TAIL: usize = 50;
/// Lines that a slow follower may be behind.
const BEHIND: usize = 1024;

pub(crate) struct Output {
    folder: PathBuf,
    masker: Masker,
    clock: SharedClock,
    file: Mutex<Writer>,
    kept: Mutex<VecDeque<String>>,
    withheld: bool,
    /// Bytes that may still be kept; without a limit the rotation bounds the log.
    left: Option<AtomicU64>,
    truncated: AtomicBool,
    followers: broadcast::Sender<String>,
}

impl Output {
    pub(super) fn open(folder: &Path, start: &Start, masker: Masker, clock: SharedClock) -> io::Result<Self> {
        let (withheld, left) = match &start.work {
            Work::Step(step) => (
                step.log == LogVisibility::Withheld,
                Some(AtomicU64::new(step.output_limit)),
            ),
            Work::Workload(_) => (false, None),
        };
        let output = Self {
            folder: folder.to_owned(),
            masker,
            clock,
            file: Mutex::new(Writer::open(folder, start.log_size, start.log_files)?),
            kept: Mutex::new(VecDeque::new()),
            withheld,
            left,
            truncated: AtomicBool::new(false),
            followers: broadcast::channel(BEHIND).0,
        };
        if withheld {
            output.publish(&output.line(
                "step",
                Stream::Podium,
                b"its lines are shown once its result is in",
            ));
        }
        Ok(output)
    }

    fn line(&self, name: &str, stream: Stream, text: &[u8]) -> String {
        format_line(self.clock.now(), name, stream, &self.masker.mask(text))
    }

    fn publish(&self, line: &str) {
        // A full disk must not end the work; what cannot be logged is still in the tail.
        let _ = self
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(line);
        let _ = self.followers.send(line.to_owned());
    }

    fn record(&self, name: &str, stream: Stream, text: &[u8]) {
        let line = self.line(name, stream, text);
        if !self.withheld {
            self.publish(&line);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(line.trim_end().to_owned());
        if !self.withheld && kept.len() > TAIL {
            kept.pop_front();
        }
    }

    /// A line of the supervisor itself.
    pub(crate) fn say(&self, name: &str, text: &str) {
        self.record(name, Stream::Podium, text.as_bytes());
    }

    /// Text of the processes for a place other than the log, masked.
    pub(crate) fn masked(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.masker.mask(text.as_bytes())).into_owned()
    }

    /// The lines kept for the outcome, and whether some were dropped.
    pub(super) fn taken(&self) -> (Vec<String>, bool) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        (kept.into(), self.truncated.load(Ordering::Relaxed))
    }

    /// The last lines and, without a gap, those to come.
    pub(super) fn follow(&self, lines: usize) -> io::Result<(Vec<String>, broadcast::Receiver<String>)> {
        // The file's lock keeps a line from coming between the two.
        let _file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let to_come = self.followers.subscribe();
        Ok((tail(&self.folder, lines)?, to_come))
    }

    /// Whether so many bytes more may be kept.
    fn admit(&self, name: &str, bytes: usize) -> bool {
        let Some(left) = &self.left else { return true };
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(bytes as u64)
        });
        if taken.is_ok() {
            return true;
        }
        if !self.truncated.swap(true, Ordering::Relaxed) {
            self.say(name, "it prints more than the output limit; the rest is dropped");
        }
        false
    }

    /// Reads a stream to its end.
    pub(super) fn pump(
        self: &Arc<Self>,
        from: Option<impl AsyncRead + Unpin + Send + 'static>,
        name: &str,
        stream: Stream,
    ) -> Option<JoinHandle<()>> {
        let from = from?;
        let output = Arc::clone(self);
        let name = name.to_owned();
        Some(tokio::spawn(
            async move { output.read(from, &name, stream).await },
        ))
    }

    async fn read(&self, mut from: impl AsyncRead + Unpin, name: &str, stream: Stream) {
        // So much of a line is held that a secret which the cut would divide is still seen whole.
        let most = LINE + self.masker.longest() + 1;
        let mut buffer = vec![0_u8; 16 << 10];
        let mut line: Vec<u8> = Vec::new();
        while let Ok(count) = from.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            let mut rest = buffer.get(..count).unwrap_or_default();
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let (head, behind) = rest.split_at(end);
                push(&mut line, head, most);
                self.emit(name, stream, &mut line);
                rest = behind.get(1..).unwrap_or_default();
            }
            push(&mut line, rest, most);
        }
        if !line.is_empty() {
            self.emit(name, stream, &mut line);
        }
    }

    fn emit(&self, name: &str, stream: Stream, line: &mut Vec<u8>) {
        if self.admit(name, line.len() + 1) {
            self.record(name, stream, line);
        }
        line.clear();
    }
}

fn push(line: &mut Vec<u8>, more: &[u8], most: usize) {
    let room = most.saturating_sub(line.len());
    line.extend_from_slice(more.get(..room.min(more.len())).unwrap_or_default());
}
