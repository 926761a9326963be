//! The JSON paths of columns: `.spec.size`, `.spec.ports[0].name`, `.status.conditions[?(@.type=="Ready")].status`.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(usize),
    /// The first item whose field has this text.
    Where {
        field: String,
        equals: String,
    },
}

/// A path that leads to one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

impl JsonPath {
    /// Reads a path; `None` when it is not of these forms.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text
            .trim()
            .strip_prefix('{')
            .and_then(|t| t.strip_suffix('}'))
            .unwrap_or(text.trim());
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[?(@.") {
                let (field, tail) = after.split_once("==")?;
                let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\''))?;
                let (equals, tail) = tail[1..].split_once(quote)?;
                rest = tail.strip_prefix(")]")?;
                steps.push(Step::Where {
                    field: field.trim().to_owned(),
                    equals: equals.to_owned(),
                });
            } else if let Some(after) = rest.strip_prefix('[') {
                let (index, tail) = after.split_once(']')?;
                rest = tail;
                match index
                    .strip_prefix(['\'', '"'])
                    .and_then(|name| name.strip_suffix(['\'', '"']))
                {
                    Some(name) => steps.push(Step::Field(name.to_owned())),
                    None => steps.push(Step::Index(index.parse().ok()?)),
                }
            } else {
                let after = rest.strip_prefix('.')?;
                let mut name = String::new();
                let mut consumed = after.len();
                let mut characters = after.char_indices();
                while let Some((at, character)) = characters.next() {
                    match character {
                        '\\' => name.push(characters.next()?.1),
                        '.' | '[' => {
                            consumed = at;
                            break;
                        }
                        other => name.push(other),
                    }
                }
                if name.is_empty() {
                    return None;
                }
                rest = &after[consumed..];
                steps.push(Step::Field(name));
            }
        }
        (!steps.is_empty()).then_some(Self { steps })
    }

    /// The value that the path leads to.
    pub(crate) fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(value, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Index(index) => value.get(index),
            Step::Where { field, equals } => value
                .as_array()?
                .iter()
                .find(|item| item.get(field).and_then(Value::as_str) == Some(equals.as_str())),
        })
    }

    /// The path as field names, when it has nothing else.
    pub(crate) fn plain_fields(&self) -> Option<Vec<&str>> {
        self.steps
            .iter()
            .map(|step| match step {
                Step::Field(name) => Some(name.as_str()),
                Step::Index(_) | Step::Where { .. } => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_what_columns_show() {
        let object = json!({
            "spec": {"size": 2, "ports": [{"name": "web"}], "a.b": 1},
            "status": {"conditions": [{"type": "Other", "status": "x"}, {"type": "Ready", "status": "True"}]},
        });
        for (path, found) in [
            (".spec.size", Some(json!(2))),
            ("{.spec.size}", Some(json!(2))),
            (".spec.ports[0].name", Some(json!("web"))),
            (".spec.ports[1].name", None),
            (".spec.a\\.b", Some(json!(1))),
            (".spec['a.b']", Some(json!(1))),
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                Some(json!("True")),
            ),
            (".status.conditions[?(@.type=='Gone')].status", None),
        ] {
            let parsed = JsonPath::parse(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(parsed.find(&object), found.as_ref(), "{path}");
        }
        for path in ["", "spec", ".", ".a[", ".a[x]", ".a[?(@.b=c)]"] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
    }
}
