//! What a script leaves: outputs, which of them are secret, and the kept folder. All of it is untrusted.

use bytes::Bytes;
use podium_document::{Document, Limits};
use podium_model::secret::{Revealed, Secret};
use podium_runners::{ResultContent, StepOutcome};
use serde_json::{Map, Value as Json};

use crate::failure::{TAIL_LINES, tail_of};
use crate::interface::{KeptState, Operation, Outcome};
use crate::sensitive::{at, paths_with_secrets, texts};

/// The files that outputs are read from.
pub(super) const OUTPUT_FILES: [&str; 3] = [
    "kratix/output/outputs.json",
    "kratix/output/outputs.yaml",
    "kratix/output/outputs.env",
];
/// The one of them that has lines `NAME=text`.
const LINES_FILE: &str = OUTPUT_FILES[2];
/// The list of secret outputs.
pub(super) const SENSITIVE_FILE: &str = "kratix/metadata/sensitive.yaml";
/// Bytes of one file of outputs.
pub(super) const OUTPUT_LIMIT: u64 = 1 << 20;
/// Bytes of the list of secret outputs.
pub(super) const SENSITIVE_LIMIT: u64 = 64 << 10;

/// Lines that are shown of a step whose lines were withheld until now.
const WITHHELD_LINES: usize = 500;
/// Bounds of a document of outputs.
const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    depth: 32,
    nodes: 20_000,
    alias_nodes: 1_000,
};
/// A shorter line of the kept folder is not taken for a secret.
const SHORTEST_STATE_LINE: usize = 6;

/// Reads everything.
pub(super) fn read(operation: &Operation, outcome: &StepOutcome) -> Result<Outcome, String> {
    let outputs = Json::Object(outputs(operation, outcome)?);
    let mut sensitive = sensitive_by_script(operation, outcome, &outputs)?;
    for path in paths_with_secrets(&outputs, &operation.secrets()) {
        if !sensitive.iter().any(|known| path.starts_with(known)) {
            sensitive.push(path);
        }
    }
    let secrets = texts(&outputs, &sensitive);
    let state = state(outcome)?;
    let lines = if operation.sensitive_outputs {
        WITHHELD_LINES
    } else {
        TAIL_LINES
    };
    let log_tail = tail_of(&outcome.log, &revealed_secrets(operation, outcome), None, lines);
    Ok(Outcome::Applied {
        outputs: Revealed::new(outputs, secrets),
        sensitive,
        state,
        log_tail,
    })
}

/// The kept folder, encoded.
pub(super) fn state(outcome: &StepOutcome) -> Result<Option<KeptState>, String> {
    match &outcome.state {
        None => Ok(None),
        Some(Ok(archive)) => Ok(Some(KeptState::new(Bytes::from(archive.encode())))),
        Some(Err(reason)) => Err(format!("the folder $PODIUM_STATE cannot be kept: {reason}")),
    }
}

/// Every secret that the step was given, and those that its result reveals, as far as that can be read. When the type
/// has sensitive outputs, any output and any line of the kept folder is taken for one: better a line too many masked.
pub(super) fn revealed_secrets(operation: &Operation, outcome: &StepOutcome) -> Vec<Secret> {
    let mut secrets = operation.secrets();
    if let Ok(outputs) = outputs(operation, outcome) {
        let outputs = Json::Object(outputs);
        let paths = if operation.sensitive_outputs {
            vec![Vec::new()]
        } else {
            sensitive_by_script(operation, outcome, &outputs).unwrap_or_default()
        };
        secrets.extend(texts(&outputs, &paths));
    }
    if operation.sensitive_outputs
        && let Some(Ok(archive)) = &outcome.state
    {
        let lines = archive
            .entries
            .iter()
            .filter_map(|entry| std::str::from_utf8(&entry.content).ok())
            .flat_map(str::lines)
            .map(str::trim)
            .filter(|line| line.len() >= SHORTEST_STATE_LINE)
            .take(1_000);
        secrets.extend(lines.map(Secret::new));
    }
    secrets
}

/// The bytes of a result file; `None` when the script did not write it.
fn file<'a>(outcome: &'a StepOutcome, path: &str) -> Result<Option<&'a [u8]>, String> {
    match outcome.results.iter().find(|(name, _)| name == path) {
        None | Some((_, ResultContent::Absent)) => Ok(None),
        Some((_, ResultContent::Bytes(bytes))) => Ok(Some(bytes)),
        Some((_, ResultContent::Refused(reason))) => Err(format!("{path} is refused: {reason}")),
    }
}

fn outputs(operation: &Operation, outcome: &StepOutcome) -> Result<Map<String, Json>, String> {
    let mut all = Map::new();
    for path in OUTPUT_FILES {
        let Some(bytes) = file(outcome, path)? else {
            continue;
        };
        let found = if path == LINES_FILE {
            lines(path, bytes)?
        } else {
            match document(operation, path, bytes)? {
                Json::Null => Map::new(),
                Json::Object(map) => map,
                _ => return Err(format!("{path} must be a map of outputs by name")),
            }
        };
        for (name, value) in found {
            if all.contains_key(&name) {
                return Err(format!(
                    "{path} sets output `{}` again; write each output once",
                    shown(&name)
                ));
            }
            all.insert(name, value);
        }
    }
    Ok(all)
}

/// A name as it may be shown.
fn shown(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_debug).collect()
}

/// Lines `NAME=text`.
fn lines(path: &str, bytes: &[u8]) -> Result<Map<String, Json>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8"))?;
    let mut found = Map::new();
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let place = format!("{path}:{}", number + 1);
        // The line may be a secret: it is not shown.
        let (name, value) = line.split_once('=').ok_or_else(|| {
            format!("{place} has no `=`; write each output as NAME=text, without line breaks")
        })?;
        let fits = !name.is_empty()
            && name.len() <= 128
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !fits {
            return Err(format!(
                "{place} begins with what cannot name an output; use letters, digits, `-`, `_` and `.`"
            ));
        }
        if found
            .insert(name.to_owned(), Json::String(value.to_owned()))
            .is_some()
        {
            return Err(format!(
                "{place} sets output `{name}` again; write each output once"
            ));
        }
        if found.len() > 1_000 {
            return Err(format!("{path} has more than 1000 outputs"));
        }
    }
    Ok(found)
}

/// A YAML or JSON document within bounds.
fn document(operation: &Operation, path: &str, bytes: &[u8]) -> Result<Json, String> {
    let parsed = Document::parse_all_bytes(path, bytes, LIMITS).map_err(|diagnostics| {
        let Some(first) = diagnostics
            .into_iter()
            .find(podium_document::Diagnostic::is_error)
        else {
            return format!("{path} cannot be read");
        };
        let place = first
            .span
            .map_or_else(String::new, |span| format!(":{}:{}", span.line, span.column));
        // A message may quote the value that it is about, which may be a secret that nobody knows yet.
        if operation.sensitive_outputs {
            format!(
                "{path}{place} cannot be read; it must be YAML or JSON within {} levels",
                LIMITS.depth
            )
        } else {
            format!("{path}{place} cannot be read: {}", first.message)
        }
    })?;
    let mut documents = parsed.documents.into_iter();
    match (documents.next(), documents.next()) {
        (None, _) => Ok(Json::Null),
        (Some(document), None) => Ok(document.root().to_json()),
        _ => Err(format!("{path} must be one document")),
    }
}

/// The paths that the script itself marks.
fn sensitive_by_script(
    operation: &Operation,
    outcome: &StepOutcome,
    outputs: &Json,
) -> Result<Vec<Vec<String>>, String> {
    let Some(bytes) = file(outcome, SENSITIVE_FILE)? else {
        return Ok(Vec::new());
    };
    let wrong = || format!("{SENSITIVE_FILE} must be a list of names of outputs, such as `- password`");
    let items = match document(operation, SENSITIVE_FILE, bytes)? {
        Json::Null => return Ok(Vec::new()),
        Json::Array(items) => items,
        _ => return Err(wrong()),
    };
    let mut paths: Vec<Vec<String>> = Vec::new();
    for item in items {
        let name = item.as_str().ok_or_else(wrong)?;
        // A name as it stands goes first: outputs may have dots in theirs.
        let whole = vec![name.to_owned()];
        let parts: Vec<String> = name.split('.').map(ToOwned::to_owned).collect();
        let path = [whole, parts]
            .into_iter()
            .find(|path| at(outputs, path).is_some());
        let Some(path) = path else {
            // A name that is misspelt would show the secret that it means.
            return Err(format!(
                "{SENSITIVE_FILE} names `{}`, which is no output",
                shown(name)
            ));
        };
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}
