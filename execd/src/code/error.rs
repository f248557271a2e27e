//! What can go wrong with code, before it becomes an HTTP answer.

use thiserror::Error;

use crate::api::error::{ApiError, ErrorKind};
use crate::session::SessionError;

/// Failure to run code, or to manage contexts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CodeError {
    /// The request asks for something impossible.
    #[error("{0}")]
    Invalid(String),
    /// The sandbox lacks something, or the language is not offered.
    #[error("{0}")]
    NotSupported(String),
    /// No context has this id.
    #[error("there is no code context {0:?}")]
    Unknown(String),
    /// A limit is reached.
    #[error("{0}")]
    Busy(String),
    /// The machine failed.
    #[error("{0}")]
    System(String),
}

impl From<SessionError> for CodeError {
    fn from(error: SessionError) -> Self {
        let text = error.to_string();
        match error {
            SessionError::Invalid(_) => Self::Invalid(text),
            SessionError::Unknown(id) => Self::Unknown(id),
            SessionError::TooMany(..) | SessionError::QueueFull(_) => Self::Busy(text),
            _ => Self::System(text),
        }
    }
}

impl From<CodeError> for ApiError {
    fn from(error: CodeError) -> Self {
        let kind = match &error {
            CodeError::Invalid(_) => ErrorKind::InvalidRequest,
            CodeError::NotSupported(_) => ErrorKind::NotSupported,
            CodeError::Unknown(_) => ErrorKind::ContextNotFound,
            CodeError::Busy(_) => ErrorKind::Busy,
            CodeError::System(_) => ErrorKind::Runtime,
        };
        Self::new(kind, error.to_string())
    }
}
