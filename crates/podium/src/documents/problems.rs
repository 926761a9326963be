//! Problems by path, from the server or from a check, and their way back to file and line.

use podium_document::{Diagnostic, Document, Path, PathSegment, Problem, Source, locate_among};

use crate::client::{ClientError, Status};
use crate::render::failure::Refusal;

/// Where a Score document stands in the Workload that carries it.
const SCORE: [&str; 2] = ["spec", "score"];

/// A path as Kubernetes writes it: `spec.ports[0].name`, also with keys in brackets: `spec.params[a.b]`.
pub(crate) fn parse_path(text: &str) -> Path {
    let mut segments: Vec<PathSegment> = Vec::new();
    let mut rest = text.trim_start_matches('.');
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (inside, after) = inner.split_once(']').unwrap_or((inner, ""));
            let inside = inside.trim_matches('"');
            segments.push(
                inside
                    .parse::<usize>()
                    .map_or_else(|_| inside.into(), PathSegment::from),
            );
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            segments.push(rest[..end].into());
            let after = &rest[end..];
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    Path(segments)
}

/// The problems that a refusal names: those with paths, or the causes that Kubernetes has for the same.
pub(crate) fn of_status(status: &Status) -> Vec<Problem> {
    if !status.details.problems.is_empty() {
        return status.details.problems.clone();
    }
    let name = Some(&status.details.name).filter(|name| !name.is_empty());
    status
        .details
        .causes
        .iter()
        .map(|cause| {
            let problem = Problem::error(parse_path(&cause.field), cause.message.clone());
            match name {
                Some(name) => problem.in_document(name.clone()),
                None => problem,
            }
        })
        .collect()
}

/// A refusal of Score documents, shown at the lines that it is about; any other error as it is.
pub(crate) fn in_score(error: ClientError, documents: &[&Document]) -> anyhow::Error {
    located(error, documents, &SCORE)
}

/// The same for Podium's own documents.
pub(crate) fn in_objects(error: ClientError, documents: &[&Document]) -> anyhow::Error {
    located(error, documents, &[])
}

fn located(error: ClientError, documents: &[&Document], within: &[&str]) -> anyhow::Error {
    let problems = error.status().map(of_status).unwrap_or_default();
    if problems.is_empty() {
        return error.into();
    }
    let diagnostics: Vec<Diagnostic> = problems
        .into_iter()
        .map(|mut problem| {
            let inside = !within.is_empty()
                && problem.path.0.len() >= within.len()
                && problem
                    .path
                    .0
                    .iter()
                    .zip(within)
                    .all(|(segment, part)| *segment == PathSegment::from(*part));
            if inside {
                problem.path.0.drain(..within.len());
            }
            locate_among(&problem, documents.iter().copied())
        })
        .collect();
    let sources: Vec<&Source> = documents.iter().map(|document| document.source()).collect();
    Refusal::new(&diagnostics, &sources).into()
}

#[cfg(test)]
mod tests {
    use podium_document::{Document, Limits};

    use super::{in_score, parse_path};
    use crate::client::{ClientError, Status};

    #[test]
    fn paths_of_kubernetes() {
        for (text, expected) in [
            ("spec.ports[0].name", "spec.ports[0].name"),
            ("spec.params[a.b]", "spec.params[\"a.b\"]"),
            ("[1].x", "[1].x"),
            ("", ""),
        ] {
            assert_eq!(parse_path(text).to_string(), expected);
        }
    }

    #[test]
    fn a_refusal_shows_the_lines() {
        let text = "apiVersion: score.dev/v1b1\nmetadata:\n  name: notes\ncontainers:\n  main:\n    image: x\n    variables:\n      DSN: postgres://${resources.db.hostname}/app\nresources:\n  db:\n    type: postgres\n  cache:\n    type: mongodb\n";
        let parsed = Document::parse_all("score.yaml", text, Limits::default()).unwrap();
        let status: Status = serde_json::from_str(
            r#"{"code":422,"message":"2 problems","details":{"problems":[
            {"document":"notes","path":["containers","main","variables","DSN"],"range":[11,35],
             "message":"the placeholder names no output of postgres","label":"postgres has: host, port, name, username, password",
             "help":["did you mean `host`?"]},
            {"document":"notes","path":["spec","score","resources","cache","type"],"message":"no module serves type `mongodb` here",
             "label":"2 modules make it, neither in shop/dev: see `podium explain --type mongodb -p shop -e dev`"}]}}"#,
        )
        .unwrap();
        let error = in_score(ClientError::Refused(Box::new(status)), &[&parsed.documents[0]]);
        insta::assert_snapshot!(crate::render::failure::render(&error));
    }
}
