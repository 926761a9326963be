//! The commands, one a file, and what several of them share: [`consent`], [`follow`], [`outcome`].

pub(crate) mod apply;
pub(crate) mod approve;
pub(crate) mod completions;
pub(crate) mod confine;
mod consent;
pub(crate) mod convert;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod describe;
pub(crate) mod destroy;
pub(crate) mod diff;
pub(crate) mod explain;
mod follow;
pub(crate) mod get;
pub(crate) mod graph;
pub(crate) mod logs;
mod outcome;
pub(crate) mod outputs;
pub(crate) mod plan;
pub(crate) mod protect;
pub(crate) mod releases;
pub(crate) mod rollback;
pub(crate) mod sample;
pub(crate) mod serve;
pub(crate) mod shim;
pub(crate) mod status;
pub(crate) mod up;
pub(crate) mod validate;

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use podium_model::clock::{Clock as _, SystemClock};

use crate::cli::Format;

/// The option `-o` of commands that answer with one thing.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct FormatArgs {
    /// Format of the answer
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// The time of day.
fn now() -> Timestamp {
    SystemClock.now()
}

/// Reads a stretch of time: `90s`, `10m`, `1h30m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no stretch of time: write it as 90s, 10m or 1h30m");
    let mut seconds: u64 = 0;
    let mut number = String::new();
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                number.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(wrong()),
        };
        let count: u64 = number.parse().map_err(|_| wrong())?;
        seconds = count
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(wrong)?;
        number.clear();
    }
    if !number.is_empty() || seconds == 0 || seconds > 30 * 86_400 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::parse_duration;

    #[test]
    fn stretches_of_time() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("10", None),
            ("m", None),
            ("", None),
            ("0s", None),
            ("1d", None),
        ] {
            assert_eq!(
                parse_duration(text).ok().map(|duration| duration.as_secs()),
                seconds,
                "{text}"
            );
        }
    }
}
