//! Errors as clients see them: one table from kind to status and code.

use axum::{
    Extension, Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sandkeep_specs::execd::error::ErrorBody;

/// Kind of an error; decides status and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The body, a path or a value in it is not acceptable.
    InvalidRequest,
    /// A query parameter is missing.
    MissingQuery,
    /// A query parameter or header is not acceptable.
    InvalidQuery,
    /// The body is larger than the route takes.
    TooLarge,
    /// The client did not send its request in time.
    Timeout,
    /// No such command.
    CommandNotFound,
    /// No such code context.
    ContextNotFound,
    /// No such file or directory.
    FileNotFound,
    /// An upload's parts do not fit together.
    InvalidFile,
    /// An upload without contents.
    InvalidFileContent,
    /// An upload's metadata is not acceptable.
    InvalidFileMetadata,
    /// The thing is not in a state that allows this.
    Conflict,
    /// Another client is attached to the terminal.
    AlreadyConnected,
    /// The system's permissions forbid it.
    Forbidden,
    /// Something here cannot do that.
    NotSupported,
    /// A limit of this daemon is reached; trying again later may work.
    Busy,
    /// This machine lacks what is needed.
    Unavailable,
    /// The requested range lies outside the file.
    RangeNotSatisfiable,
    /// The operation failed for reasons of ours or the system's.
    Runtime,
}

impl ErrorKind {
    /// The status and code that stand for this kind on the wire.
    #[must_use]
    pub fn wire(self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "INVALID_REQUEST_BODY"),
            Self::MissingQuery => (StatusCode::BAD_REQUEST, "MISSING_QUERY"),
            Self::InvalidQuery => (StatusCode::BAD_REQUEST, "INVALID_REQUEST_BODY"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_REQUEST_BODY"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "INVALID_REQUEST_BODY"),
            Self::CommandNotFound => (StatusCode::NOT_FOUND, "COMMAND_NOT_FOUND"),
            Self::ContextNotFound => (StatusCode::NOT_FOUND, "CONTEXT_NOT_FOUND"),
            Self::FileNotFound => (StatusCode::NOT_FOUND, "FILE_NOT_FOUND"),
            Self::InvalidFile => (StatusCode::BAD_REQUEST, "INVALID_FILE"),
            Self::InvalidFileContent => (StatusCode::BAD_REQUEST, "INVALID_FILE_CONTENT"),
            Self::InvalidFileMetadata => (StatusCode::BAD_REQUEST, "INVALID_FILE_METADATA"),
            Self::Conflict => (StatusCode::CONFLICT, "RUNTIME_ERROR"),
            Self::AlreadyConnected => (StatusCode::CONFLICT, "ALREADY_CONNECTED"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "RUNTIME_ERROR"),
            Self::NotSupported => (StatusCode::BAD_REQUEST, "NOT_SUPPORTED"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "RUNTIME_ERROR"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "NOT_SUPPORTED"),
            Self::RangeNotSatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, "INVALID_REQUEST_BODY"),
            Self::Runtime => (StatusCode::INTERNAL_SERVER_ERROR, "RUNTIME_ERROR"),
        }
    }
}

/// An error on its way to the client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub kind: ErrorKind,
    /// What is wrong and where, for a person.
    pub message: String,
}

impl ApiError {
    /// An error of this kind with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The request's body or a value in it is not acceptable.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// The operation failed for reasons of ours or the system's.
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Runtime, message)
    }
}

/// What an error answer says, for the log.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.kind.wire();
        let failure = Failure { code, message: self.message.clone() };
        let body = Json(ErrorBody { code: code.to_owned(), message: self.message });
        (status, Extension(failure), body).into_response()
    }
}
