//! One request: who, may they, and which part answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use podium_model::clock::SharedClock;
use podium_store::SharedStore;
use tokio::sync::watch;

use crate::authorization::refusal;
use crate::blobs;
use crate::discovery::Discovery;
use crate::negotiate;
use crate::objects::{self, Call};
use crate::openapi::OpenApi;
use crate::registry::Registry;
use crate::request::{self, Query};
use crate::respond;
use crate::reviews;
use crate::seams::{
    Admission, Attributes, Authentication, Authenticator, Authorizer, Decision, Principal, Subresources,
};
use crate::status::StatusError;

/// Bounds on requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body of a request about objects.
    pub object_bytes: usize,
    /// Largest blob.
    pub blob_bytes: u64,
    /// Longest time for the body of a request about objects.
    pub body_time: Duration,
    /// Longest pause in a body that is streamed.
    pub body_idle: Duration,
    /// Longest time for the TLS handshake, and for the headers of a request.
    pub header_time: Duration,
    /// Most connections at once; more wait.
    pub connections: usize,
    /// How long a read waits for a revision that the client knows and this server does not.
    pub fresh_wait: Duration,
    /// How long a watch lasts when the client does not say.
    pub watch_time: Duration,
    /// Pause between the bookmarks of a watch.
    pub bookmark_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            object_bytes: 3 * 1024 * 1024,
            blob_bytes: 256 * 1024 * 1024,
            body_time: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            header_time: Duration::from_secs(10),
            connections: 1024,
            fresh_wait: Duration::from_secs(3),
            watch_time: Duration::from_mins(30),
            bookmark_pause: Duration::from_mins(1),
        }
    }
}

/// What an API server is made of.
pub struct ServerOptions {
    /// The kinds.
    pub registry: Arc<Registry>,
    /// The objects.
    pub store: SharedStore,
    /// The time of day.
    pub clock: SharedClock,
    /// Who makes a request.
    pub authenticator: Arc<dyn Authenticator>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// What is written.
    pub admission: Arc<dyn Admission>,
    /// The verbs that kinds add.
    pub subresources: Arc<dyn Subresources>,
    /// Further paths, asked when nothing else answers. Their requests are authenticated and authorised by path like
    /// all others and carry the [`Principal`] as an extension.
    pub extra: Router,
    /// Bounds on requests.
    pub limits: Limits,
}

pub(crate) struct Inner {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: SharedStore,
    pub(crate) clock: SharedClock,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) subresources: Arc<dyn Subresources>,
    pub(crate) limits: Limits,
    discovery: Discovery,
    openapi: OpenApi,
    extra: Router,
    stopping: watch::Sender<bool>,
}

impl Inner {
    /// Reads a whole body within bounds.
    pub(crate) async fn read_body(&self, body: Body, limit: usize) -> Result<Bytes, StatusError> {
        let collected =
            tokio::time::timeout(self.limits.body_time, Limited::new(body, limit).collect()).await;
        match collected {
            Err(_) => Err(StatusError::request_timeout()),
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusError::too_large(format!(
                "Request entity too large: limit is {limit}"
            ))),
            Ok(Err(_)) => Err(StatusError::bad_request("the request's body ended too early")),
        }
    }

    /// Resolves when the server begins to stop.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

/// The API, without its connections: requests in, responses out. Cloning is cheap.
#[derive(Clone)]
pub struct ApiServer {
    pub(crate) inner: Arc<Inner>,
}

impl ApiServer {
    /// An API server; discovery and OpenAPI are written here, once.
    pub fn new(options: ServerOptions) -> Self {
        let ServerOptions {
            registry,
            store,
            clock,
            authenticator,
            authorizer,
            admission,
            subresources,
            extra,
            limits,
        } = options;
        let discovery = Discovery::new(&registry);
        let openapi = OpenApi::new(Arc::clone(&registry));
        let (stopping, _) = watch::channel(false);
        let inner = Inner {
            registry,
            store,
            clock,
            authenticator,
            authorizer,
            admission,
            subresources,
            limits,
            discovery,
            openapi,
            extra,
            stopping,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Ends all watches and streams, so that their connections can close.
    pub fn begin_shutdown(&self) {
        self.inner.stopping.send_replace(true);
    }

    /// Answers one request.
    pub fn handle(&self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            inner
                .answer(request)
                .await
                .unwrap_or_else(|error| respond::error(&error))
        })
    }
}

impl Inner {
    async fn answer(self: Arc<Self>, mut request: Request<Body>) -> Result<Response<Body>, StatusError> {
        let principal = self.who(request.headers()).await?;
        let path = request.uri().path().to_owned();
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let attributes = request::attributes(request.method(), &path, &query);
        if let Decision::Deny(reason) = self.authorizer.authorize(&principal, &attributes).await {
            return Err(refusal(&principal, &attributes, reason.as_deref()));
        }
        if attributes.is_resource() {
            return Arc::clone(&self).resource(principal, &path, query, request).await;
        }
        if let Some(answer) = self
            .fixed(&attributes, &query, request.method(), request.headers())
            .await
        {
            return answer;
        }
        if path == blobs::PATH {
            return match *request.method() {
                Method::POST => blobs::upload(&self, request).await,
                _ => Err(StatusError::method_not_allowed(
                    "blobs are uploaded by POST and never read back",
                )),
            };
        }
        request.extensions_mut().insert(principal);
        let answer: Result<Response<Body>, Infallible> =
            TowerToHyperService::new(self.extra.clone()).call(request).await;
        let response = answer.unwrap_or_else(|never| match never {});
        // The router's own "nothing here" has no body.
        let nothing = response.status() == http::StatusCode::NOT_FOUND
            && response.headers().get("content-type").is_none();
        Ok(if nothing {
            respond::no_such_page()
        } else {
            response
        })
    }

    async fn who(&self, headers: &HeaderMap) -> Result<Principal, StatusError> {
        match self.authenticator.authenticate(headers).await {
            Authentication::Invalid => Err(StatusError::unauthorized()),
            Authentication::Anonymous => Ok(Principal::anonymous()),
            Authentication::Principal(mut principal) => {
                if !principal.is_in("system:authenticated") {
                    principal.groups.push("system:authenticated".to_owned());
                }
                Ok(principal)
            }
        }
    }

    /// Paths with one answer for everybody.
    async fn fixed(
        &self,
        attributes: &Attributes,
        query: &Query,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Result<Response<Body>, StatusError>> {
        let path = match attributes.path.trim_end_matches('/') {
            "" => return None,
            path => path,
        };
        let answer = match path {
            "/healthz" | "/livez" => Some(Ok(respond::text(200, "ok"))),
            "/readyz" => Some(
                self.store
                    .revision()
                    .await
                    .map(|_| respond::text(200, "ok"))
                    .map_err(StatusError::from),
            ),
            "/version" => Some(negotiate::json(headers).map(|()| respond::json(200, &version()))),
            _ => self
                .discovery
                .answer(path, headers)
                .or_else(|| self.openapi.answer(path, query, headers)),
        }?;
        if matches!(*method, Method::GET | Method::HEAD) {
            Some(answer)
        } else {
            Some(Err(not_this_method()))
        }
    }

    async fn resource(
        self: Arc<Self>,
        principal: Principal,
        path: &str,
        query: Query,
        request: Request<Body>,
    ) -> Result<Response<Body>, StatusError> {
        let Some(found) = request::resource_path(path) else {
            return Ok(respond::no_such_page());
        };
        let (parts, body) = request.into_parts();
        if let Some(review) = reviews::find(&found.group, &found.version, &found.plural) {
            return if parts.method == Method::POST && found.name.is_empty() {
                reviews::answer(&self, review, &principal, &parts.headers, body).await
            } else {
                Err(not_this_method())
            };
        }
        let Some(kind) = self.registry.find(&found.group, &found.version, &found.plural) else {
            return Ok(respond::no_such_page());
        };
        let call = Call {
            inner: Arc::clone(&self),
            principal,
            kind: Arc::clone(kind),
            namespace: found.namespace,
            name: found.name,
            query,
            headers: parts.headers,
        };
        objects::dispatch(&call, &parts.method, &found.subresource, body).await
    }
}

pub(crate) fn not_this_method() -> StatusError {
    let mut error =
        StatusError::method_not_allowed("the server does not allow this method on the requested resource");
    error.details = Some(Box::default());
    error
}

/// The API version that clients compare themselves with; the part behind the plus sign is Podium's own.
fn version() -> serde_json::Value {
    serde_json::json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.0+podium.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
