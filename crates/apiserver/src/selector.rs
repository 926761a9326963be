//! Label and field selectors.

use serde_json::Value;

use crate::names;
use crate::status::StatusError;

/// Longest selector that is read.
const MAX_BYTES: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// Which objects are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    /// Field, value, and whether it must be equal or must not.
    fields: Vec<(Field, String, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
}

impl Selector {
    /// Reads both selectors of a request.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Self, StatusError> {
        if labels.len() > MAX_BYTES || fields.len() > MAX_BYTES {
            return Err(StatusError::bad_request(format!(
                "a selector has more than {MAX_BYTES} bytes"
            )));
        }
        let labels = parse_labels(labels).map_err(StatusError::bad_request)?;
        let fields = parse_fields(fields)?;
        Ok(Self { labels, fields })
    }

    /// Whether everything is wanted.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The one name that is wanted, when it is one.
    pub(crate) fn exact_name(&self) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _, equal)| *field == Field::Name && *equal)
            .map(|(_, name, _)| name.as_str())
    }

    /// Whether an object is wanted.
    pub(crate) fn matches(&self, namespace: &str, name: &str, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.fields.iter().all(|(field, value, equal)| {
            let actual = match field {
                Field::Name => name,
                Field::Namespace => namespace,
            };
            (actual == value) == *equal
        }) && self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|value| !values.iter().any(|one| one == value))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
            Requirement::Greater(key, bound) => number(label(key)).is_some_and(|value| value > *bound),
            Requirement::Less(key, bound) => number(label(key)).is_some_and(|value| value < *bound),
        })
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}

fn parse_fields(text: &str) -> Result<Vec<(Field, String, bool)>, StatusError> {
    let mut found = Vec::new();
    for term in text.split(',').map(str::trim).filter(|term| !term.is_empty()) {
        let (name, value, equal) = if let Some((name, value)) = term.split_once("!=") {
            (name, value, false)
        } else if let Some((name, value)) = term.split_once("==") {
            (name, value, true)
        } else if let Some((name, value)) = term.split_once('=') {
            (name, value, true)
        } else {
            return Err(StatusError::bad_request(format!(
                "invalid selector: '{text}'; can't understand '{term}'"
            )));
        };
        let field = match name.trim() {
            "metadata.name" => Field::Name,
            "metadata.namespace" => Field::Namespace,
            other => {
                return Err(StatusError::bad_request(format!(
                    "field label not supported: {other}"
                )));
            }
        };
        found.push((field, value.trim().to_owned(), equal));
    }
    Ok(found)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Symbol(&'static str),
}

impl Token {
    fn shown(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Symbol(symbol) => symbol,
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let symbols = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
        if let Some(symbol) = symbols.into_iter().find(|symbol| rest.starts_with(symbol)) {
            found.push(Token::Symbol(symbol));
            rest = rest[symbol.len()..].trim_start();
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || "=!(),<>".contains(c))
                .unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    found
}

/// The grammar of Kubernetes' label selectors, with its messages.
fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    let tokens = tokens(text);
    let mut at = 0;
    let mut found = Vec::new();
    while at < tokens.len() {
        let (requirement, next) = requirement(&tokens, at)?;
        found.push(requirement);
        at = next;
        match tokens.get(at) {
            None => break,
            Some(Token::Symbol(",")) => {
                at += 1;
                if at == tokens.len() {
                    return Err("found '', expected: identifier after ','".to_owned());
                }
            }
            Some(other) => {
                return Err(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    other.shown()
                ));
            }
        }
    }
    Ok(found)
}

fn requirement(tokens: &[Token], at: usize) -> Result<(Requirement, usize), String> {
    let shown = |at: usize| tokens.get(at).map_or("", Token::shown).to_owned();
    if tokens.get(at) == Some(&Token::Symbol("!")) {
        let key = key(tokens, at + 1)?;
        return Ok((Requirement::Absent(key), at + 2));
    }
    let key = key(tokens, at)?;
    match tokens.get(at + 1) {
        None | Some(Token::Symbol(",")) => Ok((Requirement::Exists(key), at + 1)),
        Some(Token::Symbol("=" | "==")) => {
            let (value, next) = value(tokens, at + 2)?;
            Ok((Requirement::In(key, vec![value]), next))
        }
        Some(Token::Symbol("!=")) => {
            let (value, next) = value(tokens, at + 2)?;
            Ok((Requirement::NotIn(key, vec![value]), next))
        }
        Some(Token::Symbol(sign @ (">" | "<"))) => {
            let (text, next) = value(tokens, at + 2)?;
            let bound = text
                .parse()
                .map_err(|_| format!("for '>' and '<' the value must be a whole number: \"{text}\""))?;
            let greater = *sign == ">";
            Ok((
                if greater {
                    Requirement::Greater(key, bound)
                } else {
                    Requirement::Less(key, bound)
                },
                next,
            ))
        }
        Some(Token::Word(word)) if word == "in" || word == "notin" => {
            let (values, next) = values(tokens, at + 2)?;
            Ok((
                if word == "in" {
                    Requirement::In(key, values)
                } else {
                    Requirement::NotIn(key, values)
                },
                next,
            ))
        }
        Some(_) => Err(format!(
            "found '{}', expected: in, notin, =, ==, !=, gt, lt",
            shown(at + 1)
        )),
    }
}

fn key(tokens: &[Token], at: usize) -> Result<String, String> {
    match tokens.get(at) {
        Some(Token::Word(word)) if names::is_qualified_name(word) => Ok(word.clone()),
        Some(Token::Word(word)) => Err(format!("key: Invalid value: \"{word}\": not the name of a label")),
        other => Err(format!(
            "found '{}', expected: !, identifier, or 'end of string'",
            other.map_or("", Token::shown)
        )),
    }
}

/// A value may be empty: `a=` and `a=,b`.
fn value(tokens: &[Token], at: usize) -> Result<(String, usize), String> {
    match tokens.get(at) {
        None | Some(Token::Symbol(",")) => Ok((String::new(), at)),
        Some(Token::Word(word)) if names::is_label_value(word) => Ok((word.clone(), at + 1)),
        Some(Token::Word(word)) => Err(format!(
            "values[0]: Invalid value: \"{word}\": not the value of a label"
        )),
        Some(other) => Err(format!("found '{}', expected: identifier", other.shown())),
    }
}

fn values(tokens: &[Token], at: usize) -> Result<(Vec<String>, usize), String> {
    if tokens.get(at) != Some(&Token::Symbol("(")) {
        return Err(format!(
            "found '{}', expected: '('",
            tokens.get(at).map_or("", Token::shown)
        ));
    }
    let mut found = Vec::new();
    let mut at = at + 1;
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) if names::is_label_value(word) => {
                found.push(word.clone());
                at += 1;
            }
            Some(Token::Symbol("," | ")")) => found.push(String::new()),
            other => {
                return Err(format!(
                    "found '{}', expected: ',', ')' or identifier",
                    other.map_or("", Token::shown)
                ));
            }
        }
        match tokens.get(at) {
            Some(Token::Symbol(",")) => at += 1,
            Some(Token::Symbol(")")) => return Ok((found, at + 1)),
            other => {
                return Err(format!(
                    "found '{}', expected: ',' or ')'",
                    other.map_or("", Token::shown)
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selects_by_labels() {
        let object = json!({"metadata": {"labels": {"team": "a", "tier": "web", "size": "5", "none": ""}}});
        for (text, expected) in [
            ("", true),
            ("team", true),
            ("!team", false),
            ("gone", false),
            ("!gone", true),
            ("team=a", true),
            ("team==a,tier=web", true),
            ("team!=a", false),
            ("gone!=a", true),
            ("team in (a,b),!gone", true),
            ("team notin (b, c)", true),
            ("team notin (a)", false),
            ("size>4", true),
            ("size<5", false),
            ("gone>1", false),
            ("none=", true),
            ("team=,tier", false),
            ("kubernetes.io/x!=1", true),
        ] {
            let selector = Selector::parse(text, "").unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(selector.matches("n", "x", &object), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_selector() {
        for (text, says) in [
            ("a==b==c", "found '==', expected: ',' or 'end of string'"),
            ("a,", "identifier after ','"),
            ("=a", "expected: !, identifier"),
            ("a in b", "expected: '('"),
            ("a in (b", "expected: ',' or ')'"),
            ("a b", "expected: in, notin"),
            ("a>x", "whole number"),
            ("-a", "not the name of a label"),
        ] {
            let error = Selector::parse(text, "").expect_err(text);
            assert!(error.message.contains(says), "{text}: {error}");
        }
        assert_eq!(
            Selector::parse("", "spec.size=2")
                .expect_err("unsupported")
                .message,
            "field label not supported: spec.size"
        );
    }

    #[test]
    fn selects_by_fields() {
        let selector = Selector::parse("", "metadata.name=one,metadata.namespace!=b").expect("selector");
        assert_eq!(selector.exact_name(), Some("one"));
        assert!(selector.matches("a", "one", &json!({})));
        assert!(!selector.matches("b", "one", &json!({})));
        assert!(!selector.matches("a", "two", &json!({})));
    }
}
