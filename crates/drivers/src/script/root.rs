//! The root of a script: what lies in it before the first step, and the environment of each step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podium_model::kinds::ScriptStep;
use podium_model::secret::{Revealed, Secret};
use podium_runners::archive::Archive;
use podium_runners::{
    FileContent, Grant, LogVisibility, ResultFile, RootFile, StateFolder, StepCommand, StepSpec, Value,
};
use serde_json::{Map, Value as Json, json};

use super::Action;
use super::result::{OUTPUT_FILES, OUTPUT_LIMIT, SENSITIVE_FILE, SENSITIVE_LIMIT};
use crate::bundle;
use crate::failure::one_line;
use crate::interface::Operation;
use crate::runner::Runner;
use crate::sensitive::holds_secret;
use crate::volume;

/// Bytes of the kept folder.
const STATE_BYTES: u64 = 16 << 20;
/// Files of the kept folder.
const STATE_FILES: usize = 1_000;
/// Name of the command that links the volumes.
const LINK_VOLUMES: &str = "podium-volumes";
/// The longest scalar that also becomes a variable, in bytes: the kernel bounds what a program may be given.
const LONGEST_VARIABLE: usize = 32 << 10;

/// Puts together what the runner is to run.
pub(super) async fn prepare(
    operation: &Operation,
    action: Action,
    runner: &dyn Runner,
) -> Result<StepSpec, String> {
    let steps = action.steps(&operation.content).unwrap_or_default();
    let secrets = operation.secrets();
    let root = runner.step_root(&operation.step);
    let root = root
        .to_str()
        .ok_or("the runner's folder has a name that is not UTF-8")?;

    let mut files = input_files(operation)?;
    let mut folders: Vec<String> = [
        "kratix/input",
        "kratix/output",
        "kratix/metadata",
        "state",
        "volumes",
        "tmp",
        "home",
        "run",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    let mut module = None;
    if let Some(bundle) = &operation.bundle {
        let own = operation
            .content
            .source
            .as_ref()
            .map_or("", |source| &source.path);
        let unpacked = bundle::unpack(bundle, "module", own).map_err(|error| one_line(&error))?;
        folders.extend(unpacked.folders);
        folders.push(unpacked.module.clone());
        files.extend(unpacked.files);
        module = Some(unpacked.module);
    }
    if let Some(state) = &operation.state {
        let archive = Archive::decode(state.expose()).map_err(|error| {
            format!(
                "the kept state of the resource cannot be read: {}",
                one_line(&error)
            )
        })?;
        for entry in archive.entries {
            files.push(RootFile::bytes(
                format!("state/{}", entry.path),
                entry.content,
                entry.mode,
            ));
        }
    }

    let may_run_podium = operation.content.tools.iter().any(|tool| tool == "podium");
    let path = runner
        .command_path(may_run_podium)
        .map_err(|error| one_line(&error))?;
    let environment = environment(operation, action, root, module.as_deref(), path, &secrets);
    let mut commands = Vec::with_capacity(steps.len() + 1);
    let mut grants = Vec::new();
    if !operation.script.volumes.is_empty() {
        let (links, granted) = volumes(operation, runner, root, &environment).await?;
        commands.extend(links);
        grants = granted;
    }
    for (position, (step, name)) in steps.iter().zip(command_names(steps)).enumerate() {
        let argv = match (&step.run, step.command.as_slice()) {
            (Some(script), []) => {
                let path = format!("run/{name}.sh");
                files.push(RootFile::bytes(path.clone(), script.as_bytes(), 0o600));
                vec!["/bin/sh".to_owned(), "-e".to_owned(), format!("{root}/{path}")]
            }
            (None, argv @ [_, ..]) => argv.to_vec(),
            _ => {
                return Err(format!(
                    "step `{}` needs either `run` or `command`, and not both",
                    step.name
                ));
            }
        };
        let mut env = environment.clone();
        env.extend(own_environment(
            operation, action, position, &step.name, &secrets,
        )?);
        let env = env.into_iter().collect();
        commands.push(StepCommand {
            name,
            argv,
            env,
            folder: module.clone(),
        });
    }

    let mut spec = StepSpec::new(operation.step.clone(), commands);
    spec.folders = folders;
    spec.files = files;
    spec.masked = secrets;
    spec.time_limit = Duration::from_secs(operation.content.timeout_seconds.into());
    spec.lease_deadline_ms = Some(operation.deadline_ms).filter(|deadline| *deadline > 0);
    spec.grants = grants;
    spec.may_run_podium = may_run_podium;
    if operation.sensitive_outputs {
        spec.log = LogVisibility::Withheld;
    }
    if action == Action::Apply {
        spec.results = OUTPUT_FILES
            .map(|file| ResultFile {
                path: file.to_owned(),
                limit: OUTPUT_LIMIT,
            })
            .to_vec();
        spec.results.push(ResultFile {
            path: SENSITIVE_FILE.to_owned(),
            limit: SENSITIVE_LIMIT,
        });
    }
    if action != Action::Observe {
        spec.state = Some(StateFolder {
            path: "state".to_owned(),
            limit: STATE_BYTES,
            files: STATE_FILES,
        });
    }
    Ok(spec)
}

/// The documents in the input folder. They hold secrets in plaintext, and are masked by those, not as a whole.
fn input_files(operation: &Operation) -> Result<Vec<RootFile>, String> {
    let file = |name: &str, json: &Json| {
        serde_json::to_vec_pretty(json)
            .map(|text| RootFile {
                path: format!("kratix/input/{name}"),
                content: FileContent::Bytes(text),
                mode: 0o600,
            })
            .map_err(|error| format!("{name} cannot be written: {error}"))
    };
    let mut files = vec![
        file("object.yaml", &object(operation))?,
        file("inputs.json", operation.inputs.expose())?,
    ];
    if let Some(previous) = &operation.previous {
        let json = json!({"inputs": previous.inputs.expose(), "outputs": previous.outputs.expose()});
        files.push(file("previous.json", &json)?);
    }
    Ok(files)
}

/// The resource as a script sees it.
fn object(operation: &Operation) -> Json {
    let resource = &operation.resource;
    let outputs = operation.previous.as_ref().map_or_else(
        || Json::Object(Map::new()),
        |previous| previous.outputs.expose().clone(),
    );
    json!({
        "apiVersion": podium_model::kinds::api_version(),
        "kind": "Resource",
        "metadata": {
            "name": resource.name,
            "namespace": resource.namespace,
            "uid": resource.uid,
            "labels": {
                "podium.dev/project": resource.project,
                "podium.dev/environment": resource.environment,
                "podium.dev/environment-type": resource.environment_type,
            },
        },
        "spec": {
            "type": resource.coordinate.resource_type,
            "class": resource.coordinate.class,
            "id": resource.coordinate.id,
            "params": operation.inputs.expose(),
        },
        "status": {"outputs": outputs},
    })
}

/// A text, marked when a secret is in it.
fn marked(text: &str, secrets: &[Secret]) -> Value {
    if holds_secret(text, secrets) {
        Value::Secret(Secret::new(text))
    } else {
        Value::Plain(text.to_owned())
    }
}

/// The variables that all steps share.
fn environment(
    operation: &Operation,
    action: Action,
    root: &str,
    module: Option<&str>,
    path: String,
    secrets: &[Secret],
) -> BTreeMap<String, Value> {
    let resource = &operation.resource;
    let mut env: BTreeMap<String, Value> = BTreeMap::new();
    scalars("INPUT", operation.inputs.expose(), secrets, &mut env);
    if let Some(previous) = &operation.previous {
        scalars("OUTPUT", previous.outputs.expose(), secrets, &mut env);
    }
    for (name, port) in &operation.ports {
        env.insert(
            format!("PODIUM_PORT_{}", variable(name)),
            Value::Plain(port.to_string()),
        );
    }
    let module = module.map_or_else(|| root.to_owned(), |module| format!("{root}/{module}"));
    let workflow = if action == Action::Destroy {
        "delete"
    } else {
        "configure"
    };
    let fixed = [
        ("PATH", path),
        ("HOME", format!("{root}/home")),
        ("TMPDIR", format!("{root}/tmp")),
        ("LANG", "C.UTF-8".to_owned()),
        ("PODIUM_ROOT", root.to_owned()),
        ("PODIUM_INPUT", format!("{root}/kratix/input")),
        ("PODIUM_OUTPUT", format!("{root}/kratix/output")),
        ("PODIUM_METADATA", format!("{root}/kratix/metadata")),
        ("PODIUM_STATE", format!("{root}/state")),
        ("PODIUM_MODULE", module),
        ("PODIUM_ACTION", action.as_str().to_owned()),
        ("PODIUM_RESOURCE_TYPE", resource.coordinate.resource_type.clone()),
        ("PODIUM_RESOURCE_CLASS", resource.coordinate.class.clone()),
        ("PODIUM_RESOURCE_ID", resource.coordinate.id.clone()),
        ("PODIUM_RESOURCE_NAME", resource.name.clone()),
        ("PODIUM_RESOURCE_UID", resource.uid.clone()),
        ("PODIUM_PROJECT", resource.project.clone()),
        ("PODIUM_ENVIRONMENT", resource.environment.clone()),
        ("PODIUM_ENVIRONMENT_TYPE", resource.environment_type.clone()),
        ("PODIUM_NAMESPACE", resource.namespace.clone()),
        ("KRATIX_INPUT", format!("{root}/kratix/input")),
        ("KRATIX_OUTPUT", format!("{root}/kratix/output")),
        ("KRATIX_METADATA", format!("{root}/kratix/metadata")),
        ("KRATIX_WORKFLOW_ACTION", workflow.to_owned()),
        ("KRATIX_WORKFLOW_TYPE", "resource".to_owned()),
        ("KRATIX_PIPELINE_NAME", operation.module.module.clone()),
        ("KRATIX_OBJECT_KIND", "Resource".to_owned()),
        ("KRATIX_OBJECT_GROUP", podium_model::kinds::GROUP.to_owned()),
        ("KRATIX_OBJECT_VERSION", podium_model::kinds::VERSION.to_owned()),
        ("KRATIX_OBJECT_NAME", resource.name.clone()),
        ("KRATIX_OBJECT_NAMESPACE", resource.namespace.clone()),
    ];
    for (name, text) in fixed {
        env.insert(name.to_owned(), Value::Plain(text));
    }
    env
}

/// Top-level scalars as variables. Names that meet are left out, since neither could be relied on.
fn scalars(prefix: &str, json: &Json, secrets: &[Secret], env: &mut BTreeMap<String, Value>) {
    let Some(map) = json.as_object() else { return };
    let mut taken = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for key in map.keys() {
        let name = variable(key);
        if !taken.insert(name.clone()) {
            twice.insert(name);
        }
    }
    for (key, value) in map {
        let name = variable(key);
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(flag) => flag.to_string(),
            _ => continue,
        };
        if twice.contains(&name) || text.len() > LONGEST_VARIABLE || text.contains('\0') {
            continue;
        }
        env.insert(format!("{prefix}_{name}"), marked(&text, secrets));
    }
}

/// The part of a variable's name that stands for a key.
pub(crate) fn variable(key: &str) -> String {
    key.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// The variables of one step's own.
fn own_environment(
    operation: &Operation,
    action: Action,
    position: usize,
    step: &str,
    secrets: &[Secret],
) -> Result<Vec<(String, Value)>, String> {
    let given = match action {
        Action::Apply => &operation.script.apply,
        Action::Destroy => &operation.script.destroy,
        Action::Observe => &operation.script.observe,
    };
    let Some(env) = given
        .get(position)
        .map(Revealed::expose)
        .and_then(Json::as_object)
    else {
        return Ok(Vec::new());
    };
    env.iter()
        .map(|(name, value)| {
            let text = match value {
                Json::Null => String::new(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let usable = !name.is_empty() && !name.contains(['=', '\0']) && !text.contains('\0');
            if usable {
                Ok((name.clone(), marked(&text, secrets)))
            } else {
                Err(format!(
                    "`env` of step `{step}` has a variable whose name or text is not possible"
                ))
            }
        })
        .collect()
}

/// The command that links the volumes, and what the steps may use of them.
async fn volumes(
    operation: &Operation,
    runner: &dyn Runner,
    root: &str,
    environment: &BTreeMap<String, Value>,
) -> Result<(Vec<StepCommand>, Vec<Grant>), String> {
    let mut commands = Vec::new();
    let mut grants = Vec::new();
    for (name, source) in &operation.script.volumes {
        let ordinary = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if name.is_empty() || name.starts_with('.') || !ordinary {
            return Err(format!(
                "volume `{name}`: use letters, digits, `-`, `_` and `.` in its name"
            ));
        }
        let (namespace, volume) = volume::resolve(source, &operation.resource.namespace)
            .map_err(|error| format!("volume `{name}`: {error}"))?;
        let folder = runner
            .ensure_volume(namespace, volume)
            .await
            .map_err(|error| format!("volume `{name}`: {}", one_line(&error)))?;
        let target = folder
            .to_str()
            .ok_or("the runner's folder has a name that is not UTF-8")?;
        commands.push(StepCommand {
            name: LINK_VOLUMES.to_owned(),
            argv: ["ln", "-s", "--", target, &format!("{root}/volumes/{name}")]
                .map(ToOwned::to_owned)
                .to_vec(),
            env: environment
                .clone()
                .into_iter()
                .filter(|(name, _)| name == "PATH")
                .collect(),
            folder: None,
        });
        grants.push(Grant {
            path: folder,
            write: true,
        });
    }
    Ok((commands, grants))
}

/// Names for the steps' commands that logs and files can bear, each only once.
pub(super) fn command_names(steps: &[ScriptStep]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(steps.len());
    for (position, step) in steps.iter().enumerate() {
        let mut name: String = step
            .name
            .chars()
            .take(60)
            .map(|character| {
                if character.is_ascii_alphanumeric() || "-_".contains(character) {
                    character
                } else {
                    '-'
                }
            })
            .collect();
        if name.is_empty() {
            name = format!("step-{}", position + 1);
        }
        if name == LINK_VOLUMES || names.contains(&name) {
            // No name above has a dot.
            name = format!("{name}.{}", position + 1);
        }
        names.push(name);
    }
    names
}
