//! The sample as a visitor sees it: over HTTP, on a port and a file of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Settings, serve};

const KEY: &str = "0123456789abcdef";

fn settings(database: &Path, key: &str, megabytes: &str) -> Settings {
    Settings::from_environment(|name| match name {
        "PORT" => Some("1".to_owned()),
        "DATABASE" => Some(database.display().to_string()),
        "DATABASE_MEGABYTES" => Some(megabytes.to_owned()),
        "TITLE" => Some("Tom & Jerry's <notes>".to_owned()),
        "COOKIE_KEY" => Some(key.to_owned()),
        _ => None,
    })
    .expect("complete settings")
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, settings, async move {
            let _told = stopped.await;
        }));
        Self { address, stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).expect("it still runs");
        self.task.await.expect("no panic").expect("a clean end");
    }

    async fn request(&self, request: String) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the request is sent");
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.expect("an answer");
        let raw = String::from_utf8(raw).expect("text");
        let (head, body) = raw.split_once("\r\n\r\n").expect("a head and a body");
        Answer {
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.request(format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
        ))
        .await
    }

    async fn post(&self, body: &str, headers: &str) -> Answer {
        self.request(format!(
            "POST /notes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        ))
        .await
    }
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// What a browser would send back.
    fn cookie(&self) -> String {
        let value = self.header("set-cookie").expect("a cookie");
        format!("cookie: {}\r\n", value.split(';').next().expect("its pair"))
    }
}

#[tokio::test]
async fn notes_outlive_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("notes.sqlite");
    let first = Running::start(settings(&database, KEY, "16")).await;
    assert!(first.get("/", "").await.body.contains("No notes yet."));
    let kept = first.post("name=Ada&text=first+thing", "").await;
    assert_eq!(kept.status(), 303, "{}", kept.head);
    assert_eq!(kept.header("location"), Some("/"));
    first.stop().await;

    let second = Running::start(settings(&database, KEY, "16")).await;
    let page = second.get("/", "").await.body;
    assert!(page.contains("first thing") && page.contains("Ada"), "{page}");
    second.stop().await;
}

#[tokio::test]
async fn what_visitors_write_is_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(settings(&folder.path().join("n"), KEY, "16")).await;
    let script = "%3Cscript%3Ealert%281%29%3C%2Fscript%3E";
    let kept = server
        .post(&format!("name=%22%3E%3Cb%3E&text={script}"), "")
        .await;
    let page = server.get("/", &kept.cookie()).await;
    assert!(
        !page.body.contains("<script") && !page.body.contains("<b>"),
        "{}",
        page.body
    );
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.body.contains("value=\"&quot;&gt;&lt;b&gt;\""));
    assert!(
        page.body
            .contains("<title>Tom &amp; Jerry&#39;s &lt;notes&gt;</title>")
    );
    assert!(
        page.header("content-security-policy")
            .is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    server.stop().await;
}

#[tokio::test]
async fn only_names_signed_with_this_key_are_remembered() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("n");
    let server = Running::start(settings(&database, KEY, "16")).await;
    let cookie = server.post("name=Gr%C3%A4fin+%C3%96&text=x", "").await.cookie();
    assert!(server.get("/", &cookie).await.body.contains("value=\"Gräfin Ö\""));
    let pair = cookie.trim_end();
    let altered = format!("{}{}\r\n", &pair[..pair.len() - 4], "AAAA");
    assert!(server.get("/", &altered).await.body.contains("value=\"\""));
    let forgotten = server.post("name=&text=y", &cookie).await;
    assert!(
        forgotten
            .header("set-cookie")
            .is_some_and(|value| value.contains("Max-Age=0"))
    );
    server.stop().await;

    let other = Running::start(settings(&database, "another key of 32 characters....", "16")).await;
    assert!(other.get("/", &cookie).await.body.contains("value=\"\""));
    other.stop().await;
}

#[tokio::test]
async fn bad_forms_are_refused_and_nothing_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(settings(&folder.path().join("n"), KEY, "16")).await;
    assert_eq!(server.post("name=a&text=+++", "").await.status(), 422);
    assert_eq!(
        server
            .post(&format!("name=a&text={}", "x".repeat(1_001)), "")
            .await
            .status(),
        422
    );
    assert_eq!(
        server
            .post(&format!("name={}&text=x", "x".repeat(41)), "")
            .await
            .status(),
        422
    );
    assert_eq!(
        server
            .post(&format!("text={}", "x".repeat(20_000)), "")
            .await
            .status(),
        413
    );
    assert_eq!(
        server
            .post("text=x", "sec-fetch-site: cross-site\r\n")
            .await
            .status(),
        403
    );
    let page = server.post("name=Ada&text=", "").await;
    assert!(page.body.contains("role=\"alert\"") && page.body.contains("value=\"Ada\""));
    assert!(server.get("/", "").await.body.contains("No notes yet."));
    server.stop().await;
}

#[tokio::test]
async fn a_seed_is_taken_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("n");
    std::fs::write(folder.path().join("n.seed"), "Welcome\n\n to staging \n").expect("a seed");
    std::fs::write(&database, "").expect("an empty file, as the module makes it");
    for _ in 0..2 {
        let server = Running::start(settings(&database, KEY, "16")).await;
        let page = server.get("/", "").await.body;
        assert_eq!(page.matches("<li>").count(), 2, "{page}");
        assert!(page.contains("<p>to staging</p>"));
        server.stop().await;
    }
}

#[tokio::test]
async fn health_follows_the_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("n");
    let server = Running::start(settings(&database, KEY, "16")).await;
    assert_eq!(server.get("/healthz", "").await.status(), 200);
    std::fs::remove_file(&database).expect("it is there");
    let answer = server.get("/healthz", "").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.body.contains("is gone"), "{}", answer.body);
    server.stop().await;
}

#[tokio::test]
async fn a_full_database_says_so_and_goes_on_reading() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("n");
    let server = Running::start(settings(&database, KEY, "1")).await;
    assert_eq!(server.get("/healthz", "").await.status(), 200);
    let connection = rusqlite::Connection::open(&database).expect("the same file");
    connection
        .execute(
            "INSERT INTO notes (author, text) VALUES ('', CAST(zeroblob(1030000) AS TEXT))",
            [],
        )
        .expect("another program fills it");
    let mut last = 303;
    for _ in 0..100 {
        last = server
            .post(&format!("text={}", "x".repeat(1_000)), "")
            .await
            .status();
        if last != 303 {
            break;
        }
    }
    assert_eq!(last, 507);
    assert_eq!(server.get("/healthz", "").await.status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("n");
    std::fs::write(
        &database,
        "this is certainly not the header of a database, it is prose".repeat(20),
    )
    .expect("written");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let error = serve(listener, settings(&database, KEY, "16"), std::future::pending())
        .await
        .expect_err("it cannot serve");
    assert!(
        format!("{error:#}").contains(&database.display().to_string()),
        "{error:#}"
    );
}

#[test]
fn missing_settings_are_named() {
    let complete = [("PORT", "80"), ("DATABASE", "x"), ("COOKIE_KEY", KEY)];
    let with = |changed: &'static str, value: Option<&'static str>| {
        Settings::from_environment(move |name| {
            if name == changed {
                return value.map(str::to_owned);
            }
            complete
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
        .err()
        .map(|error| format!("{error:#}"))
    };
    assert_eq!(with("TITLE", None), None);
    for name in ["PORT", "DATABASE", "COOKIE_KEY"] {
        let message = with(name, None).expect("refused");
        assert!(message.contains(name), "{message}");
    }
    for (name, value) in [
        ("PORT", "99999"),
        ("COOKIE_KEY", "short"),
        ("DATABASE_MEGABYTES", "0"),
    ] {
        let message = with(name, Some(value)).expect("refused");
        assert!(message.contains(name), "{message}");
        assert!(
            name != "COOKIE_KEY" || !message.contains(value),
            "a secret is not repeated: {message}"
        );
    }
}
