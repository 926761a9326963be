//! The picture of a first run in the README: what `podium up --demo` shows on a terminal, as SVG.
//!
//! It is really run, with a home folder of its own, on a pseudo-terminal whose screen is kept here. What differs from
//! run to run (ports, the home folder) is evened out, and durations are left out, so that the same program gives the same
//! picture.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Columns of the terminal.
const WIDTH: usize = 128;
/// What the last line of the demo begins with.
const LAST: &str = "podium destroy";
/// The command as the README has it.
const COMMAND: &str = "cargo run --release -- up --demo";
/// Width of a column and height of a line in the picture.
const CELL: (usize, usize) = (8, 19);
/// Space around the text.
const MARGIN: usize = 20;

/// How a character looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Style {
    bold: bool,
    dim: bool,
    /// A colour of the terminal, 1 to 6.
    colour: Option<u8>,
}

type Line = Vec<(char, Style)>;

/// Runs the demo and draws it.
pub(crate) fn first_run(program: &Path, root: &Path) -> Result<String> {
    let home = tempfile::tempdir().context("cannot make a home folder")?;
    let output = run(program, root, home.path())?;
    let home = home.path().to_string_lossy().into_owned();
    let mut screen = Screen::default();
    screen.write(&output);
    let mut lines: Vec<Line> = screen
        .lines
        .into_iter()
        .map(|line| even_out(line, &home))
        .collect();
    let last = lines
        .iter()
        .rposition(|line| text(line).trim_start().starts_with(LAST));
    let Some(last) = last else {
        bail!("the demo did not come to its end:\n{output}");
    };
    lines.truncate(last + 1);
    lines.retain(|line| !text(line).starts_with("note: "));
    let prompt = |character| {
        (
            character,
            Style {
                bold: true,
                ..Style::default()
            },
        )
    };
    lines.insert(0, format!("$ {COMMAND}").chars().map(prompt).collect());
    Ok(draw(&lines))
}

/// What the demo writes to its terminal.
fn run(program: &Path, root: &Path, home: &Path) -> Result<String> {
    let size = Winsize {
        ws_row: 60,
        ws_col: u16::try_from(WIDTH)?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).context("cannot open a pseudo-terminal")?;
    let folder = home.join("bin");
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    symlink(program, folder.join("podium")).context("cannot link the program")?;
    let path = std::env::join_paths([folder.as_path(), Path::new("/usr/bin"), Path::new("/bin")])?;
    let mut command = Command::new(folder.join("podium"));
    command
        .args(["up", "--demo", "--listen", "127.0.0.1:0"])
        .current_dir(root)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8")
        .stdin(terminal.slave.try_clone()?)
        .stdout(terminal.slave.try_clone()?)
        .stderr(terminal.slave);
    let mut child = command.spawn().context("cannot start the demo")?;
    // The last copies of the terminal's other end, but for the program's own.
    drop(command);
    let process = Pid::from_raw(i32::try_from(child.id())?);
    let mut reader = File::from(terminal.master);
    let mut output = Vec::new();
    let mut piece = [0; 4096];
    let mut told = false;
    loop {
        let length = match reader.read(&mut piece) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Nobody writes to it any more.
            Err(_) => 0,
        };
        if length == 0 {
            break;
        }
        output.extend_from_slice(&piece[..length]);
        if !told && output.windows(LAST.len()).any(|part| part == LAST.as_bytes()) {
            kill(process, Signal::SIGINT).context("cannot end the demo")?;
            told = true;
        }
    }
    let output = String::from_utf8_lossy(&output).into_owned();
    let status = child.wait().context("cannot wait for the demo")?;
    if !status.success() {
        bail!("the demo failed: {status}\n{output}");
    }
    // What a server of root keeps elsewhere.
    if let Ok(elsewhere) = std::fs::read_link(home.join(".local/share/podium/runner/open")) {
        std::fs::remove_dir_all(&elsewhere)
            .with_context(|| format!("cannot remove {}", elsewhere.display()))?;
    }
    Ok(output)
}

/// The part of a terminal that the program uses: lines that wrap, cursor up and down, erasing a line, colours.
#[derive(Debug, Default)]
struct Screen {
    lines: Vec<Line>,
    row: usize,
    column: usize,
    style: Style,
}

impl Screen {
    fn write(&mut self, output: &str) {
        let mut rest = output.chars();
        while let Some(character) = rest.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\u{1b}' => {
                    let mut parameters = String::new();
                    // `[`, then parameters, then a letter.
                    for part in rest.by_ref().skip_while(|part| *part == '[') {
                        if part.is_ascii_alphabetic() {
                            self.control(part, &parameters);
                            break;
                        }
                        parameters.push(part);
                    }
                }
                character => self.put(character),
            }
        }
    }

    fn put(&mut self, character: char) {
        // A full line wraps when there is more to write, not before.
        if self.column == WIDTH {
            self.column = 0;
            self.row += 1;
        }
        let blank = (' ', Style::default());
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Line::new());
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, blank);
        }
        line[self.column] = (character, self.style);
        self.column += 1;
    }

    fn control(&mut self, letter: char, parameters: &str) {
        let count = parameters.parse().unwrap_or(1);
        match letter {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'K' => {
                if let Some(line) = self.lines.get_mut(self.row) {
                    line.clear();
                }
            }
            'm' => {
                for parameter in parameters.split(';') {
                    match parameter.parse::<u8>() {
                        Ok(1) => self.style.bold = true,
                        Ok(2) => self.style.dim = true,
                        Ok(colour @ 31..=36) => self.style.colour = Some(colour - 30),
                        _ => self.style = Style::default(),
                    }
                }
            }
            _ => {}
        }
    }
}

fn text(line: &Line) -> String {
    line.iter().map(|(character, _)| character).collect()
}

/// A line without what differs from run to run.
fn even_out(mut line: Line, home: &str) -> Line {
    let characters: Vec<char> = text(&line).chars().collect();
    let home: Vec<char> = home.chars().collect();
    // From the end, so that places before stay where they are.
    for at in (0..characters.len()).rev() {
        let rest = &characters[at..];
        if rest.starts_with(&home) {
            let style = line[at].1;
            line.splice(at..at + home.len(), [('~', style)]);
        } else if let Some(length) = duration(rest)
            && (at == 0 || !characters[at - 1].is_ascii_digit())
        {
            // With the `in` before it.
            let from = if characters[..at].ends_with(&[' ', 'i', 'n', ' ']) {
                at - 4
            } else {
                at
            };
            line.splice(from..at + length, []);
        } else if let Some((length, port)) = port(rest) {
            let style = line[at].1;
            line.splice(at..at + length, port.chars().map(|character| (character, style)));
        }
    }
    while line.last().is_some_and(|(character, _)| *character == ' ') {
        line.pop();
    }
    line
}

/// The length of `1.2s` at the beginning.
fn duration(rest: &[char]) -> Option<usize> {
    let digits = rest
        .iter()
        .take_while(|character| character.is_ascii_digit())
        .count();
    match rest.get(digits..digits + 3)? {
        ['.', tenth, 's'] if digits > 0 && tenth.is_ascii_digit() => Some(digits + 3),
        _ => None,
    }
}

/// The length of a URL of this machine at the beginning, and what to show in its place.
fn port(rest: &[char]) -> Option<(usize, String)> {
    for (scheme, port) in [("https", 7443), ("http", 26_437)] {
        let before: Vec<char> = format!("{scheme}://127.0.0.1:").chars().collect();
        if rest.starts_with(&before) {
            let digits = rest[before.len()..]
                .iter()
                .take_while(|character| character.is_ascii_digit())
                .count();
            return Some((before.len() + digits, format!("{scheme}://127.0.0.1:{port}")));
        }
    }
    None
}

fn colour(style: Style) -> &'static str {
    match (style.colour, style.dim) {
        (Some(1), _) => "#f28779",
        (Some(2), _) => "#a6cc70",
        (Some(3), _) => "#e6b673",
        (Some(_), _) => "#73b8ff",
        (None, true) => "#8a94a6",
        (None, false) => "#d8dee9",
    }
}

fn draw(lines: &[Line]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, lines.len() * CELL.1 + 2 * MARGIN);
    let mut picture = format!(
        "<!-- Generated by `cargo xtask docs`; do not edit. -->\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-size=\"13\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n\
         <title>{COMMAND}: ports are evened out, durations left out</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1c2029\"/>\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let y = MARGIN + row * CELL.1 + 14;
        let mut column = 0;
        for run in line.chunk_by(|one, other| one.1 == other.1) {
            let shown: String = run.iter().map(|(character, _)| character).collect();
            let blank = shown.len() - shown.trim_start().len();
            let word = shown.trim();
            if !word.is_empty() {
                let x = MARGIN + (column + blank) * CELL.0;
                let length = word.chars().count() * CELL.0;
                let style = run[0].1;
                let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
                let _infallible = writeln!(
                    picture,
                    "<text x=\"{x}\" y=\"{y}\" fill=\"{}\"{weight} textLength=\"{length}\" \
                     lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>",
                    colour(style),
                    escaped(word)
                );
            }
            column += run.len();
        }
    }
    picture.push_str("</svg>\n");
    picture
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Line, Screen, Style, even_out, text};

    fn plain(shown: &str) -> Line {
        shown
            .chars()
            .map(|character| (character, Style::default()))
            .collect()
    }

    #[test]
    fn a_screen_keeps_what_was_written_last() {
        let mut screen = Screen::default();
        screen.write("one\r\ntwo\r\n\u{1b}[32m✓\u{1b}[0m three\u{1b}[2A\r\u{1b}[2KONE\u{1b}[2B\rx");
        let lines: Vec<String> = screen.lines.iter().map(text).collect();
        assert_eq!(lines, ["ONE", "two", "x three"]);
    }

    #[test]
    fn full_lines_wrap_when_more_is_written() {
        let mut screen = Screen::default();
        screen.write(&format!("{}next", "-".repeat(super::WIDTH)));
        assert_eq!(screen.lines.len(), 2);
        assert_eq!(text(&screen.lines[1]), "next");
    }

    #[test]
    fn what_differs_from_run_to_run_is_evened_out() {
        let shown = |line: &str| text(&even_out(plain(line), "/tmp/x"));
        assert_eq!(
            shown("data in /tmp/x/.local · https://127.0.0.1:40123"),
            "data in ~/.local · https://127.0.0.1:7443"
        );
        assert_eq!(
            shown("notes  http://127.0.0.1:20001  "),
            "notes  http://127.0.0.1:26437"
        );
        assert_eq!(shown("made in 12.4s, version 0.1.0"), "made, version 0.1.0");
    }
}
