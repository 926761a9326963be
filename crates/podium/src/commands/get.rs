//! `podium get`: objects as a table, or as they are.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use podium_model::kinds::{GROUP, KindDefinition, api_version};
use serde_json::{Value as Json, json};

use super::now;
use crate::cli::Context;
use crate::client::connection::Client;
use crate::client::kinds::{self, find};
use crate::client::target::{Selection, Target};
use crate::client::watch::Watch;
use crate::render::objects::ObjectTable;
use crate::render::structured;
use crate::render::text::harmless;

/// Objects in one answer of the server.
const PAGE: &str = "500";

/// Show objects.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Kind: plural, singular or short name
    kind: String,
    /// Names; all when none is given
    names: Vec<String>,
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Go on as objects change
    #[arg(short, long)]
    watch: bool,
    /// Format of the answer
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t = ObjectFormat::Table)]
    format: ObjectFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ObjectFormat {
    /// A line an object
    Table,
    /// A line an object, with all columns
    Wide,
    /// As it is
    Json,
    /// As it is
    Yaml,
    /// KIND/NAME, a line an object
    Name,
}

/// The namespace of a command about objects of a kind: `None` when they have none, or all are meant.
pub(super) async fn namespace(
    context: &Context<'_>,
    client: &Client,
    kind: &KindDefinition,
    all: bool,
) -> Result<Option<String>> {
    if !kind.namespaced || all {
        return Ok(None);
    }
    match context.selection(client)? {
        Selection::Namespace(namespace) => Ok(Some(namespace)),
        selection @ Selection::Named { .. } => Ok(Some(Target::find(client, &selection).await?.namespace)),
    }
}

/// The objects of a list, page by page, and the revision that they are of.
async fn list(client: &Client, path: &str, selector: Option<&str>) -> Result<(Vec<Json>, String)> {
    let mut items = Vec::new();
    let mut next = String::new();
    loop {
        let mut query = vec![("limit", PAGE.to_owned())];
        if !next.is_empty() {
            query.push(("continue", next));
        }
        if let Some(selector) = selector {
            query.push(("labelSelector", selector.to_owned()));
        }
        let mut page: Json = client.get(path, &query).await?;
        if let Some(Json::Array(more)) = page.get_mut("items").map(Json::take) {
            items.extend(more);
        }
        let text = |pointer: &str| {
            page.pointer(pointer)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        next = text("/metadata/continue");
        if next.is_empty() {
            return Ok((items, text("/metadata/resourceVersion")));
        }
    }
}

pub(crate) async fn run(args: &GetArgs, context: &Context<'_>) -> Result<ExitCode> {
    let kind = find(&args.kind)?;
    let client = context.client()?;
    if args.all_namespaces && !args.names.is_empty() {
        bail!("objects are named within one namespace: leave out -A, or the names");
    }
    if args.watch && args.names.len() > 1 {
        bail!("one object can be watched, or all of them");
    }
    let namespace = namespace(context, &client, &kind, args.all_namespaces).await?;
    let collection = kinds::collection(kind.plural, namespace.as_deref());
    let (objects, revision) = if args.names.is_empty() {
        list(&client, &collection, args.selector.as_deref()).await?
    } else {
        let mut objects = Vec::new();
        for name in &args.names {
            let object: Json = client
                .get(&kinds::object(kind.plural, namespace.as_deref(), name), &[])
                .await?;
            objects.push(object);
        }
        let revision = objects
            .first()
            .and_then(|object| object.pointer("/metadata/resourceVersion"))
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned();
        (objects, revision)
    };
    show(args, context, &kind, &objects, namespace.as_deref())?;
    if args.watch {
        let name = args.names.first().map(String::as_str);
        let mut watch = Watch::new(&client, &collection, name, &revision);
        loop {
            let event = tokio::select! {
                event = watch.next() => event?,
                _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
            };
            let deleted = event.event_type == "DELETED";
            one(args, context, &kind, &event.object, deleted)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `kind.group/name`, as scripts hand it on.
fn object_name(kind: &KindDefinition, object: &Json) -> String {
    let name = object
        .pointer("/metadata/name")
        .and_then(Json::as_str)
        .unwrap_or_default();
    format!("{}.{GROUP}/{}", kind.singular, harmless(name))
}

fn show(
    args: &GetArgs,
    context: &Context<'_>,
    kind: &KindDefinition,
    objects: &[Json],
    namespace: Option<&str>,
) -> Result<()> {
    let terminal = context.terminal;
    match args.format {
        ObjectFormat::Table | ObjectFormat::Wide => {
            if objects.is_empty() {
                let place =
                    namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
                terminal.talk(&format!("no {}{place}", kind.plural));
                return Ok(());
            }
            let table = ObjectTable::new(kind, args.all_namespaces, args.format == ObjectFormat::Wide);
            terminal.data(&table.render(objects, now(), terminal.paint()))?;
        }
        ObjectFormat::Name => {
            for object in objects {
                terminal.data(&object_name(kind, object))?;
            }
        }
        ObjectFormat::Json | ObjectFormat::Yaml => {
            let answer = match objects {
                [one] if args.names.len() == 1 => one.clone(),
                several => {
                    // Items of a list come without them from some servers.
                    let items: Vec<Json> = several.iter().map(|object| typed(kind, object)).collect();
                    json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
                }
            };
            let text = if args.format == ObjectFormat::Json {
                structured::json(&answer)?
            } else {
                structured::yaml(&answer)?
            };
            terminal.data(&text)?;
        }
    }
    Ok(())
}

fn typed(kind: &KindDefinition, object: &Json) -> Json {
    let mut typed = json!({"apiVersion": api_version(), "kind": kind.kind});
    if let (Some(typed), Some(object)) = (typed.as_object_mut(), object.as_object()) {
        typed.extend(object.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    typed
}

/// One change of a watch.
fn one(
    args: &GetArgs,
    context: &Context<'_>,
    kind: &KindDefinition,
    object: &Json,
    deleted: bool,
) -> Result<()> {
    let terminal = context.terminal;
    let end = if deleted { "   deleted" } else { "" };
    match args.format {
        ObjectFormat::Table | ObjectFormat::Wide => {
            let table = ObjectTable::new(kind, args.all_namespaces, args.format == ObjectFormat::Wide);
            let text = table.render(std::slice::from_ref(object), now(), terminal.paint());
            let row = text.lines().nth(1).unwrap_or_default();
            terminal.data(&format!("{row}{end}"))?;
        }
        ObjectFormat::Name => terminal.data(&format!("{}{end}", object_name(kind, object)))?,
        ObjectFormat::Json => terminal.data(&structured::json(&typed(kind, object))?)?,
        ObjectFormat::Yaml => terminal.data(&format!("---\n{}", structured::yaml(&typed(kind, object))?))?,
    }
    Ok(())
}
