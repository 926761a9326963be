//! Documents of platform teams and developers, as small as they can be.

use super::World;

/// The lines of a text, each begun with so many spaces.
pub(crate) fn indented(text: &str, spaces: usize) -> String {
    let margin = " ".repeat(spaces);
    let lines: Vec<String> = text.lines().map(|line| format!("{margin}{line}\n")).collect();
    lines.concat()
}

/// A resource type without schemas of its own.
pub(crate) fn resource_type(name: &str, params: &str, outputs: &str) -> String {
    format!(
        "---
apiVersion: podium.dev/v1alpha1
kind: ResourceType
metadata: {{name: {name}}}
spec:
  type: {name}
  owner: storage-team
  params: {{type: object, properties: {params}}}
  outputs: {{type: object, properties: {outputs}}}
"
    )
}

/// A module of the type of its own name, and a rule that chooses it everywhere. `spec` is further lines.
pub(crate) fn module(name: &str, driver: &str, spec: &str) -> String {
    let spec = indented(spec, 2);
    format!(
        "---
apiVersion: podium.dev/v1alpha1
kind: Module
metadata: {{name: {name}}}
spec:
  type: {name}
  driver: {driver}
  owner: storage-team
{spec}---
apiVersion: podium.dev/v1alpha1
kind: ModuleRule
metadata: {{name: any-{name}}}
spec: {{module: {name}}}
"
    )
}

/// A Score document whose container sleeps. `variables` and `resources` are lines of YAML.
pub(crate) fn sleeper(name: &str, variables: &str, resources: &str) -> String {
    let mut score = format!(
        "apiVersion: score.dev/v1b1
metadata:
  name: {name}
containers:
  main:
    image: busybox
    command: [/bin/sh, -c, 'while :; do sleep 1; done']
"
    );
    if !variables.is_empty() {
        score += "    variables:\n";
        score += &indented(variables, 6);
    }
    if !resources.is_empty() {
        score += "resources:\n";
        score += &indented(resources, 2);
    }
    score
}

impl World {
    /// A server with the platform of the quickstart: project `demo` with `dev` and `staging`.
    pub(crate) fn with_quickstart() -> Self {
        let world = Self::start();
        world.bring("examples/quickstart", "quickstart");
        world.ok("apply -f quickstart/platform");
        world
    }

    /// A server with the example platform: project `examples` with `dev`.
    pub(crate) fn with_examples() -> Self {
        let world = Self::start();
        world.bring("examples/platform", "platform");
        world.ok("apply -f platform");
        world
    }
}
