//! What can go wrong in the control plane, and how clients are told.

use podium_apiserver::StatusError;
use podium_document::Problem;
use podium_store::{BlobError, CommitError, StoreError};

/// The control plane cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Documents are refused; each mistake with its path.
    #[error("{} mistakes in the documents", .0.len())]
    Documents(Vec<Problem>),
    /// The request is refused, with the answer that the client gets.
    #[error(transparent)]
    Refused(#[from] StatusError),
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A transaction was not carried out.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A blob cannot be read or written.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Something stored is not as it was written.
    #[error("stored data cannot be read: {0}")]
    Damaged(String),
    /// An expression over outputs failed.
    #[error("{0}")]
    Expression(String),
}

impl ControlError {
    /// Whether somebody else changed an object meanwhile, so that the same work may be tried again from the start.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Commit(CommitError::Conflict { .. } | CommitError::Exists(_) | CommitError::Missing(_))
        )
    }
}

impl From<ControlError> for StatusError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(status) => status,
            ControlError::Documents(problems) => documents_refused(&problems),
            ControlError::Expression(message) => StatusError::new(422, "Invalid", message),
            ControlError::Store(StoreError::ReadOnly { reason })
            | ControlError::Commit(CommitError::Store(StoreError::ReadOnly { reason })) => {
                StatusError::unavailable(format!("the store cannot write: {reason}"))
            }
            ControlError::Commit(CommitError::MissingBlob(digest))
            | ControlError::Blob(BlobError::Missing(digest)) => {
                StatusError::bad_request(format!("the upload {digest} does not exist: upload it first"))
            }
            ControlError::Commit(error @ (CommitError::TooLarge { .. } | CommitError::TooDeep { .. })) => {
                StatusError::too_large(error.to_string())
            }
            error if error.is_conflict() => {
                StatusError::unavailable("others are changing the same objects; try again".to_owned())
            }
            error => {
                let source = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::error!(%error, source, "a request failed");
                StatusError::internal()
            }
        }
    }
}

/// The answer for documents with mistakes: a `Status` of code 422 that lists every mistake.
pub(crate) fn documents_refused(problems: &[Problem]) -> StatusError {
    let first = problems.first().map_or_else(String::new, |problem| {
        let place = problem.path.to_string();
        let document = problem.document.as_deref().unwrap_or_default();
        match (document.is_empty(), place.is_empty()) {
            (true, true) => problem.message.clone(),
            (false, true) => format!("{document}: {}", problem.message),
            (true, false) => format!("{place}: {}", problem.message),
            (false, false) => format!("{document}: {place}: {}", problem.message),
        }
    });
    let more = match problems.len() {
        0 | 1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    let mut status = StatusError::new(422, "Invalid", format!("{first}{more}"));
    let details = status.details.get_or_insert_default();
    details.problems = problems
        .iter()
        .filter_map(|problem| serde_json::to_value(problem).ok())
        .collect();
    details.causes = problems
        .iter()
        .map(|problem| podium_apiserver::Cause {
            reason: "FieldValueInvalid".to_owned(),
            message: problem.message.clone(),
            // A mistake of the document as a whole has no path, and clients show an empty one as a lone colon.
            field: Some(problem.path.to_string())
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| "spec".to_owned()),
        })
        .collect();
    status
}
