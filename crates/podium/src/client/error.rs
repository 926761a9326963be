//! What can go wrong between the client and the server, in words that say what to do.

use podium_document::Problem;
use serde::Deserialize;

/// One cause in a `Status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cause {
    /// What is wrong.
    pub(crate) message: String,
    /// Where, as Kubernetes writes it: `spec.ports[0].name`.
    pub(crate) field: String,
}

/// Details of a `Status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Details {
    /// Name of the object.
    pub(crate) name: String,
    /// What is wrong, by Kubernetes' words.
    pub(crate) causes: Vec<Cause>,
    /// What is wrong with documents, with paths.
    pub(crate) problems: Vec<Problem>,
}

/// An error as Kubernetes writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// HTTP code.
    pub(crate) code: u16,
    /// One word for machines.
    pub(crate) reason: String,
    /// For people.
    pub(crate) message: String,
    /// More.
    pub(crate) details: Details,
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No connection, or one that broke.
    #[error("the server at {address} cannot be reached\nis the server running? start it with: podium serve")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The other side is not the server that the kubeconfig describes.
    #[error(
        "the server at {address} is not the one of the kubeconfig: its certificate does not fit\nanother server may run there, or its data folder was made anew: use the kubeconfig in its data folder"
    )]
    Unverified {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered with an error.
    #[error("{}", refusal(.0))]
    Refused(Box<Status>),
    /// The answer is not what this version understands.
    #[error(
        "the server's answer to {request} is not understood: {problem}\nis the server of another version? compare: podium --version"
    )]
    Answer {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn refusal(status: &Status) -> String {
    let message = if status.message.is_empty() {
        format!("the server refused with code {}", status.code)
    } else {
        status.message.clone()
    };
    match status.code {
        401 => format!(
            "{message}\nthe token in the kubeconfig is not known to this server: use the kubeconfig in its data folder"
        ),
        _ => message,
    }
}

impl ClientError {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the same call may succeed soon: the server restarts, or asks to wait.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. }) || matches!(self.code(), Some(429 | 502 | 503 | 504))
    }

    /// The refusal, if it is one.
    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused(status) => Some(status),
            _ => None,
        }
    }
}
