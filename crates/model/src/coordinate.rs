//! The identity of a resource within its environment: type, class and id.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The class of a request that names none.
pub const DEFAULT_CLASS: &str = "default";

/// The type of every workload.
pub const WORKLOAD_TYPE: &str = "workload";

/// Type, class and id: together unique in an environment. Written `postgres.large#orders-db`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Coordinate {
    /// The name of the resource type, as Score writes it.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The class; [`DEFAULT_CLASS`] when the request names none.
    pub class: String,
    /// The id.
    pub id: String,
}

impl Coordinate {
    /// A coordinate of its three parts.
    pub fn new(resource_type: impl Into<String>, class: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            resource_type: resource_type.into(),
            class: class.into(),
            id: id.into(),
        }
    }

    /// The coordinate of the workload named `name`.
    pub fn workload(name: impl Into<String>) -> Self {
        Self::new(WORKLOAD_TYPE, DEFAULT_CLASS, name)
    }

    /// Whether this is a workload.
    pub fn is_workload(&self) -> bool {
        self.resource_type == WORKLOAD_TYPE
    }

    /// The name of the Resource object: a slug that people can read, and a hash that keeps it unique where slugs
    /// meet. At most 63 characters, a DNS label.
    pub fn object_name(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.resource_type, &self.class, &self.id] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut name = String::with_capacity(63);
        for character in self
            .resource_type
            .chars()
            .chain(std::iter::once('-'))
            .chain(self.id.chars())
        {
            if name.len() >= 52 {
                break;
            }
            let character = character.to_ascii_lowercase();
            if character.is_ascii_lowercase() || character.is_ascii_digit() {
                name.push(character);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        let slug = name.trim_end_matches('-').len();
        name.truncate(slug);
        if name.is_empty() {
            name.push('r');
        }
        name.push('-');
        for byte in &digest[..5] {
            use fmt::Write as _;
            let _infallible = write!(name, "{byte:02x}");
        }
        name
    }

    /// What people read: `orders-db (postgres)`, with the class when it is not the default.
    pub fn type_and_class(&self) -> String {
        if self.class == DEFAULT_CLASS {
            self.resource_type.clone()
        } else {
            format!("{}.{}", self.resource_type, self.class)
        }
    }
}

impl fmt::Display for Coordinate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}#{}", self.resource_type, self.class, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::Coordinate;

    #[test]
    fn object_names_are_labels_and_differ_where_slugs_meet() {
        let one = Coordinate::new("s3", "default", "a.b");
        let two = Coordinate::new("s3", "default", "a-b");
        assert_ne!(one.object_name(), two.object_name());
        assert!(one.object_name().starts_with("s3-a-b-"));
        let long = Coordinate::new("postgres", "default", "x".repeat(200));
        assert!(long.object_name().len() <= 63);
    }
}
