//! Who may reach a new server: the one who can read its data folder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use podium_apiserver::{Principal, Token};
use ring::rand::SecureRandom as _;

/// Name of the file that holds the administrator's token.
const TOKEN_FILE: &str = "admin-token";

/// The administrator, who may do everything.
pub(super) fn admin(token: &str) -> Token {
    Token {
        secret: token.to_owned(),
        principal: Principal {
            name: "admin".to_owned(),
            groups: vec!["system:masters".to_owned()],
        },
    }
}

/// Reads the administrator's token, or draws it at the first start.
pub(super) fn admin_token(data: &Path) -> Result<String> {
    let path = data.join(TOKEN_FILE);
    let place = || format!("the administrator's token {}", path.display());
    match File::open(&path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(4096).read_to_string(&mut text).with_context(place)?;
            let token = text.trim().to_owned();
            if token.len() < 32 {
                return Err(anyhow!(
                    "{} is too short to be one: remove the file, and a new one is drawn",
                    place()
                ));
            }
            Ok(token)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = [0_u8; 32];
            ring::rand::SystemRandom::new()
                .fill(&mut bytes)
                .map_err(|_| anyhow!("the machine gives no random bytes"))?;
            let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
            replace(&path, token.as_bytes()).with_context(place)?;
            Ok(token)
        }
        Err(error) => Err(error).with_context(place),
    }
}

/// Writes the client configuration, readable by its owner alone.
pub(super) fn write_kubeconfig(data: &Path, address: SocketAddr, authority: &str, token: &str) -> Result<()> {
    // A server that listens everywhere is reached on this machine by the loopback address.
    let host = if address.ip().is_unspecified() {
        "127.0.0.1".to_owned()
    } else {
        address.ip().to_string()
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let port = address.port();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: podium\nclusters:\n- name: podium\n  cluster:\n    \
         server: https://{host}:{port}\n    certificate-authority-data: {authority}\nusers:\n- name: admin\n  user:\n    \
         token: {token}\ncontexts:\n- name: podium\n  context:\n    cluster: podium\n    user: admin\n"
    );
    let path = data.join("kubeconfig");
    replace(&path, text.as_bytes()).with_context(|| format!("the client configuration {}", path.display()))
}

/// Replaces a file as a whole; nobody but its owner ever could read it.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let next = path.with_extension("next");
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&next)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&next, path)
}

/// Opens a file for appending that only its owner can read.
pub(super) fn private_file(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {}", folder.display()))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the log file {}", path.display()))
}
