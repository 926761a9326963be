//! Texts and documents with expressions in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_model::value::Value;
use serde_json::Value as Json;

use crate::compile::{ExpressionError, PathUse, Tree, compile};
use crate::evaluate::{EvaluationError, evaluate};
use crate::scope::Scope;

/// A text with expressions between `${{` and `}}`; `$${{` stands for `${{` itself.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    Expression { text: String, tree: Arc<Tree> },
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// [`ExpressionError`] of its first bad expression.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Self::parse_with(text, None)
    }

    /// Parses a text in which, outside of expressions, `shorthand` stands for an expression.
    ///
    /// # Errors
    /// [`ExpressionError`] of its first bad expression.
    pub fn parse_with_shorthand(
        text: &str,
        shorthand: char,
        expression: &str,
    ) -> Result<Self, ExpressionError> {
        Self::parse_with(text, Some((shorthand, expression)))
    }

    fn parse_with(text: &str, shorthand: Option<(char, &str)>) -> Result<Self, ExpressionError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${{") {
            if rest[..start].ends_with('$') {
                literal.push_str(&rest[..start - 1]);
                literal.push_str("${{");
                rest = &rest[start + 3..];
                continue;
            }
            literal.push_str(&rest[..start]);
            let inner = &rest[start + 3..];
            let end = closing(inner).ok_or(ExpressionError::Unclosed)?;
            push_literal(&mut parts, std::mem::take(&mut literal), shorthand)?;
            let expression = inner[..end].trim();
            parts.push(Part::Expression {
                text: expression.to_owned(),
                tree: Arc::new(compile(expression)?),
            });
            rest = &inner[end + 2..];
        }
        literal.push_str(rest);
        push_literal(&mut parts, literal, shorthand)?;
        Ok(Self { parts })
    }

    /// Its value. A text that is one expression and nothing else has that expression's type; every other is a text.
    ///
    /// # Errors
    /// [`EvaluationError`] of the first expression that fails.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvaluationError> {
        match self.parts.as_slice() {
            [] => Ok(Value::String(String::new())),
            [Part::Literal(text)] => Ok(Value::String(text.clone())),
            [Part::Expression { text, tree }] => evaluate(text, tree, scope),
            parts => {
                let mut values = Vec::with_capacity(parts.len());
                for part in parts {
                    values.push(match part {
                        Part::Literal(text) => Value::String(text.clone()),
                        Part::Expression { text, tree } => match evaluate(text, tree, scope)? {
                            value @ (Value::String(_) | Value::Sensitive(_) | Value::Concat(_)
                            | Value::Reference(_) | Value::Deferred(_)) => value,
                            Value::Null => Value::String(String::new()),
                            other => match other.to_json() {
                                Some(json) => Value::String(json.to_string()),
                                None => {
                                    return Err(EvaluationError::Failed(format!(
                                        "`{text}` is {} with secrets or unknown parts: it cannot stand inside a text",
                                        crate::evaluate::kind(&other)
                                    )));
                                }
                            },
                        },
                    });
                }
                Ok(Value::concat(values))
            }
        }
    }

    /// Whether there is no expression in it.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The paths that it reads.
    pub fn paths(&self) -> Vec<PathUse> {
        let mut paths = Vec::new();
        for part in &self.parts {
            if let Part::Expression { tree, .. } = part {
                tree.each_path(&mut |path| paths.push(path.usage()));
            }
        }
        paths
    }
}

fn push_literal(
    parts: &mut Vec<Part>,
    literal: String,
    shorthand: Option<(char, &str)>,
) -> Result<(), ExpressionError> {
    let Some((mark, expression)) = shorthand else {
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        return Ok(());
    };
    for (index, text) in literal.split(mark).enumerate() {
        if index > 0 {
            parts.push(Part::Expression {
                text: expression.to_owned(),
                tree: Arc::new(compile(expression)?),
            });
        }
        if !text.is_empty() {
            parts.push(Part::Literal(text.to_owned()));
        }
    }
    Ok(())
}

/// Where the `}}` is that ends an expression: braces and quotes inside it are skipped.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut quote = None;
    let mut position = 0;
    while position < bytes.len() {
        let byte = bytes[position];
        match quote {
            Some(open) => {
                if byte == b'\\' {
                    position += 1;
                } else if byte == open {
                    quote = None;
                }
            }
            None => match byte {
                b'"' | b'\'' => quote = Some(byte),
                b'{' => depth += 1,
                b'}' if depth > 0 => depth -= 1,
                b'}' if bytes.get(position + 1) == Some(&b'}') => return Some(position),
                _ => {}
            },
        }
        position += 1;
    }
    None
}

/// A JSON document whose texts are templates.
#[derive(Clone, Debug)]
pub enum TemplateTree {
    /// A text.
    Text(Template),
    /// Anything else without parts.
    Literal(Value),
    /// A list.
    List(Vec<TemplateTree>),
    /// A map; keys are literal.
    Map(BTreeMap<String, TemplateTree>),
}

impl TemplateTree {
    /// Parses a document.
    ///
    /// # Errors
    /// Every bad expression with its path.
    pub fn parse(json: &Json) -> Result<Self, Vec<(Vec<String>, ExpressionError)>> {
        let mut errors = Vec::new();
        let tree = Self::parse_at(json, &mut Vec::new(), &mut errors);
        if errors.is_empty() { Ok(tree) } else { Err(errors) }
    }

    fn parse_at(
        json: &Json,
        path: &mut Vec<String>,
        errors: &mut Vec<(Vec<String>, ExpressionError)>,
    ) -> Self {
        match json {
            Json::String(text) => match Template::parse(text) {
                Ok(template) if template.is_literal() => {
                    Self::Literal(Value::String(template.parts.into_iter().next().map_or_else(
                        String::new,
                        |part| match part {
                            Part::Literal(text) | Part::Expression { text, .. } => text,
                        },
                    )))
                }
                Ok(template) => Self::Text(template),
                Err(error) => {
                    errors.push((path.clone(), error));
                    Self::Literal(Value::Null)
                }
            },
            Json::Array(items) => Self::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        path.push(index.to_string());
                        let tree = Self::parse_at(item, path, errors);
                        path.pop();
                        tree
                    })
                    .collect(),
            ),
            Json::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| {
                        path.push(key.clone());
                        let tree = Self::parse_at(value, path, errors);
                        path.pop();
                        (key.clone(), tree)
                    })
                    .collect(),
            ),
            other => Self::Literal(Value::from_json(other)),
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// The first text that fails, with its path.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, (Vec<String>, EvaluationError)> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Text(template) => template.evaluate(scope).map_err(|error| (Vec::new(), error)),
            Self::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    values.push(
                        item.evaluate(scope)
                            .map_err(|error| within(&index.to_string(), error))?,
                    );
                }
                Ok(Value::List(values))
            }
            Self::Map(map) => {
                let mut values = BTreeMap::new();
                for (key, item) in map {
                    values.insert(
                        key.clone(),
                        item.evaluate(scope).map_err(|error| within(key, error))?,
                    );
                }
                Ok(Value::Map(values))
            }
        }
    }

    /// Calls `visit` with the path of every text that has expressions.
    pub fn each_template<'a>(&'a self, visit: &mut dyn FnMut(&[String], &'a Template)) {
        fn walk<'a>(
            tree: &'a TemplateTree,
            path: &mut Vec<String>,
            visit: &mut dyn FnMut(&[String], &'a Template),
        ) {
            match tree {
                TemplateTree::Literal(_) => {}
                TemplateTree::Text(template) => visit(path, template),
                TemplateTree::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        path.push(index.to_string());
                        walk(item, path, visit);
                        path.pop();
                    }
                }
                TemplateTree::Map(map) => {
                    for (key, item) in map {
                        path.push(key.clone());
                        walk(item, path, visit);
                        path.pop();
                    }
                }
            }
        }
        walk(self, &mut Vec::new(), visit);
    }
}

fn within(key: &str, error: (Vec<String>, EvaluationError)) -> (Vec<String>, EvaluationError) {
    let (mut path, error) = error;
    path.insert(0, key.to_owned());
    (path, error)
}
