//! A parsed schema and what can be asked of it.

use std::sync::Arc;

use indexmap::IndexMap;
use regex::Regex;
use serde_json::Value;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An object or a map.
    Object,
    /// A list.
    Array,
    /// Text.
    String,
    /// A number without fraction.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
}

impl Type {
    pub(crate) const ALL: [Self; 6] = [
        Self::Object,
        Self::Array,
        Self::String,
        Self::Integer,
        Self::Number,
        Self::Boolean,
    ];

    /// The name that schemas use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// How the items of a list belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole.
    #[default]
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects told apart by the values of their map keys.
    Map,
}

/// What a value must satisfy beyond its shape. Inside `allOf` and the like there is nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) required: Vec<String>,
    pub(crate) enumeration: Option<Vec<Value>>,
    pub(crate) constant: Option<Value>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: Option<String>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) unique_items: bool,
    pub(crate) property_names: Option<Box<Rules>>,
    pub(crate) all_of: Vec<Rules>,
    pub(crate) any_of: Vec<Rules>,
    pub(crate) one_of: Vec<Rules>,
    pub(crate) not: Option<Box<Rules>>,
    /// Only inside `anyOf` of an int-or-string, where Kubernetes allows it.
    pub(crate) of_type: Option<Type>,
    pub(crate) properties: IndexMap<String, Rules>,
    pub(crate) items: Option<Box<Rules>>,
}

/// One place of a schema: a value's shape, documentation and rules.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own in the schema language"
)]
pub struct Node {
    pub(crate) of_type: Option<Type>,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) properties: IndexMap<String, Node>,
    pub(crate) additional: Option<Box<Node>>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) list_type: ListType,
    pub(crate) list_map_keys: Vec<String>,
    pub(crate) default: Option<Value>,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) examples: Vec<Value>,
    pub(crate) write_only: bool,
    pub(crate) identity: bool,
    pub(crate) rules: Rules,
}

impl Node {
    /// The type as people read it: `object`, `[]string`, `map[string]integer`, `integer or string`, `any`.
    pub fn type_name(&self) -> String {
        if self.int_or_string {
            return "integer or string".to_owned();
        }
        match self.of_type {
            Some(Type::Array) => {
                format!(
                    "[]{}",
                    self.items
                        .as_ref()
                        .map_or_else(|| "any".to_owned(), |items| items.type_name())
                )
            }
            Some(Type::Object) if self.properties.is_empty() => match &self.additional {
                Some(values) => format!("map[string]{}", values.type_name()),
                None => "object".to_owned(),
            },
            Some(of_type) => of_type.name().to_owned(),
            None => "any".to_owned(),
        }
    }

    /// The type; `None` when any is taken, or integer and string both.
    pub fn of_type(&self) -> Option<Type> {
        self.of_type
    }

    /// Whether integers and strings are both taken.
    pub fn is_int_or_string(&self) -> bool {
        self.int_or_string
    }

    /// Whether null is taken.
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// Whether fields that the schema does not know are kept.
    pub fn preserves_unknown_fields(&self) -> bool {
        self.preserve_unknown
    }

    /// The fields of an object, as they were declared.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.properties.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// One field of an object.
    pub fn field(&self, name: &str) -> Option<&Node> {
        self.properties.get(name)
    }

    /// Whether a field must be given.
    pub fn is_required(&self, name: &str) -> bool {
        self.rules.required.iter().any(|required| required == name)
    }

    /// What the values of a map are.
    pub fn map_values(&self) -> Option<&Node> {
        self.additional.as_deref()
    }

    /// What the items of a list are.
    pub fn items(&self) -> Option<&Node> {
        self.items.as_deref()
    }

    /// How the items of a list belong together.
    pub fn list_type(&self) -> ListType {
        self.list_type
    }

    /// The fields that tell the items of a list apart.
    pub fn list_map_keys(&self) -> &[String] {
        &self.list_map_keys
    }

    /// The value that is taken when none is given.
    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// A short name for people.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What it means.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Values that serve as examples.
    pub fn examples(&self) -> &[Value] {
        &self.examples
    }

    /// The values that are taken, when they are counted up.
    pub fn enumeration(&self) -> Option<&[Value]> {
        self.rules.enumeration.as_deref()
    }

    /// Whether the value is a secret: it is given, and never shown.
    pub fn is_write_only(&self) -> bool {
        self.write_only
    }

    /// Whether the value is known before the resource is made.
    pub fn marks_identity(&self) -> bool {
        self.identity
    }

    /// Whether anything here or beneath is a secret.
    pub fn holds_secrets(&self) -> bool {
        self.write_only
            || self.properties.values().any(Self::holds_secrets)
            || self.additional.as_ref().is_some_and(|node| node.holds_secrets())
            || self.items.as_ref().is_some_and(|node| node.holds_secrets())
    }

    fn step(&self, segment: &str) -> Option<&Node> {
        self.properties
            .get(segment)
            .or(self.additional.as_deref())
            .or(self.items.as_deref())
    }
}

/// A structural schema. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Schema {
    pub(crate) root: Arc<Node>,
}

impl Schema {
    /// The schema of the whole value.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The place that a path leads to. A segment is a field, a key of a map or the index of an item (any text).
    pub fn property<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        path.iter()
            .try_fold(&*self.root, |node, segment| node.step(segment.as_ref()))
    }

    /// Whether the value at the path is a secret, or a part of one.
    pub fn is_sensitive<S: AsRef<str>>(&self, path: &[S]) -> bool {
        self.any_on_the_way(path, Node::is_write_only)
    }

    /// Whether the value at the path is known before the resource is made, by its own mark or that of what it is
    /// part of.
    pub fn is_identity<S: AsRef<str>>(&self, path: &[S]) -> bool {
        self.any_on_the_way(path, Node::marks_identity)
    }

    fn any_on_the_way<S: AsRef<str>>(&self, path: &[S], mark: impl Fn(&Node) -> bool) -> bool {
        let mut node = &*self.root;
        for segment in path {
            if mark(node) {
                return true;
            }
            match node.step(segment.as_ref()) {
                Some(next) => node = next,
                None => return false,
            }
        }
        mark(node)
    }
}
