//! Watching objects: from a revision, resumed when the connection breaks.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value as Json;

use super::connection::Client;
use super::error::ClientError;
use super::lines::Lines;

/// How long to wait before the next try to reach a server that is away: doubled each time up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Pauses between tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses(Duration);

impl Pauses {
    /// From the shortest.
    pub(crate) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// Waits, and makes the next pause longer.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }

    /// It worked: the next pause is short again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

/// What happened to an object.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    /// The object, or the `Status` of an error.
    pub(crate) object: Json,
}

/// A watch of a collection.
pub(crate) struct Watch {
    client: Client,
    path: String,
    selector: Option<String>,
    revision: String,
    lines: Option<Lines>,
    pauses: Pauses,
}

impl Watch {
    /// Begins after `revision`, which a list returned. `name` watches one object only.
    pub(crate) fn new(client: &Client, path: &str, name: Option<&str>, revision: &str) -> Self {
        Self {
            client: client.clone(),
            path: path.to_owned(),
            selector: name.map(|name| format!("metadata.name={name}")),
            revision: revision.to_owned(),
            lines: None,
            pauses: Pauses::new(),
        }
    }

    /// The next event. Bookmarks are taken note of and left out; a server that is away is waited for.
    pub(crate) async fn next(&mut self) -> Result<Event> {
        loop {
            let lines = match self.lines.take() {
                Some(lines) => self.lines.insert(lines),
                None => match self.open().await {
                    Ok(lines) => {
                        self.pauses.reset();
                        self.lines.insert(lines)
                    }
                    Err(error) if error.is_passing() => {
                        self.pauses.wait().await;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
            };
            match lines.next().await {
                Ok(Some(line)) => {
                    let event: Event = serde_json::from_slice(&line)?;
                    if event.event_type == "ERROR" {
                        let message = event
                            .object
                            .get("message")
                            .and_then(Json::as_str)
                            .unwrap_or("it gives no reason");
                        bail!("the watch ended: {message}\nstart it again to see what has happened since");
                    }
                    if let Some(revision) = event
                        .object
                        .pointer("/metadata/resourceVersion")
                        .and_then(Json::as_str)
                    {
                        revision.clone_into(&mut self.revision);
                    }
                    if event.event_type != "BOOKMARK" {
                        return Ok(event);
                    }
                }
                // Servers end watches now and then: it goes on from where it was.
                Ok(None) => {
                    self.lines = None;
                    self.pauses.wait().await;
                }
                Err(error) if error.is_passing() => self.lines = None,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn open(&self) -> Result<Lines, ClientError> {
        let mut query = vec![
            ("watch", "true".to_owned()),
            ("resourceVersion", self.revision.clone()),
            ("allowWatchBookmarks", "true".to_owned()),
        ];
        if let Some(selector) = &self.selector {
            query.push(("fieldSelector", selector.clone()));
        }
        let response = self.client.stream(&self.path, &query).await?;
        Ok(Lines::new(&self.client, response))
    }
}
