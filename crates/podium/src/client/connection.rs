//! One HTTPS connection to the API.

use std::time::Duration;

use podium_model::secret::Secret;
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::error::{ClientError, Status};
use super::kubeconfig::Kubeconfig;

/// Most bytes of an answer that is read as a whole.
pub(crate) const LARGEST_ANSWER: usize = 256 << 20;
/// Most bytes of an error that are read.
const LARGEST_ERROR: usize = 4 << 20;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Query parameters.
pub(crate) type Query<'q> = &'q [(&'q str, String)];

/// Sets the cryptography that TLS uses, once for the process.
pub(crate) fn install_cryptography() {
    // It fails only when it was set before, by the server that runs in this same process.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    token: Secret,
    namespace: Option<String>,
}

impl Client {
    /// Prepares the client; nothing is sent yet.
    pub(crate) fn new(kubeconfig: Kubeconfig) -> Result<Self, ClientError> {
        let unusable = |problem: String| ClientError::Answer {
            request: "the kubeconfig".to_owned(),
            problem,
        };
        let certificates =
            reqwest::Certificate::from_pem_bundle(&kubeconfig.certificate_authority).map_err(|error| {
                unusable(format!(
                    "its certificate authority is no PEM certificate ({error})"
                ))
            })?;
        let mut builder = reqwest::Client::builder()
            .tls_certs_only(certificates)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&kubeconfig.server) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            http,
            server: kubeconfig.server,
            token: kubeconfig.token,
            namespace: kubeconfig.namespace,
        })
    }

    /// Address of the server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The namespace that the kubeconfig's context sets.
    pub(crate) fn default_namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Reads an object, a list or the answer of a verb.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, ClientError> {
        let response = self.send(Method::GET, path, query, None, "").await?;
        self.read(response, &format!("GET {path}")).await
    }

    /// Reads an object that may not be there.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ClientError> {
        match self.get(path, &[]).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object, or calls a verb.
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let body = self.encode(body, path)?;
        let response = self
            .send(Method::POST, path, &[], Some(body), "application/json")
            .await?;
        self.read(response, &format!("POST {path}")).await
    }

    /// Changes an object by a JSON merge patch.
    pub(crate) async fn merge_patch(&self, path: &str, patch: &Json) -> Result<Json, ClientError> {
        let body = self.encode(patch, path)?;
        let query = [("fieldManager", "podium-apply".to_owned())];
        let response = self
            .send(
                Method::PATCH,
                path,
                &query,
                Some(body),
                "application/merge-patch+json",
            )
            .await?;
        self.read(response, &format!("PATCH {path}")).await
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, path: &str) -> Result<Json, ClientError> {
        let response = self.send(Method::DELETE, path, &[], None, "").await?;
        self.read(response, &format!("DELETE {path}")).await
    }

    /// Opens a stream.
    pub(crate) async fn stream(&self, path: &str, query: Query<'_>) -> Result<Response, ClientError> {
        self.send(Method::GET, path, query, None, "").await
    }

    /// Uploads bytes and returns the digest that names them.
    pub(crate) async fn upload(&self, content: Vec<u8>) -> Result<String, ClientError> {
        let path = "/podium/v1/blobs";
        let response = self
            .send(Method::POST, path, &[], Some(content), "application/octet-stream")
            .await?;
        let answer: Json = self.read(response, "POST /podium/v1/blobs").await?;
        answer
            .get("digest")
            .and_then(Json::as_str)
            .map(str::to_owned)
            .ok_or_else(|| ClientError::Answer {
                request: format!("POST {path}"),
                problem: "it names no digest".to_owned(),
            })
    }

    fn encode<B: Serialize>(&self, body: &B, path: &str) -> Result<Vec<u8>, ClientError> {
        serde_json::to_vec(body).map_err(|error| ClientError::Answer {
            request: format!("{}{path}", self.server),
            problem: format!("the request cannot be written as JSON ({error})"),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<Vec<u8>>,
        content_type: &str,
    ) -> Result<Response, ClientError> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.server))
            .query(query)
            .header("accept", "application/json")
            .bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.header("content-type", content_type).body(body);
        }
        let response = request.send().await.map_err(|error| self.transport(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status();
        let content = self
            .content(response, LARGEST_ERROR, &format!("{method} {path}"))
            .await?;
        Err(ClientError::Refused(Box::new(status_of(code, &content))))
    }

    /// A broken connection, told from one to somebody else.
    pub(crate) fn transport(&self, error: reqwest::Error) -> ClientError {
        let address = self.server.clone();
        let error = error.without_url();
        if is_about_certificates(&error) {
            return ClientError::Unverified {
                address,
                source: error,
            };
        }
        ClientError::Unreachable {
            address,
            source: error,
        }
    }

    async fn read<T: DeserializeOwned>(&self, response: Response, request: &str) -> Result<T, ClientError> {
        let content = self.content(response, LARGEST_ANSWER, request).await?;
        serde_json::from_slice(&content).map_err(|error| ClientError::Answer {
            request: request.to_owned(),
            problem: error.to_string(),
        })
    }

    async fn content(
        &self,
        mut response: Response,
        most: usize,
        request: &str,
    ) -> Result<Vec<u8>, ClientError> {
        let mut content = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(error))? {
            if content.len() + chunk.len() > most {
                return Err(ClientError::Answer {
                    request: request.to_owned(),
                    problem: format!("it has more than {most} bytes"),
                });
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }
}

/// The `Status` of an error; one made up from the code when the answer is none.
fn status_of(code: StatusCode, content: &[u8]) -> Status {
    let mut status: Status = serde_json::from_slice(content).unwrap_or_default();
    status.code = code.as_u16();
    if status.message.is_empty() {
        let text: String = String::from_utf8_lossy(content).chars().take(500).collect();
        let reason = code.canonical_reason().unwrap_or("an unknown code");
        status.message = format!("the server answered {} {reason}: {}", code.as_u16(), text.trim());
    }
    status
}

/// Whether TLS ended the connection. I/O errors wrap each other, and keep what is inside where `source` does not lead.
fn is_about_certificates(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let inside = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    inside.is_some_and(|inside| is_about_certificates(inside))
        || error.source().is_some_and(is_about_certificates)
}

/// Whether the address is this machine's, where no proxy stands between.
fn is_loopback(server: &str) -> bool {
    let host = server.trim_start_matches("https://");
    host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]")
}

/// One part of a path, with everything escaped that has a meaning there.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'~')
            || (byte == b'.' && text != "." && text != "..")
        {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{segment, status_of};

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        assert_eq!(segment("notes-db.v1"), "notes-db.v1");
        assert_eq!(segment("../secrets?x=1#y"), "..%2Fsecrets%3Fx%3D1%23y");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("ö"), "%C3%B6");
    }

    #[test]
    fn an_answer_that_is_no_status_is_shown_as_it_is() {
        let status = status_of(reqwest::StatusCode::BAD_GATEWAY, b"<html>no upstream</html>");
        assert_eq!(
            status.message,
            "the server answered 502 Bad Gateway: <html>no upstream</html>"
        );
        let status = status_of(
            reqwest::StatusCode::NOT_FOUND,
            br#"{"kind":"Status","message":"projects \"x\" not found","details":{"problems":[]}}"#,
        );
        assert_eq!(
            (status.code, status.message.as_str()),
            (404, "projects \"x\" not found")
        );
    }
}
