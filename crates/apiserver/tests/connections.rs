//! The server on a socket: TLS by its own authority, many connections, slow ones, and an end.
#![allow(missing_docs, clippy::expect_used)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use podium_apiserver::tls::{ServerIdentity, TlsError, local_names};
use podium_apiserver::{listen, serve};
use podium_model::clock::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use support::{ADMIN, APPS, Still, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

fn identity(folder: &std::path::Path) -> ServerIdentity {
    // The time of the machine that verifies, near enough: a client judges certificates by its own clock.
    let now = podium_model::clock::SystemClock.now();
    ServerIdentity::load_or_create(folder, &local_names("127.0.0.1".parse().expect("address")), now)
        .expect("identity")
}

fn connector(authority: &str) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM"))
        .expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn serves_by_tls_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let identity = identity(folder.path());
    let authority = identity.authority_pem.clone();
    let world = World::new().await;
    let listener = listen("127.0.0.1:0".parse().expect("address"))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let (serving, served) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let api = world.api.clone();
    let server = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        serve(api, listener, &identity, serving, shutdown).await
    });
    served.await.expect("it serves");
    // Somebody who connects and says nothing delays nobody.
    let _silent = TcpStream::connect(address).await.expect("a connection");
    let connector = connector(&authority);
    for name in ["127.0.0.1", "localhost"] {
        let socket = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from(name).expect("a name");
        let mut stream = connector
            .connect(name, socket)
            .await
            .expect("the server proves itself");
        let request =
            format!("GET {APPS} HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // Some servers close without saying so; the answer is what matters.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.contains("AppList"),
            "{answer}"
        );
    }
    // A watch is open when the server stops.
    let socket = TcpStream::connect(address).await.expect("a connection");
    let mut watch = connector
        .connect(ServerName::try_from("localhost").expect("a name"), socket)
        .await
        .expect("TLS");
    let request = format!("GET {APPS}?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\n\r\n");
    watch.write_all(request.as_bytes()).await.expect("sent");
    let mut start = [0; 15];
    watch.read_exact(&mut start).await.expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    drop(stop);
    let ended = tokio::time::timeout(Duration::from_secs(8), server).await;
    assert!(matches!(ended, Ok(Ok(Ok(())))), "{ended:?}");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let error = listen(address).await.expect_err("taken");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn the_authority_stays_the_same_and_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = identity(folder.path());
    let second = identity(folder.path());
    assert_eq!(first.authority_pem, second.authority_pem);
    assert_ne!(
        first.chain, second.chain,
        "the server's own certificate is new at each start"
    );
    for file in ["ca.crt", "ca.key"] {
        let mode = std::fs::metadata(folder.path().join(file))
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    std::fs::remove_file(folder.path().join("ca.key")).expect("removed");
    let error = ServerIdentity::load_or_create(folder.path(), &[], Still.now()).err();
    assert!(matches!(error, Some(TlsError::Incomplete { .. })), "{error:?}");
    std::fs::write(folder.path().join("ca.key"), "nonsense").expect("written");
    let error = ServerIdentity::load_or_create(folder.path(), &[], Still.now()).err();
    assert!(matches!(error, Some(TlsError::Damaged { .. })), "{error:?}");
}
