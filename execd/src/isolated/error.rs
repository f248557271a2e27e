//! Why something about an isolated session could not be done.

use crate::api::error::{ApiError, ErrorKind};

/// Refusals and failures of isolated sessions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsolatedError {
    /// The request makes no sense; the text says what and where.
    #[error("{0}")]
    Invalid(String),
    /// This machine cannot isolate; the text names the missing piece.
    #[error("isolated sessions are not available here: {0}")]
    Unavailable(String),
    /// No session has this id.
    #[error("isolated session {0} is not known")]
    Unknown(String),
    /// The session's processes have ended.
    #[error("isolated session {0} has ended by itself; delete it and make another one")]
    Dead(String),
    /// No background run has this id.
    #[error("run {0} is not known in this session")]
    UnknownRun(String),
    /// A limit is reached; the text names it.
    #[error("{0}")]
    TooMany(String),
    /// The changes are more than may be sent.
    #[error("{0}")]
    TooLarge(String),
    /// The session has nothing this could work on.
    #[error("{0}")]
    NotSupported(String),
    /// The system does not let us.
    #[error("{0}")]
    System(String),
}

impl IsolatedError {
    /// A failure of the system while doing `what`.
    pub(super) fn system(what: &str, error: &std::io::Error) -> Self {
        Self::System(format!("{what}: {}", crate::reason::reason(error)))
    }
}

impl From<IsolatedError> for ApiError {
    fn from(error: IsolatedError) -> Self {
        let kind = match &error {
            IsolatedError::Invalid(_) => ErrorKind::InvalidRequest,
            IsolatedError::Unavailable(_) => ErrorKind::Unavailable,
            IsolatedError::Unknown(_) | IsolatedError::Dead(_) | IsolatedError::UnknownRun(_) => {
                ErrorKind::ContextNotFound
            }
            IsolatedError::TooMany(_) => ErrorKind::Busy,
            IsolatedError::TooLarge(_) => ErrorKind::TooLarge,
            IsolatedError::NotSupported(_) => ErrorKind::NotSupported,
            IsolatedError::System(_) => ErrorKind::Runtime,
        };
        Self::new(kind, error.to_string())
    }
}
