//! Values on their way from documents to drivers.
//!
//! A [`Value`] is a JSON value whose leaves may also be a secret that nobody here can read ([`Value::Sensitive`]), an
//! output that is not known yet ([`Value::Reference`]), a text put together of such parts ([`Value::Concat`]), or an
//! expression that waits for its parts ([`Value::Deferred`]). The planner computes with them without ever seeing
//! plaintext; the plaintext of a secret is fetched by its handle inside a sink.
//!
//! **Two encodings.** [`Value::from_json`] takes a document's JSON literally: no text of a document can ever become a
//! handle or a reference. [`Value::to_tagged`] and [`Value::from_tagged`] are for Podium's own blobs: a special leaf is
//! an object with one key that begins with `$`, and a document's own key that begins with `$` is written with `$$`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value as Json};
use sha2::{Digest, Sha256};

use crate::coordinate::Coordinate;

/// What is shown in place of a secret.
pub const SECRET_MARK: &str = "(secret)";
/// What is shown in place of an output that is known only after its resource was made.
pub const LATER_MARK: &str = "(later)";
/// What is shown in place of a port that the release's transaction will allot.
pub const ADMISSION_MARK: &str = "(known at admission)";

/// The address of a sealed secret: the keyed digest of its text, so equal secrets have equal handles and nothing of
/// the text can be learnt from one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(String);

impl Handle {
    /// A handle from the digest under which the secret was sealed.
    pub fn new(digest: impl Into<String>) -> Self {
        Self(digest.into())
    }

    /// The digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which of a node's outputs a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The outputs that the resource type declares.
    Declared,
    /// What the module's tool answered, before the module mapped it.
    Tool,
    /// Ports that the release's transaction allots.
    Allotted,
}

/// An output of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// The node.
    pub node: Coordinate,
    /// Which outputs.
    pub source: Source,
    /// The path in them; empty for all.
    pub path: Vec<String>,
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.node.id)?;
        for part in &self.path {
            write!(formatter, ".{part}")?;
        }
        Ok(())
    }
}

/// An expression that waits for what it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Deferred {
    /// The text between `${{` and `}}`.
    pub expression: String,
    /// Each path that the expression names, as it writes it, with the value it has by now.
    pub bindings: BTreeMap<String, Value>,
}

/// A value; see the module's doc.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// JSON null.
    #[default]
    Null,
    /// JSON boolean.
    Bool(bool),
    /// JSON number.
    Number(Number),
    /// Text.
    String(String),
    /// A sealed secret.
    Sensitive(Handle),
    /// An output that is not known yet.
    Reference(Reference),
    /// Texts, secrets and unknown parts, one after the other.
    Concat(Vec<Value>),
    /// An expression over parts of which some are not known yet.
    Deferred(Box<Deferred>),
    /// JSON array.
    List(Vec<Value>),
    /// JSON object; sorted, so that equal content has equal bytes.
    Map(BTreeMap<String, Value>),
}

/// A tagged encoding could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored value is not in Podium's encoding: {0}")]
pub struct TaggedError(String);

impl Value {
    /// An empty object.
    pub fn empty_map() -> Self {
        Self::Map(BTreeMap::new())
    }

    /// Takes JSON as it is; nothing in it becomes a handle or a reference.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => Self::Number(number.clone()),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// JSON without secrets or unknown parts, or `None` when there are any.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Number(number) => Json::Number(number.clone()),
            Self::String(text) => Json::String(text.clone()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect::<Option<_>>()?),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| value.to_json().map(|value| (key.clone(), value)))
                    .collect::<Option<Map<_, _>>>()?,
            ),
            Self::Sensitive(_) | Self::Reference(_) | Self::Concat(_) | Self::Deferred(_) => return None,
        })
    }

    /// JSON for people: secrets and unknown parts replaced by their marks.
    pub fn to_display(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Number(number) => Json::Number(number.clone()),
            Self::String(text) => Json::String(text.clone()),
            Self::Sensitive(_) => Json::String(SECRET_MARK.into()),
            Self::Reference(reference) if reference.source == Source::Allotted => {
                Json::String(ADMISSION_MARK.into())
            }
            Self::Reference(_) | Self::Deferred(_) => Json::String(LATER_MARK.into()),
            Self::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part.to_display() {
                        Json::String(part) => text.push_str(&part),
                        other => text.push_str(&other.to_string()),
                    }
                }
                Json::String(text)
            }
            Self::List(items) => Json::Array(items.iter().map(Self::to_display).collect()),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), value.to_display()))
                    .collect(),
            ),
        }
    }

    /// Podium's own encoding; see the module's doc.
    pub fn to_tagged(&self) -> Json {
        fn tagged(tag: &str, content: Json) -> Json {
            let mut map = Map::with_capacity(1);
            map.insert(tag.to_owned(), content);
            Json::Object(map)
        }
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Number(number) => Json::Number(number.clone()),
            Self::String(text) => Json::String(text.clone()),
            Self::Sensitive(handle) => tagged("$sensitive", Json::String(handle.0.clone())),
            Self::Reference(reference) => tagged(
                "$reference",
                serde_json::to_value(reference).unwrap_or(Json::Null),
            ),
            Self::Concat(parts) => tagged(
                "$concat",
                Json::Array(parts.iter().map(Self::to_tagged).collect()),
            ),
            Self::Deferred(deferred) => {
                let mut map = Map::new();
                map.insert("expression".into(), Json::String(deferred.expression.clone()));
                let bindings = deferred
                    .bindings
                    .iter()
                    .map(|(name, value)| (name.clone(), value.to_tagged()))
                    .collect();
                map.insert("bindings".into(), Json::Object(bindings));
                tagged("$deferred", Json::Object(map))
            }
            Self::List(items) => Json::Array(items.iter().map(Self::to_tagged).collect()),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| {
                        let key = if key.starts_with('$') {
                            format!("${key}")
                        } else {
                            key.clone()
                        };
                        (key, value.to_tagged())
                    })
                    .collect(),
            ),
        }
    }

    /// Reads Podium's own encoding.
    ///
    /// # Errors
    /// When the text was not written by [`Value::to_tagged`].
    pub fn from_tagged(json: &Json) -> Result<Self, TaggedError> {
        let bad = |what: &str| TaggedError(what.to_owned());
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => Self::Number(number.clone()),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from_tagged).collect::<Result<_, _>>()?),
            Json::Object(map) => {
                if let Some((tag, content)) = map.iter().next().filter(|(key, _)| is_tag(key)) {
                    return match (tag.as_str(), content) {
                        ("$sensitive", Json::String(handle)) => Ok(Self::Sensitive(Handle(handle.clone()))),
                        ("$reference", content) => serde_json::from_value(content.clone())
                            .map(Self::Reference)
                            .map_err(|error| TaggedError(error.to_string())),
                        ("$concat", Json::Array(parts)) => Ok(Self::Concat(
                            parts.iter().map(Self::from_tagged).collect::<Result<_, _>>()?,
                        )),
                        ("$deferred", Json::Object(deferred)) => {
                            let expression = deferred
                                .get("expression")
                                .and_then(Json::as_str)
                                .ok_or_else(|| bad(tag))?;
                            let bindings = deferred
                                .get("bindings")
                                .and_then(Json::as_object)
                                .ok_or_else(|| bad(tag))?;
                            let bindings = bindings
                                .iter()
                                .map(|(name, value)| Ok((name.clone(), Self::from_tagged(value)?)))
                                .collect::<Result<_, TaggedError>>()?;
                            Ok(Self::Deferred(Box::new(Deferred {
                                expression: expression.to_owned(),
                                bindings,
                            })))
                        }
                        _ => Err(bad(tag)),
                    };
                }
                let mut values = BTreeMap::new();
                for (key, value) in map {
                    let key = if key.starts_with("$$") {
                        key[1..].to_owned()
                    } else {
                        key.clone()
                    };
                    values.insert(key, Self::from_tagged(value)?);
                }
                Self::Map(values)
            }
        })
    }

    /// Whether nothing in it waits for another node.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Reference(_) | Self::Deferred(_) => false,
            Self::Concat(items) | Self::List(items) => items.iter().all(Self::is_known),
            Self::Map(map) => map.values().all(Self::is_known),
            _ => true,
        }
    }

    /// Whether a secret is anywhere in it.
    pub fn has_sensitive(&self) -> bool {
        match self {
            Self::Sensitive(_) => true,
            Self::Concat(items) | Self::List(items) => items.iter().any(Self::has_sensitive),
            Self::Map(map) => map.values().any(Self::has_sensitive),
            Self::Deferred(deferred) => deferred.bindings.values().any(Self::has_sensitive),
            _ => false,
        }
    }

    /// Calls `visit` for every reference in it.
    pub fn each_reference<'a>(&'a self, visit: &mut dyn FnMut(&'a Reference)) {
        match self {
            Self::Reference(reference) => visit(reference),
            Self::Concat(items) | Self::List(items) => {
                for item in items {
                    item.each_reference(visit);
                }
            }
            Self::Map(map) => {
                for value in map.values() {
                    value.each_reference(visit);
                }
            }
            Self::Deferred(deferred) => deferred
                .bindings
                .values()
                .for_each(|value| value.each_reference(visit)),
            _ => {}
        }
    }

    /// Calls `visit` for every secret in it.
    pub fn each_handle<'a>(&'a self, visit: &mut dyn FnMut(&'a Handle)) {
        match self {
            Self::Sensitive(handle) => visit(handle),
            Self::Concat(items) | Self::List(items) => {
                for item in items {
                    item.each_handle(visit);
                }
            }
            Self::Map(map) => map.values().for_each(|value| value.each_handle(visit)),
            Self::Deferred(deferred) => deferred
                .bindings
                .values()
                .for_each(|value| value.each_handle(visit)),
            _ => {}
        }
    }

    /// The value at a path of keys and list positions.
    pub fn at(&self, path: &[String]) -> Option<&Self> {
        let mut value = self;
        for part in path {
            value = match value {
                Self::Map(map) => map.get(part)?,
                Self::List(items) => items.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The object, when it is one.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        if let Self::Map(map) = self {
            Some(map)
        } else {
            None
        }
    }

    /// A digest of its content: equal values, and only they, have equal digests. Secrets enter by their handles,
    /// which are keyed digests themselves. 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.feed(&mut hash);
        hex(&hash.finalize())
    }

    fn feed(&self, hash: &mut Sha256) {
        fn text(hash: &mut Sha256, kind: u8, text: &str) {
            hash.update([kind]);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        match self {
            Self::Null => hash.update([0]),
            Self::Bool(flag) => hash.update([1, u8::from(*flag)]),
            Self::Number(number) => text(hash, 2, &number.to_string()),
            Self::String(string) => text(hash, 3, string),
            Self::Sensitive(handle) => text(hash, 4, &handle.0),
            Self::Reference(reference) => {
                text(hash, 5, &reference.node.to_string());
                text(hash, 5, &format!("{:?}", reference.source));
                for part in &reference.path {
                    text(hash, 5, part);
                }
            }
            Self::Concat(items) | Self::List(items) => {
                hash.update([if matches!(self, Self::List(_)) { 6 } else { 7 }]);
                hash.update((items.len() as u64).to_le_bytes());
                for item in items {
                    item.feed(hash);
                }
            }
            Self::Map(map) => {
                hash.update([8]);
                hash.update((map.len() as u64).to_le_bytes());
                for (key, value) in map {
                    text(hash, 3, key);
                    value.feed(hash);
                }
            }
            Self::Deferred(deferred) => {
                text(hash, 9, &deferred.expression);
                hash.update((deferred.bindings.len() as u64).to_le_bytes());
                for (name, value) in &deferred.bindings {
                    text(hash, 3, name);
                    value.feed(hash);
                }
            }
        }
    }

    /// Joins neighbouring texts; a concatenation of texts alone becomes a text. The canonical form, so that equal
    /// meaning has equal digests.
    pub fn concat(parts: Vec<Value>) -> Self {
        let mut joined: Vec<Value> = Vec::with_capacity(parts.len());
        for part in parts {
            let nested = match part {
                Self::Concat(nested) => nested,
                other => vec![other],
            };
            for part in nested {
                match (joined.last_mut(), part) {
                    (_, Self::String(text)) if text.is_empty() => {}
                    (Some(Self::String(before)), Self::String(text)) => before.push_str(&text),
                    (_, part) => joined.push(part),
                }
            }
        }
        match joined.len() {
            0 => Self::String(String::new()),
            1 if matches!(joined[0], Self::String(_) | Self::Sensitive(_)) => joined.remove(0),
            _ => Self::Concat(joined),
        }
    }
}

fn is_tag(key: &str) -> bool {
    key.starts_with('$') && !key.starts_with("$$")
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_tagged().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_tagged(&Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Lower-case hexadecimal digits of bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Handle, Value};

    #[test]
    fn a_document_cannot_forge_a_handle() {
        let forged = json!({"$sensitive": "00"});
        let value = Value::from_json(&forged);
        assert!(!value.has_sensitive());
        let back = Value::from_tagged(&value.to_tagged()).unwrap();
        assert_eq!(back, value, "also not by way of a stored blob");
        assert!(!back.has_sensitive());
    }

    #[test]
    fn special_leaves_survive_the_tagged_encoding() {
        let value = Value::concat(vec![
            "postgres://".into(),
            Value::Sensitive(Handle::new("ab")),
            "@host".into(),
        ]);
        assert_eq!(Value::from_tagged(&value.to_tagged()).unwrap(), value);
        assert_eq!(value.to_display(), json!("postgres://(secret)@host"));
        assert_eq!(value.to_json(), None, "plaintext cannot be made of it");
    }

    #[test]
    fn digests_tell_structures_apart() {
        let one = Value::from_json(&json!({"a": ["b", "c"]}));
        let two = Value::from_json(&json!({"a": ["bc"]}));
        assert_ne!(one.digest(), two.digest());
        assert_ne!(
            Value::String("ab".into()).digest(),
            Value::Sensitive(Handle::new("ab")).digest()
        );
    }
}
