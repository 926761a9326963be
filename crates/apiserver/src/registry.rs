//! The kinds that a server serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_model::kinds::{Column, KindDefinition, Subresource, Writes};
use podium_schema::{Schema, StructuralError, structural};
use podium_store::{Key, ResourceKey};
use serde_json::{Value, json};

use crate::jsonpath::JsonPath;
use crate::metadata;

/// Group of Podium's own kinds, whose objects are held to a smaller size.
const OWN_GROUP: &str = "podium.dev";
/// The kind that namespaces are a view of.
const ENVIRONMENT: &str = "Environment";

/// Why kinds cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A schema is not structural.
    #[error("the schema of {kind} ({place}) is not structural: {}", list(errors))]
    Schema {
        /// Which kind.
        kind: String,
        /// Which of its schemas.
        place: String,
        /// All that is wrong.
        errors: Vec<StructuralError>,
    },
    /// A column's path cannot be read.
    #[error("the column {column} of {kind} has a path that is not understood: {path}")]
    Column {
        /// Which kind.
        kind: String,
        /// Which column.
        column: String,
        /// The path.
        path: String,
    },
    /// Two kinds share a plural name in one group.
    #[error("{0} is defined twice")]
    Twice(String),
}

fn list(errors: &[StructuralError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// A column whose path is understood.
#[derive(Clone, Debug)]
pub(crate) struct ServedColumn {
    pub(crate) column: Column,
    pub(crate) path: JsonPath,
    pub(crate) description: String,
}

/// A subresource whose request is understood.
#[derive(Clone, Debug)]
pub(crate) struct ServedSubresource {
    pub(crate) definition: Subresource,
    pub(crate) request: Option<Schema>,
    /// Structural forms, for OpenAPI.
    pub(crate) request_source: Option<Value>,
    pub(crate) response_source: Option<Value>,
}

/// How what is stored becomes what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// As it is.
    Plain,
    /// An Environment as a Namespace.
    Namespace,
}

/// A kind, ready to serve.
#[derive(Clone, Debug)]
pub struct ServedKind {
    pub(crate) definition: KindDefinition,
    /// Where its objects are stored.
    pub(crate) storage: ResourceKey,
    pub(crate) view: View,
    /// The whole object's schema, with `apiVersion`, `kind` and `metadata`.
    pub(crate) schema: Schema,
    /// The schema as the definition has it, in structural form, for OpenAPI.
    pub(crate) source: Value,
    pub(crate) columns: Vec<ServedColumn>,
    pub(crate) subresources: Vec<ServedSubresource>,
    pub(crate) api_version: String,
    /// Largest object, in bytes.
    pub(crate) max_bytes: usize,
}

impl ServedKind {
    /// The definition.
    pub fn definition(&self) -> &KindDefinition {
        &self.definition
    }

    /// `podium.dev/v1alpha1`, or `v1` in the core group.
    pub fn api_version(&self) -> &str {
        &self.api_version
    }

    /// The schema of the whole object.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether clients may write its objects.
    pub(crate) fn is_writable(&self) -> bool {
        self.definition.writes == Writes::Clients && self.view == View::Plain
    }

    /// Whether clients may delete its objects.
    pub(crate) fn is_deletable(&self) -> bool {
        self.definition.writes == Writes::Clients
    }

    pub(crate) fn key(&self, namespace: &str, name: &str) -> Key {
        Key {
            resource: self.storage.clone(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The verbs of discovery, in the order that kube-apiserver gives for custom resources.
    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        if self.view == View::Namespace {
            &["delete", "get", "list", "watch"]
        } else if self.is_writable() {
            &[
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "create",
                "update",
                "watch",
            ]
        } else {
            &["get", "list", "watch"]
        }
    }

    fn new(definition: KindDefinition) -> Result<Self, RegistryError> {
        let api_version = if definition.group.is_empty() {
            definition.version.to_owned()
        } else {
            format!("{}/{}", definition.group, definition.version)
        };
        let kind = definition.kind;
        let parse = |place: &str, source: &Value| {
            Schema::parse(source).map_err(|errors| RegistryError::Schema {
                kind: kind.to_owned(),
                place: place.to_owned(),
                errors,
            })
        };
        let source = as_structural(&definition.schema);
        let mut whole = source.clone();
        if let Some(properties) = whole
            .as_object_mut()
            .map(|map| map.entry("properties").or_insert_with(|| json!({})))
        {
            properties["apiVersion"] = json!({"type": "string"});
            properties["kind"] = json!({"type": "string"});
            properties["metadata"] = metadata::schema();
        }
        let schema = parse("object", &whole)?;
        let mut columns = Vec::new();
        for column in definition.columns {
            let unreadable = || RegistryError::Column {
                kind: kind.to_owned(),
                column: column.name.to_owned(),
                path: column.path.to_owned(),
            };
            let path = JsonPath::parse(column.path).ok_or_else(unreadable)?;
            let place = path.plain_fields().and_then(|fields| schema.property(&fields));
            let description = place.and_then(|node| node.description()).map_or_else(
                || {
                    format!(
                        "Custom resource definition column (in JSONPath format): {}",
                        column.path
                    )
                },
                str::to_owned,
            );
            columns.push(ServedColumn {
                column: *column,
                path,
                description,
            });
        }
        let mut subresources = Vec::new();
        for subresource in &definition.subresources {
            let request_source = subresource.request.as_ref().map(as_structural);
            let request = request_source
                .as_ref()
                .map(|source| parse(subresource.name, source))
                .transpose()?;
            subresources.push(ServedSubresource {
                definition: subresource.clone(),
                request,
                request_source,
                response_source: subresource.response.as_ref().map(as_structural),
            });
        }
        Ok(Self {
            storage: ResourceKey::new(definition.group, definition.plural),
            view: View::Plain,
            schema,
            source,
            columns,
            subresources,
            max_bytes: if definition.group == OWN_GROUP {
                256 * 1024
            } else {
                podium_store::MAX_OBJECT_BYTES
            },
            api_version,
            definition,
        })
    }
}

/// Schemas that are structural stay as they are; others (as `schemars` writes them) are brought into that form.
fn as_structural(source: &Value) -> Value {
    if Schema::parse(source).is_ok() {
        source.clone()
    } else {
        structural(source)
    }
}

/// All kinds of a server, found by group and plural name.
#[derive(Clone, Debug)]
pub struct Registry {
    kinds: BTreeMap<(String, String), Arc<ServedKind>>,
    environments: Option<ResourceKey>,
}

impl Registry {
    /// Builds the registry and, when there is a kind Environment, adds the view `namespaces` of it.
    ///
    /// # Errors
    /// When a definition cannot be served.
    pub fn new(definitions: Vec<KindDefinition>) -> Result<Self, RegistryError> {
        let mut registry = Self {
            kinds: BTreeMap::new(),
            environments: None,
        };
        for definition in definitions {
            let served = ServedKind::new(definition)?;
            if served.definition.kind == ENVIRONMENT && served.definition.group == OWN_GROUP {
                registry.environments = Some(served.storage.clone());
            }
            registry.add(served)?;
        }
        if let Some(environments) = registry.environments.clone() {
            let mut view = ServedKind::new(crate::namespaces::definition())?;
            view.storage = environments;
            view.view = View::Namespace;
            registry.add(view)?;
        }
        Ok(registry)
    }

    fn add(&mut self, served: ServedKind) -> Result<(), RegistryError> {
        let key = (
            served.definition.group.to_owned(),
            served.definition.plural.to_owned(),
        );
        let name = crate::status::qualified(&key.1, &key.0);
        match self.kinds.insert(key, Arc::new(served)) {
            None => Ok(()),
            Some(_) => Err(RegistryError::Twice(name)),
        }
    }

    /// A kind by group, version and plural name.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ServedKind>> {
        self.kinds
            .get(&(group.to_owned(), plural.to_owned()))
            .filter(|served| served.definition.version == version)
    }

    /// All kinds, by group and plural name.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<ServedKind>> {
        self.kinds.values()
    }

    /// The groups with their versions.
    pub(crate) fn group_versions(&self) -> Vec<(&'static str, &'static str)> {
        let mut all: Vec<_> = self
            .kinds()
            .map(|kind| (kind.definition.group, kind.definition.version))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The kinds of one group and version, in the order of their plural names.
    pub(crate) fn of(&self, group: &str, version: &str) -> impl Iterator<Item = &Arc<ServedKind>> {
        self.kinds()
            .filter(move |kind| kind.definition.group == group && kind.definition.version == version)
    }

    /// Where Environments are stored.
    pub(crate) fn environments(&self) -> Option<&ResourceKey> {
        self.environments.as_ref()
    }

    /// The kind Environment, through which a Namespace is deleted.
    pub(crate) fn environment_kind(&self) -> Option<&Arc<ServedKind>> {
        let key = self.environments.as_ref()?;
        self.kinds.get(&(key.group.to_string(), key.resource.to_string()))
    }
}
