//! Answers for scripts.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::terminal::Terminal;
use crate::cli::Format;

/// The value as JSON, for people to look at.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value).context("the answer cannot be written as JSON")
}

/// The value as YAML.
pub(crate) fn yaml<T: Serialize>(value: &T) -> Result<String> {
    // By way of JSON, so that both have the same fields in the same order.
    let value = serde_json::to_value(value).context("the answer cannot be written as JSON")?;
    serde_saphyr::to_string(&value).context("the answer cannot be written as YAML")
}

/// Writes the value in the format, or the text that `text` makes of it.
pub(crate) fn write<T: Serialize>(
    terminal: &Terminal,
    format: Format,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<()> {
    let written = match format {
        Format::Text => text(value),
        Format::Json => json(value)?,
        Format::Yaml => yaml(value)?,
    };
    Ok(terminal.data(&written)?)
}
