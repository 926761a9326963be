//! Overrides: changes to a document that are not part of its file.
//!
//! They follow `score-compose generate`: an overrides file is merged (maps deeply, everything else replaced, null
//! deletes), a property is set by its path (`\.` for a dot inside a key, a number for a place in a list, `-1` to
//! append, no value to delete), and an image fills in where the document says `.`.

use podium_document::{Document, Limits, Path, PathSegment};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Deepest path and deepest merge.
const DEEPEST: usize = 64;

/// One change.
///
/// As JSON: `{"property": {"path": "…", "value": …}}`, `{"image": "…"}`, and anything else is merged. The two names
/// are no fields of a Score document, so nothing is ambiguous.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Override {
    /// Sets or deletes one value.
    Property {
        /// Keys and places, separated by dots.
        path: String,
        /// The new value; none deletes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
    /// Fills in the image of each container whose image is `.`.
    Image(String),
    /// Merges an overrides file.
    #[serde(untagged)]
    MergePatchFile(Value),
}

/// An override that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// The flag is not `path=value`.
    #[error("`{flag}` sets nothing: write path=value, or path= to delete")]
    NoEquals {
        /// The flag's text.
        flag: String,
    },
    /// The value is no YAML.
    #[error("the value for `{path}` is not YAML: {message}; put text with special characters in quotes")]
    Value {
        /// The path it is for.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The path is empty or too deep.
    #[error("the path `{path}` names nothing: write keys separated by dots, at most {DEEPEST}")]
    Path {
        /// The path.
        path: String,
    },
    /// The path goes into a value that has no inside.
    #[error("cannot set `{path}`: {at} is neither a map nor a list")]
    NoInside {
        /// The path.
        path: String,
        /// The value.
        at: String,
    },
    /// A part of the path should be a place in a list and is not.
    #[error(
        "cannot set `{path}`: {at} is a list of {length}, so after it comes a place from 0{append}, not `{found}`"
    )]
    Index {
        /// The path.
        path: String,
        /// The list.
        at: String,
        /// Its length.
        length: usize,
        /// What the path has.
        found: String,
        /// The word on appending, where that is possible.
        append: &'static str,
    },
    /// The document, or what is merged into it, is no map.
    #[error("{what} must be a map")]
    NotAMap {
        /// Which of the two.
        what: &'static str,
    },
    /// What is merged is nested too deep.
    #[error("the overrides are nested more than {DEEPEST} levels deep")]
    TooDeep,
}

/// Reads the flag `path=value`, with the value as YAML or JSON; `path=` deletes.
pub fn parse_property(flag: &str) -> Result<Override, OverrideError> {
    let Some((path, text)) = flag.split_once('=') else {
        return Err(OverrideError::NoEquals {
            flag: flag.to_owned(),
        });
    };
    parts(path)?;
    let path = path.to_owned();
    if text.is_empty() {
        return Ok(Override::Property { path, value: None });
    }
    let bad = |message: String| OverrideError::Value {
        path: path.clone(),
        message,
    };
    let parsed = Document::parse_all("the value", text, Limits::default()).map_err(|errors| {
        bad(errors
            .into_iter()
            .next()
            .map_or_else(String::new, |error| error.message))
    })?;
    let mut documents = parsed.documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) => Ok(Override::Property {
            value: Some(document.root().to_json()),
            path,
        }),
        (None, _) => Ok(Override::Property {
            path,
            value: Some(Value::Null),
        }),
        (Some(_), Some(_)) => Err(bad("it holds several documents".to_owned())),
    }
}

/// Applies overrides in order; on an error the document is as it was.
pub fn apply_overrides(document: &mut Value, overrides: &[Override]) -> Result<(), OverrideError> {
    if overrides.is_empty() {
        return Ok(());
    }
    let mut changed = document.clone();
    for one in overrides {
        let Value::Object(root) = &mut changed else {
            return Err(OverrideError::NotAMap { what: "the document" });
        };
        match one {
            Override::MergePatchFile(Value::Object(patch)) => merge(root, patch, 0)?,
            Override::MergePatchFile(_) => {
                return Err(OverrideError::NotAMap {
                    what: "an overrides file",
                });
            }
            Override::Property { path, value } => {
                let parts = parts(path)?;
                let value = value.clone().filter(|value| !value.is_null());
                set(&mut changed, &parts, value).map_err(|misfit| misfit.explain(path, &parts))?;
            }
            Override::Image(image) => fill_image(root, image),
        }
    }
    *document = changed;
    Ok(())
}

fn fill_image(root: &mut Map<String, Value>, image: &str) {
    let containers = root.get_mut("containers").and_then(Value::as_object_mut);
    for (_, container) in containers.into_iter().flatten() {
        if let Some(field) = container
            .get_mut("image")
            .filter(|field| field.as_str() == Some("."))
        {
            *field = Value::String(image.to_owned());
        }
    }
}

fn merge(
    into: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    depth: usize,
) -> Result<(), OverrideError> {
    if depth > DEEPEST {
        return Err(OverrideError::TooDeep);
    }
    for (key, value) in patch {
        match value {
            // Keeps the order of the other keys, which a swap would not.
            Value::Null => drop(into.shift_remove(key)),
            Value::Object(patch) => {
                let inner = into.entry(key.clone()).or_insert(Value::Null);
                if !inner.is_object() {
                    *inner = Value::Object(Map::new());
                }
                if let Value::Object(inner) = inner {
                    merge(inner, patch, depth + 1)?;
                }
            }
            other => drop(into.insert(key.clone(), other.clone())),
        }
    }
    Ok(())
}

/// Why a path does not fit, and after how many of its parts.
enum Misfit {
    NoInside {
        after: usize,
    },
    Index {
        after: usize,
        length: usize,
        may_append: bool,
    },
}

impl Misfit {
    fn explain(self, path: &str, parts: &[String]) -> OverrideError {
        let at = |after: usize| {
            let place: Path = parts[..after]
                .iter()
                .map(String::as_str)
                .map(PathSegment::from)
                .collect();
            place.to_string()
        };
        let path = path.to_owned();
        match self {
            Self::NoInside { after } => OverrideError::NoInside { path, at: at(after) },
            Self::Index {
                after,
                length,
                may_append,
            } => OverrideError::Index {
                path,
                at: at(after),
                length,
                found: parts.get(after).cloned().unwrap_or_default(),
                append: if may_append { ", or -1 to append" } else { "" },
            },
        }
    }
}

fn set(root: &mut Value, parts: &[String], value: Option<Value>) -> Result<(), Misfit> {
    let mut here = root;
    for (after, part) in parts.iter().enumerate() {
        let is_last = after + 1 == parts.len();
        match here {
            Value::Object(map) if is_last => {
                match value {
                    Some(value) => drop(map.insert(part.clone(), value)),
                    None => drop(map.shift_remove(part)),
                }
                return Ok(());
            }
            Value::Object(map) => {
                here = map
                    .entry(part.clone())
                    .or_insert_with(|| Value::Object(Map::new()));
            }
            Value::Array(list) => {
                let length = list.len();
                let may_append = is_last && value.is_some();
                if may_append && part == "-1" {
                    list.extend(value);
                    return Ok(());
                }
                let index = part.parse::<usize>().ok().filter(|index| *index < length);
                let Some(index) = index else {
                    return Err(Misfit::Index {
                        after,
                        length,
                        may_append,
                    });
                };
                if is_last {
                    match value {
                        Some(value) => list[index] = value,
                        None => drop(list.remove(index)),
                    }
                    return Ok(());
                }
                here = &mut list[index];
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(Misfit::NoInside { after });
            }
        }
    }
    Ok(())
}

/// The parts of a path: `\.` is a dot and `\\` a backslash inside a part.
fn parts(path: &str) -> Result<Vec<String>, OverrideError> {
    let mut parts = vec![String::new()];
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' {
            characters.next_if(|next| matches!(next, '.' | '\\'))
        } else {
            None
        };
        if character == '.' {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(escaped.unwrap_or(character));
        }
    }
    if parts.len() > DEEPEST || parts.iter().any(String::is_empty) {
        return Err(OverrideError::Path {
            path: path.to_owned(),
        });
    }
    Ok(parts)
}
