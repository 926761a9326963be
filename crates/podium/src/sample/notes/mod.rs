//! `podium sample notes`: a small web page that keeps notes.
//!
//! **What it guarantees.** A note that was answered with success is on the disk. Whatever a visitor writes is shown
//! as text, never as markup. The page needs nothing but this server: no script, no font, no image. A request body
//! is bounded before it is parsed.
//!
//! **What it refuses.** A form that another site sends, notes that are empty or too long, a start without its
//! resources: the message names the variable that is missing.

mod page;
mod store;
#[cfg(test)]
mod tests;
mod visitor;

use std::future::Future;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::store::{NoteStore, StoreError};
use self::visitor::Signer;

/// Bytes of the largest form that is read: every character may take twelve when encoded.
const FORM_LIMIT: usize = 16 * 1024;
/// Characters of the longest note.
const NOTE_LIMIT: usize = 1_000;
/// Characters of the longest name.
const NAME_LIMIT: usize = 40;
/// Characters of the shortest key that is worth the name.
const KEY_MINIMUM: usize = 16;
/// How long requests under way may still take after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Size of the database, in MiB, when nobody says.
const DEFAULT_MEGABYTES: u32 = 16;

/// What the sample is given by its variables.
pub(super) struct Settings {
    port: u16,
    database: PathBuf,
    megabytes: u32,
    title: String,
    signer: Signer,
}

impl Settings {
    /// Reads them by name; the lookup is a parameter so that tests need not change the process.
    pub(super) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let required = |name: &str, what: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .with_context(|| format!("the variable {name} is not set: it must hold {what}"))
        };
        let port = required("PORT", "the port to listen on")?;
        let port = port
            .parse()
            .with_context(|| format!("PORT is `{port}`, which is no port number"))?;
        let database = PathBuf::from(required("DATABASE", "the path of the SQLite file")?);
        let megabytes = match variable("DATABASE_MEGABYTES").filter(|value| !value.is_empty()) {
            None => DEFAULT_MEGABYTES,
            Some(text) => text
                .parse()
                .ok()
                .filter(|megabytes| (1..=1024).contains(megabytes))
                .with_context(|| {
                    format!("DATABASE_MEGABYTES is `{text}`: it must be a number from 1 to 1024")
                })?,
        };
        let key = required("COOKIE_KEY", "the key that signs cookies")?;
        if key.len() < KEY_MINIMUM {
            bail!(
                "COOKIE_KEY has {} characters: it must have {KEY_MINIMUM} or more",
                key.len()
            );
        }
        Ok(Self {
            port,
            database,
            megabytes,
            title: variable("TITLE")
                .filter(|title| !title.is_empty())
                .unwrap_or_else(|| "Notes".to_owned()),
            signer: Signer::new(key.as_bytes()),
        })
    }
}

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{}", settings.port))?;
    serve(listener, settings, async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await
}

/// Serves on `listener` until `stop` is ready, then lets requests under way end.
async fn serve(
    listener: TcpListener,
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let Settings {
        database,
        megabytes,
        title,
        signer,
        ..
    } = settings;
    let store = tokio::task::spawn_blocking(move || NoteStore::open(&database, megabytes))
        .await
        .context("opening the database was interrupted")??;
    let address = listener
        .local_addr()
        .context("cannot tell the address that was bound")?;
    let application = Arc::new(Application { store, title, signer });
    say(&format!(
        "listening on http://{address}, {} notes",
        application.store.count()?
    ));

    let (stopped, mut stopping) = watch::channel(false);
    let graceful = async move {
        stop.await;
        say("stopping");
        stopped.send_replace(true);
    };
    let server = axum::serve(listener, router(application)).with_graceful_shutdown(graceful);
    let late = async move {
        // Ends only by `true`, or with the sender, which lives as long as the server does.
        drop(stopping.wait_for(|stopping| *stopping).await);
        tokio::time::sleep(STOP_LIMIT).await;
    };
    tokio::select! {
        ended = server => ended.context("the web server failed"),
        () = late => {
            say("requests were still under way; they were cut off");
            Ok(())
        }
    }
}

/// What handlers share.
struct Application {
    store: NoteStore,
    title: String,
    signer: Signer,
}

fn router(application: Arc<Application>) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/notes", post(add))
        .route("/healthz", get(health))
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .with_state(application)
}

/// What the form sends.
#[derive(Deserialize)]
struct NewNote {
    #[serde(default)]
    name: String,
    #[serde(default)]
    text: String,
}

async fn list(State(application): State<Arc<Application>>, headers: HeaderMap) -> Response {
    let name = application.signer.name_in(&headers).unwrap_or_default();
    render(application, StatusCode::OK, name, String::new(), None).await
}

async fn add(
    State(application): State<Arc<Application>>,
    headers: HeaderMap,
    form: Result<Form<NewNote>, FormRejection>,
) -> Response {
    let remembered = application.signer.name_in(&headers).unwrap_or_default();
    if is_foreign(&headers) {
        let problem = "This form came from another site, so nothing was kept.";
        return render(
            application,
            StatusCode::FORBIDDEN,
            remembered,
            String::new(),
            Some(problem),
        )
        .await;
    }
    let note = match form {
        Ok(Form(note)) => note,
        Err(rejection) => {
            let problem = "This could not be read as the form of this page.";
            return render(
                application,
                rejection.status(),
                remembered,
                String::new(),
                Some(problem),
            )
            .await;
        }
    };
    let name = note.name.trim().to_owned();
    let text = note.text.trim().to_owned();
    let problem = if text.is_empty() {
        Some("Write something first.".to_owned())
    } else if text.chars().count() > NOTE_LIMIT {
        Some(format!("A note has at most {NOTE_LIMIT} characters."))
    } else if name.chars().count() > NAME_LIMIT {
        Some(format!("A name has at most {NAME_LIMIT} characters."))
    } else {
        None
    };
    if let Some(problem) = problem {
        return render(
            application,
            StatusCode::UNPROCESSABLE_ENTITY,
            name,
            text,
            Some(&problem),
        )
        .await;
    }

    let keeper = Arc::clone(&application);
    let (author, content) = (name.clone(), text.clone());
    match blocking(move || keeper.store.add(&author, &content)).await {
        Ok(number) => {
            say(&format!("note {number} kept"));
            let cookie = application.signer.cookie(&name);
            let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                answer.headers_mut().append(header::SET_COOKIE, cookie);
            }
            answer
        }
        Err(StoreError::Full) => {
            let problem = "The database is full, so this note was not kept.";
            render(
                application,
                StatusCode::INSUFFICIENT_STORAGE,
                name,
                text,
                Some(problem),
            )
            .await
        }
        Err(error) => failed(&error),
    }
}

async fn health(State(application): State<Arc<Application>>) -> Response {
    match blocking(move || application.store.check()).await {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(error) => {
            let error = anyhow::Error::new(error);
            say(&format!("not healthy: {error:#}"));
            (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response()
        }
    }
}

/// The page, with what the visitor had entered and what was wrong with it.
async fn render(
    application: Arc<Application>,
    status: StatusCode,
    name: String,
    text: String,
    problem: Option<&str>,
) -> Response {
    let reader = Arc::clone(&application);
    let notes = match blocking(move || reader.store.newest()).await {
        Ok(notes) => notes,
        Err(error) => return failed(&error),
    };
    let page = page::Page {
        title: &application.title,
        notes: &notes,
        name: &name,
        text: &text,
        problem,
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(page.to_string())).into_response()
}

/// Whether a browser says that another site sent this. Other clients say nothing and are welcome.
fn is_foreign(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
}

/// SQLite blocks, so it runs beside the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StoreError::Interrupted)?
}

/// The cause goes to the log; visitors learn only that it was not their fault.
fn failed(error: &StoreError) -> Response {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    say(&text);
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "The notes cannot be reached just now.\n",
    )
        .into_response()
}

/// One line of the workload's log. A closed stdout is no reason to stop serving.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
