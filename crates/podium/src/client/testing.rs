//! A server that answers as a test tells it, over real TLS, one request a connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use podium_model::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::kubeconfig::Kubeconfig;
use super::{Client, install_cryptography};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A whole answer.
    Whole(u16, String),
    /// The beginning of a stream, then the connection breaks.
    Broken(String),
    /// The connection is closed without an answer.
    Nothing,
}

/// A running server.
pub(crate) struct Server {
    kubeconfig: Kubeconfig,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it with its answers, in order.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        install_cryptography();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        tokio::spawn(async move {
            while let Some(reply) = replies.pop_front() {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust the certificate hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                        _ => break,
                    }
                }
                seen.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                let answer = match reply {
                    Reply::Whole(code, body) => format!(
                        "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    ),
                    Reply::Broken(body) => {
                        format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{body}")
                    }
                    Reply::Nothing => continue,
                };
                let _gone = stream.write_all(answer.as_bytes()).await;
                let _gone = stream.shutdown().await;
            }
        });
        let kubeconfig = Kubeconfig {
            server: format!("https://127.0.0.1:{port}"),
            certificate_authority: made.cert.pem().into_bytes(),
            token: Secret::new("s3cr3t-token"),
            namespace: None,
        };
        Self { kubeconfig, requests }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.kubeconfig.clone()).unwrap()
    }

    /// A client that trusts another certificate.
    pub(crate) async fn stranger(&self) -> Client {
        let other = Box::pin(Self::start([])).await;
        let certificate_authority = other.kubeconfig.certificate_authority;
        Client::new(Kubeconfig {
            certificate_authority,
            ..self.kubeconfig.clone()
        })
        .unwrap()
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
