//! Answers that routes share.

use sandkeep_specs::execd::error::{ErrorBody, TokenRejected};
use utoipa::IntoResponses;

use crate::api::error::{ApiError, ErrorKind};
use crate::files::error::FileError;

/// Failures every route may answer with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum Common {
    /// Token refused
    #[response(status = 401)]
    Token(TokenRejected),
    /// The sandbox's permissions forbid it
    #[response(status = 403)]
    Forbidden(ErrorBody),
    /// The operation failed
    #[response(status = 500)]
    Failed(ErrorBody),
}

/// The request is wrong.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum BadRequest {
    /// The request is wrong; the message says what and where
    #[response(status = 400)]
    Body(ErrorBody),
}

/// Something is missing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum NotFound {
    /// There is no such file or directory
    #[response(status = 404)]
    Body(ErrorBody),
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        let kind = match &error {
            FileError::MissingQuery(_) => ErrorKind::MissingQuery,
            FileError::Invalid(_) => ErrorKind::InvalidRequest,
            FileError::BadUpload(_) => ErrorKind::InvalidFile,
            FileError::BadMetadata(_) => ErrorKind::InvalidFileMetadata,
            FileError::BadContent(_) => ErrorKind::InvalidFileContent,
            FileError::Missing(_) => ErrorKind::FileNotFound,
            FileError::Denied(_) => ErrorKind::Forbidden,
            FileError::Range { .. } => ErrorKind::RangeNotSatisfiable,
            FileError::Busy(_) => ErrorKind::Busy,
            FileError::Io(_) => ErrorKind::Runtime,
        };
        Self::new(kind, error.to_string())
    }
}
