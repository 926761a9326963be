//! One attempt of a probe.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Shared, spawn};
use crate::specification::{Probe, ProbeAction};
use crate::wire::Part;

/// The longest status line that is read.
const STATUS_LINE: u64 = 4096;

/// Tries a probe once.
pub(super) async fn attempt(shared: &Arc<Shared>, part: &Part, probe: &Probe) -> Result<(), String> {
    let limit = Duration::from_millis(probe.timeout_ms.max(1));
    match &probe.action {
        ProbeAction::HttpGet {
            host,
            port,
            path,
            headers,
            ..
        } => {
            let what = format!("GET http://{host}:{port}{path}");
            match tokio::time::timeout(limit, http_get(host, *port, path, headers)).await {
                Ok(Ok(code)) if (200..400).contains(&code) => Ok(()),
                Ok(Ok(code)) => Err(format!("{what} answered {code}")),
                Ok(Err(error)) => Err(format!("{what} failed: {error}")),
                Err(_) => Err(format!("{what} did not answer within {} ms", probe.timeout_ms)),
            }
        }
        ProbeAction::Exec { argv } => exec(shared, part, argv, limit).await,
    }
}

async fn http_get(host: &str, port: u16, path: &str, headers: &[(String, String)]) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect((host, port)).await?;
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    let given = |name: &str| {
        headers
            .iter()
            .any(|(header, _)| header.eq_ignore_ascii_case(name))
    };
    if !given("host") {
        let _ = write!(request, "Host: {host}:{port}\r\n");
    }
    if !given("user-agent") {
        request.push_str("User-Agent: podium-probe\r\n");
    }
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("Accept: */*\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut from = stream.take(STATUS_LINE);
    let mut buffer = [0_u8; 512];
    while !answer.contains(&b'\n') {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    status_code(&answer).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}

fn status_code(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let text = std::str::from_utf8(line)
        .ok()?
        .trim_end()
        .strip_prefix("HTTP/1.")?;
    text.split(' ').nth(1)?.parse().ok()
}

async fn exec(shared: &Arc<Shared>, part: &Part, argv: &[String], limit: Duration) -> Result<(), String> {
    let what = argv.first().map_or("", String::as_str);
    let mut started = spawn::start(shared, &part.command, argv, &part.volumes, false).await?;
    // Also when this attempt is given up because the container ended.
    let guard = Guard {
        shared: Arc::clone(shared),
        group: started.pid,
    };
    let waited = tokio::time::timeout(limit, started.child.wait()).await;
    drop(guard);
    let Ok(status) = waited else {
        let _ = started.child.wait().await;
        return Err(format!("`{what}` did not end within {} ms", limit.as_millis()));
    };
    match spawn::exit_of(&status) {
        exit if exit.is_success() => Ok(()),
        exit => Err(format!("`{what}` ended with {exit}")),
    }
}

struct Guard {
    shared: Arc<Shared>,
    group: i32,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.group), Signal::SIGKILL);
        self.shared.family.remove(self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::status_code;

    #[test]
    fn reads_only_http_status_lines() {
        assert_eq!(status_code(b"HTTP/1.1 204 No Content\r\nx: y\r\n"), Some(204));
        assert_eq!(status_code(b"HTTP/1.0 500\n"), Some(500));
        assert_eq!(status_code(b"SSH-2.0-OpenSSH 200\r\n"), None);
        assert_eq!(status_code(b""), None);
    }
}
