//! Small pieces of text: colours, durations, values, and what makes foreign text harmless.

use jiff::Timestamp;
use podium_model::kinds::Phase;
use serde_json::Value as Json;

/// Longest value shown on one line.
const LONGEST_VALUE: usize = 100;

/// Colours, when they are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paint {
    /// Whether they are.
    pub(crate) on: bool,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// What is well.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What is not.
    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// What waits or needs care.
    pub(crate) fn care(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What is at work.
    pub(crate) fn busy(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// What matters most.
    pub(crate) fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What matters least.
    pub(crate) fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// A sign in its colour.
    pub(crate) fn sign(self, sign: char) -> String {
        let text = sign.to_string();
        match sign {
            '✓' | '+' => self.good(&text),
            '✗' | '-' | '±' => self.bad(&text),
            '⏸' | '~' | '>' => self.care(&text),
            '…' => self.busy(&text),
            _ => self.faint(&text),
        }
    }
}

/// The sign of a phase.
pub(crate) fn phase_sign(phase: Phase) -> char {
    match phase {
        Phase::Ready => '✓',
        Phase::Waiting => '⏸',
        Phase::Applying | Phase::Deleting => '…',
        Phase::Degraded | Phase::Failed => '✗',
    }
}

/// A phase as a word in a sentence.
pub(crate) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Ready => "ready",
        Phase::Waiting => "waiting",
        Phase::Applying => "being applied",
        Phase::Deleting => "being deleted",
        Phase::Degraded => "degraded",
        Phase::Failed => "failed",
    }
}

/// Text of others, on one line, without anything that controls a terminal or hides in it.
pub(crate) fn harmless(text: &str) -> String {
    text.trim()
        .chars()
        .map(|character| match character {
            '\n' | '\r' | '\t' => ' ',
            other if is_harmful(other) => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// The same for text of several lines.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.trim_end()
        .chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            other if is_harmful(other) => '\u{fffd}',
            other => other,
        })
        .collect()
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The beginning of a text, with `…` where it was cut.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A value on one line. Marks such as `(secret)` are no text and have no quotes.
pub(crate) fn value(json: &Json) -> String {
    let text = match json {
        Json::String(text) if ["(secret)", "(later)"].iter().any(|mark| text.contains(mark)) => text.clone(),
        other => other.to_string(),
    };
    shortened(&harmless(&text), LONGEST_VALUE)
}

/// A value as a person would type it: text without quotes.
pub(crate) fn bare_value(json: &Json) -> String {
    match json {
        Json::String(text) => harmless(text),
        Json::Null => String::new(),
        other => harmless(&other.to_string()),
    }
}

/// A stretch of time in the two units that matter: `0.2s`, `12s`, `3m`, `2h05m`, `4d`.
pub(crate) fn duration(milliseconds: i64) -> String {
    let milliseconds = milliseconds.max(0);
    let seconds = milliseconds / 1000;
    if seconds < 10 {
        return format!("{seconds}.{}s", milliseconds % 1000 / 100);
    }
    if seconds < 60 {
        return format!("{seconds}s");
    }
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if minutes < 10 {
        format!("{minutes}m{:02}s", seconds % 60)
    } else if minutes < 60 {
        format!("{minutes}m")
    } else if hours < 10 {
        format!("{hours}h{:02}m", minutes % 60)
    } else if hours < 48 {
        format!("{hours}h")
    } else {
        format!("{days}d")
    }
}

/// How long ago, or how soon.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> String {
    duration(to.as_millisecond() - from.as_millisecond())
}

/// `1 resource`, `2 resources`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Paint, duration, harmless, shortened, value};

    #[test]
    fn durations_have_the_unit_that_matters() {
        let cases = [
            (-5, "0.0s"),
            (240, "0.2s"),
            (9_990, "9.9s"),
            (12_400, "12s"),
            (61_000, "1m01s"),
            (18 * 60_000, "18m"),
            (125 * 60_000, "2h05m"),
            (11 * 3_600_000, "11h"),
            (100 * 3_600_000, "4d"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(duration(milliseconds), text);
        }
    }

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        assert_eq!(harmless(" a\u{1b}[31mb\nc\u{202e}"), "a\u{fffd}[31mb c\u{fffd}");
        assert_eq!(shortened("abcdef", 4), "abc…");
    }

    #[test]
    fn marks_are_no_text() {
        assert_eq!(value(&json!("db.t4g")), "\"db.t4g\"");
        assert_eq!(
            value(&json!("redis://:(secret)@(later):6379")),
            "redis://:(secret)@(later):6379"
        );
        assert_eq!(value(&json!(7)), "7");
    }

    #[test]
    fn colour_only_when_wanted() {
        assert_eq!(Paint { on: false }.good("ok"), "ok");
        assert_eq!(Paint { on: true }.good("ok"), "\u{1b}[32mok\u{1b}[0m");
    }
}
