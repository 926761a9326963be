//! Log files of the shim: lines with time, name and stream, masked, bounded, rotated by size.
//!
//! A line is `TIME NAME STREAM TEXT`, where STREAM is `out`, `err` or, for what the supervisor itself has to say,
//! `podium`. A longer line than [`LINE`] is cut. The newest file is `log`, the next older `log.1`.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// The longest text of a line, in bytes.
pub const LINE: usize = 16 << 10;
/// What ends a line that was cut.
const CUT: &str = " … (line cut)";

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The supervisor.
    Podium,
}

impl Stream {
    /// The word in the line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Podium => "podium",
        }
    }
}

/// One line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When, as RFC 3339 with milliseconds.
    pub time: &'a str,
    /// The container or command.
    pub name: &'a str,
    /// Where it came from.
    pub stream: Stream,
    /// The text, masked.
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// Takes a line of a log apart.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut parts = line.trim_end_matches('\n').splitn(4, ' ');
        let (time, name, stream) = (parts.next()?, parts.next()?, parts.next()?);
        let stream = match stream {
            "out" => Stream::Out,
            "err" => Stream::Err,
            "podium" => Stream::Podium,
            _ => return None,
        };
        Some(Self {
            time,
            name,
            stream,
            text: parts.next().unwrap_or_default(),
        })
    }
}

/// Makes a line out of masked bytes; ends with a newline.
pub(crate) fn format_line(now: Timestamp, name: &str, stream: Stream, text: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(text).into_owned();
    if text.len() > LINE {
        let mut end = LINE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
    }
    // Control characters could rewrite what a terminal shows; tabs and colours are left to the reader's program.
    let text = text.replace(['\r', '\u{8}', '\u{7}', '\0'], "");
    format!("{now:.3} {name} {} {text}\n", stream.word())
}

/// Appends to the log and rotates it.
pub(crate) struct Writer {
    folder: PathBuf,
    file: File,
    size: u64,
    limit: u64,
    keep: u32,
}

impl Writer {
    pub(crate) fn open(folder: &Path, limit: u64, keep: u32) -> io::Result<Self> {
        let file = open_log(folder)?;
        let size = file.metadata()?.len();
        Ok(Self {
            folder: folder.to_owned(),
            file,
            size,
            limit: limit.max(4096),
            keep,
        })
    }

    pub(crate) fn write(&mut self, line: &str) -> io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > self.limit {
            self.rotate()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.size += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (0..self.keep).rev() {
            let from = numbered(&self.folder, number);
            match std::fs::rename(&from, numbered(&self.folder, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.keep == 0 {
            std::fs::remove_file(numbered(&self.folder, 0))?;
        }
        self.file = open_log(&self.folder)?;
        self.size = 0;
        Ok(())
    }
}

fn numbered(folder: &Path, number: u32) -> PathBuf {
    if number == 0 {
        folder.join("log")
    } else {
        folder.join(format!("log.{number}"))
    }
}

fn open_log(folder: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(folder.join("log"))
}

/// The last lines of a folder's logs, oldest first, each with its newline. Reads backwards and no more than it
/// needs.
pub(crate) fn tail(folder: &Path, lines: usize) -> io::Result<Vec<String>> {
    let mut found: VecDeque<String> = VecDeque::new();
    for number in 0.. {
        if found.len() >= lines {
            break;
        }
        let mut file = match File::open(numbered(folder, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        for line in last_lines(&mut file, lines - found.len())?.into_iter().rev() {
            found.push_front(line);
        }
    }
    Ok(found.into())
}

fn last_lines(file: &mut File, lines: usize) -> io::Result<Vec<String>> {
    const STEP: u64 = 64 << 10;
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut bytes: Vec<u8> = Vec::new();
    let mut newlines = 0;
    // One newline more than lines: the one before the first of them.
    while start > 0 && newlines <= lines {
        let step = STEP.min(start);
        start -= step;
        file.seek(SeekFrom::Start(start))?;
        let mut more = vec![0_u8; usize::try_from(step).unwrap_or(0)];
        file.read_exact(&mut more)?;
        newlines += more.split(|byte| *byte == b'\n').count() - 1;
        more.append(&mut bytes);
        bytes = more;
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let skip = all.len().saturating_sub(lines);
    Ok(all[skip..].iter().map(|line| (*line).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::{LINE, Line, Stream, Writer, format_line, tail};
    use jiff::Timestamp;

    #[test]
    fn a_line_comes_apart_as_it_was_made() {
        let line = format_line(Timestamp::UNIX_EPOCH, "main", Stream::Err, b"two words\x07\r");
        assert_eq!(line, "1970-01-01T00:00:00.000Z main err two words\n");
        let parsed = Line::parse(&line).unwrap();
        assert_eq!(
            (parsed.name, parsed.stream, parsed.text),
            ("main", Stream::Err, "two words")
        );
        assert!(
            format_line(Timestamp::UNIX_EPOCH, "m", Stream::Out, &vec![b'x'; LINE + 1])
                .contains("(line cut)")
        );
    }

    #[test]
    fn rotation_keeps_the_newest_lines_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), 4096, 2).unwrap();
        for number in 0..1000 {
            writer
                .write(&format!("line {number:04} {}\n", "x".repeat(40)))
                .unwrap();
        }
        let names: std::collections::BTreeSet<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["log", "log.1", "log.2"]);
        for file in ["log", "log.1", "log.2"] {
            assert!(std::fs::metadata(folder.path().join(file)).unwrap().len() <= 4096);
        }
        let lines = tail(folder.path(), 100).unwrap();
        assert_eq!(lines.len(), 100);
        assert!(lines[0].starts_with("line 0900"));
        assert!(lines[99].starts_with("line 0999"));
        assert_eq!(tail(folder.path(), 0).unwrap().len(), 0);
    }
}
