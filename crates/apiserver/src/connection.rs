//! Connections: TLS on a socket of our own, each in its own task, so that a slow or hostile one delays nobody.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::server::ApiServer;
use crate::tls::{ServerIdentity, TlsError};

/// How long open requests may go on when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after the system refused a connection, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most headers of a request.
const MAX_HEADERS: usize = 100;
/// Room for a request's headers.
const HEADER_BYTES: usize = 64 * 1024;

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another address with --listen, or end what listens there")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The certificate or key is not usable.
    #[error("the server's certificate is not usable")]
    Tls(#[from] TlsError),
}

/// Takes an address, so that nobody else does; who connects waits for [`serve`]. Port 0 picks a free one.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let cannot = |source| ServeError::Listen { address, source };
    TcpListener::bind(address).await.map_err(cannot)
}

/// Serves until `shutdown` resolves; then open requests are given a few seconds. `serving` is told once requests are
/// answered.
///
/// # Errors
/// When the certificate is not usable.
pub async fn serve(
    api: ApiServer,
    listener: TcpListener,
    identity: &ServerIdentity,
    serving: oneshot::Sender<()>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let acceptor = TlsAcceptor::from(Arc::new(identity.server_config()?));
    // Nobody may be waiting for it.
    let _ = serving.send(());
    let permits = Arc::new(Semaphore::new(api.inner.limits.connections));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener, &permits) => {
                if let Some((stream, permit)) = accepted {
                    let connection = connection(api.clone(), acceptor.clone(), stream, stopping.clone(), permit);
                    connections.spawn(connection);
                }
            }
        }
    }
    drop(listener);
    api.begin_shutdown();
    stop.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_ended).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
        connections.shutdown().await;
    }
    Ok(())
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    api: ApiServer,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    mut stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let patience = api.inner.limits.header_time;
    // Answers are small and written whole: waiting to fill packets only delays them.
    let _ = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(patience, acceptor.accept(stream));
    let stream = tokio::select! {
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return;
            }
            Err(_) => return,
        },
        () = stopped(&mut stopping) => return,
    };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.handle(request.map(Body::new)).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(&mut stopping) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Resolves when the server begins to stop, or is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to say so.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
