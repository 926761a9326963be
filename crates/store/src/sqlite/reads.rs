//! Queries: objects, lists, journals, history.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::failure::database;
use super::schema::number;
use crate::error::{StoreError, WatchError};
use crate::types::{
    Event, EventKind, JournalRow, Key, ListPage, ListRequest, ResourceKey, Revision, StoredObject,
    WatchRequest,
};

/// A page of history ends with the commit that reaches one of these.
const PAGE_EVENTS: usize = 512;
const PAGE_BYTES: usize = 1024 * 1024;

/// Reads one object.
pub(super) fn get(connection: &Connection, key: &Key) -> Result<Option<StoredObject>, StoreError> {
    let failed = database("reading an object");
    let mut statement = connection
        .prepare_cached(
            "SELECT o.revision, o.created, v.principal, v.value FROM objects o
             JOIN versions v ON v.revision = o.revision
             WHERE o.api_group = ?1 AND o.resource = ?2 AND o.namespace = ?3 AND o.name = ?4",
        )
        .map_err(&failed)?;
    let ResourceKey { group, resource } = &key.resource;
    let mut rows = statement
        .query(params![&**group, &**resource, &*key.namespace, &*key.name])
        .map_err(&failed)?;
    let Some(row) = rows.next().map_err(&failed)? else {
        return Ok(None);
    };
    object(row, 0, key.clone()).map(Some)
}

/// Reads a page of a list, and the revision at which it was read.
pub(super) fn list(connection: &Connection, request: &ListRequest) -> Result<ListPage, StoreError> {
    let failed = database("reading a list");
    // One read transaction: the revision and the rows are of the same moment.
    let snapshot = connection.unchecked_transaction().map_err(&failed)?;
    let revision = Revision(number(&snapshot, "revision").map_err(&failed)?);
    let mut page = ListPage {
        items: Vec::new(),
        revision,
        more: false,
    };
    let empty: Arc<str> = "".into();
    let (group, resource) = (&*request.resource.group, &*request.resource.resource);
    let limit = if request.limit == 0 {
        usize::MAX
    } else {
        request.limit
    };
    let sql_limit = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    // Names begin after the empty one, which is no name, unless a page before says otherwise.
    let (after_namespace, after_name) = match &request.after {
        Some((namespace, name)) => (namespace, Some(&**name)),
        None => (&empty, None),
    };
    let mut statement;
    let mut rows = if let Some(namespace) = &request.namespace {
        if after_namespace > namespace {
            return Ok(page);
        }
        let after_name = after_name.filter(|_| after_namespace == namespace);
        statement = snapshot
            .prepare_cached(if after_name.is_some() {
                "SELECT o.namespace, o.name, o.revision, o.created, v.principal, v.value FROM objects o
                 JOIN versions v ON v.revision = o.revision
                 WHERE o.api_group = ?1 AND o.resource = ?2 AND o.namespace = ?3 AND o.name > ?4
                 ORDER BY o.name LIMIT ?5"
            } else {
                "SELECT o.namespace, o.name, o.revision, o.created, v.principal, v.value FROM objects o
                 JOIN versions v ON v.revision = o.revision
                 WHERE o.api_group = ?1 AND o.resource = ?2 AND o.namespace = ?3 AND o.name >= ?4
                 ORDER BY o.name LIMIT ?5"
            })
            .map_err(&failed)?;
        statement.query(params![
            group,
            resource,
            &**namespace,
            after_name.unwrap_or(""),
            sql_limit
        ])
    } else {
        statement = snapshot
            .prepare_cached(if after_name.is_some() {
                "SELECT o.namespace, o.name, o.revision, o.created, v.principal, v.value FROM objects o
                 JOIN versions v ON v.revision = o.revision
                 WHERE o.api_group = ?1 AND o.resource = ?2 AND (o.namespace, o.name) > (?3, ?4)
                 ORDER BY o.namespace, o.name LIMIT ?5"
            } else {
                "SELECT o.namespace, o.name, o.revision, o.created, v.principal, v.value FROM objects o
                 JOIN versions v ON v.revision = o.revision
                 WHERE o.api_group = ?1 AND o.resource = ?2 AND (o.namespace, o.name) >= (?3, ?4)
                 ORDER BY o.namespace, o.name LIMIT ?5"
            })
            .map_err(&failed)?;
        statement.query(params![
            group,
            resource,
            &**after_namespace,
            after_name.unwrap_or(""),
            sql_limit
        ])
    }
    .map_err(&failed)?;
    // Neighbours share a namespace: one text for all of them.
    let mut namespace = empty;
    while let Some(row) = rows.next().map_err(&failed)? {
        if page.items.len() == limit {
            page.more = true;
            break;
        }
        share(&mut namespace, text(row, 0)?);
        let name = text(row, 1)?.into();
        let key = Key {
            resource: request.resource.clone(),
            namespace: Arc::clone(&namespace),
            name,
        };
        page.items.push(object(row, 2, key)?);
    }
    Ok(page)
}

/// The columns revision, created, principal, value from `at` on.
fn object(row: &Row<'_>, at: usize, key: Key) -> Result<StoredObject, StoreError> {
    let failed = database("reading an object");
    let revision = Revision(row.get(at).map_err(&failed)?);
    let created = Revision(row.get(at + 1).map_err(&failed)?);
    let principal = text(row, at + 2)?.into();
    let value = parse(text(row, at + 3)?, || key.to_string())?;
    Ok(StoredObject {
        key,
        revision,
        created,
        principal,
        value: Arc::new(value),
    })
}

/// Reads the journal of a run from a place on.
pub(super) fn journal(connection: &Connection, run: &str, from: u64) -> Result<Vec<JournalRow>, StoreError> {
    let failed = database("reading a journal");
    // What SQLite cannot hold is beyond the end of every journal.
    let Ok(from) = i64::try_from(from) else {
        return Ok(Vec::new());
    };
    let mut statement = connection
        .prepare_cached(
            "SELECT sequence, record FROM journal WHERE run = ?1 AND sequence >= ?2 ORDER BY sequence",
        )
        .map_err(&failed)?;
    let mut rows = statement.query(params![run, from]).map_err(&failed)?;
    let mut journal = Vec::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        let sequence = row.get(0).map_err(&failed)?;
        let record = parse(text(row, 1)?, || {
            format!("row {sequence} of the journal of run {run}")
        })?;
        journal.push(JournalRow { sequence, record });
    }
    Ok(journal)
}

/// Checks that a watch can begin.
pub(super) fn check_watch(connection: &Connection, after: Revision) -> Result<(), WatchError> {
    let failed = database("beginning a watch");
    let snapshot = connection.unchecked_transaction().map_err(&failed)?;
    let current = Revision(number(&snapshot, "revision").map_err(&failed)?);
    let oldest = Revision(number(&snapshot, "compacted").map_err(&failed)?);
    if after > current {
        return Err(WatchError::TooNew {
            requested: after,
            current,
        });
    }
    if after < oldest {
        return Err(WatchError::TooOld {
            requested: after,
            oldest,
        });
    }
    Ok(())
}

/// A stretch of history.
pub(super) struct Page {
    /// Commits with selected events, by their last revision, and at the end the revision that was reached.
    pub(super) batches: Vec<(Revision, Vec<Event>)>,
    /// Up to where history was read. More may follow.
    pub(super) reached: Revision,
}

/// Reads what came after `after`, whole commits, as far as one page goes.
pub(super) fn history(
    connection: &Connection,
    request: &WatchRequest,
    after: Revision,
) -> Result<Page, WatchError> {
    let failed = database("reading history");
    let snapshot = connection.unchecked_transaction().map_err(&failed)?;
    let oldest = Revision(number(&snapshot, "compacted").map_err(&failed)?);
    if after < oldest {
        return Err(WatchError::TooOld {
            requested: after,
            oldest,
        });
    }
    let current = Revision(number(&snapshot, "revision").map_err(&failed)?);
    let (group, resource) = match &request.resource {
        Some(key) => (Some(&*key.group), Some(&*key.resource)),
        None => (None, None),
    };
    let mut statement = snapshot
        .prepare_cached(
            "SELECT v.revision, v.last, v.api_group, v.resource, v.namespace, v.name, v.created, v.principal,
                v.value, (SELECT p.value FROM versions p WHERE p.revision = v.previous)
             FROM versions v
             WHERE v.revision > ?1 AND (?2 IS NULL OR (v.api_group = ?2 AND v.resource = ?3))
                AND (?4 IS NULL OR v.namespace = ?4)
             ORDER BY v.revision",
        )
        .map_err(&failed)?;
    let mut rows = statement
        .query(params![after.0, group, resource, request.namespace.as_deref()])
        .map_err(&failed)?;
    let mut batches: Vec<(Revision, Vec<Event>)> = Vec::new();
    let (mut events, mut bytes) = (0, 0);
    while let Some(row) = rows.next().map_err(&failed)? {
        let last = Revision(row.get(1).map_err(&failed)?);
        let (event, length) = event(row)?;
        match batches.last_mut() {
            Some((batch, events)) if *batch == last => events.push(event),
            Some((reached, _)) if events >= PAGE_EVENTS || bytes >= PAGE_BYTES => {
                let reached = *reached;
                return Ok(Page { batches, reached });
            }
            _ => batches.push((last, vec![event])),
        }
        events += 1;
        bytes += length;
    }
    if batches.last().is_none_or(|(last, _)| *last < current) && current > after {
        batches.push((current, Vec::new()));
    }
    Ok(Page {
        batches,
        reached: current,
    })
}

fn event(row: &Row<'_>) -> Result<(Event, usize), StoreError> {
    let failed = database("reading history");
    let revision = Revision(row.get(0).map_err(&failed)?);
    let key = Key {
        resource: ResourceKey::new(text(row, 2)?, text(row, 3)?),
        namespace: text(row, 4)?.into(),
        name: text(row, 5)?.into(),
    };
    let named = || format!("{key} at revision {revision}");
    let value = optional_text(row, 8)?;
    let before = optional_text(row, 9)?;
    let previous = before.map(|text| parse(text, named)).transpose()?.map(Arc::new);
    let (kind, value_now) = match (value, &previous) {
        (None, Some(previous)) => (EventKind::Deleted, Arc::clone(previous)),
        (Some(value), Some(_)) => (EventKind::Updated, Arc::new(parse(value, named)?)),
        (Some(value), None) => (EventKind::Created, Arc::new(parse(value, named)?)),
        (None, None) => return Err(StoreError::Damaged { what: named() }),
    };
    let length = value.map_or(0, str::len) + before.map_or(0, str::len);
    let created = Revision(row.get(6).map_err(&failed)?);
    let principal = text(row, 7)?.into();
    let object = StoredObject {
        key,
        revision,
        created,
        principal,
        value: value_now,
    };
    Ok((
        Event {
            kind,
            object,
            previous,
        },
        length,
    ))
}

/// The texts that two neighbours have in common are kept once.
fn share(kept: &mut Arc<str>, text: &str) {
    if **kept != *text {
        *kept = text.into();
    }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    optional_text(row, column)?.ok_or_else(|| StoreError::Damaged {
        what: format!("column {column} is empty"),
    })
}

fn optional_text<'a>(row: &'a Row<'_>, column: usize) -> Result<Option<&'a str>, StoreError> {
    match row.get_ref(column).map_err(database("reading a column"))? {
        ValueRef::Null => Ok(None),
        other => other.as_str().map(Some).map_err(|error| StoreError::Damaged {
            what: format!("column {column} is no text: {error}"),
        }),
    }
}

fn parse(text: &str, what: impl Fn() -> String) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged {
        what: format!("{} is no JSON: {error}", what()),
    })
}
