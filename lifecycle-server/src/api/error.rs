//! What a refused request is answered with: `{"code","message"}`, from one table.

use std::fmt::Display;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use sandkeep_specs::lifecycle::ErrorResponse;

use crate::{
    runtime::RuntimeError,
    sandbox::{ImageProblem, ProblemKind, ServiceError},
    snapshot::SnapshotError,
    store::StoreError,
    volume::{VolumeError, VolumeProblem},
};

/// When a caller should try again where waiting may help.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The kinds of refusals. `Code::entry` is the one place that says what each means on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    MissingApiKey,
    InvalidApiKey,
    TenantProviderUnavailable,
    Forbidden,
    QuotaExceeded,
    MissingOrInvalidSecureAccess,
    InvalidParameter,
    NotSupported,
    InvalidMetadataLabel,
    /// The same for a metadata patch, as clients know it.
    InvalidPatchLabel,
    InvalidMetadataFormat,
    InvalidExpiration,
    InvalidPort,
    ImagePullFailed,
    ImageRegistryUnavailable,
    ImageTimeout,
    ImageNotFound,
    ImageInUse,
    StartFailed,
    SandboxNotFound,
    NotReachable,
    NoNetworkPolicy,
    SidecarUnavailable,
    InvalidState,
    NotSaved,
    Volume(&'static str),
    VolumeFailed(&'static str),
    SnapshotNotFound,
    SnapshotNotReady,
    SnapshotNotRestorable,
    SnapshotInvalidState,
    SnapshotInvalidSource,
    SnapshotCreateConflict,
    SnapshotInUse,
    NeverExpires,
    CapacityExhausted,
    PoolNotFound,
    PoolExists,
    PoolExhausted,
    TemplateNotFound,
    IdempotencyConflict,
    RouteNotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    RequestTimeout,
    TooManyRequests,
    ShuttingDown,
    StoreUnavailable,
    ReadOnly,
    ServerAway,
    DiagnosticsScopeUnsupported,
    NotImplemented,
    BackendConnectionFailed,
    BackendTimeout,
    BackendResponseFailed,
    Internal,
}

impl Code {
    fn entry(self) -> (&'static str, StatusCode) {
        match self {
            Self::MissingApiKey => ("MISSING_API_KEY", StatusCode::UNAUTHORIZED),
            Self::InvalidApiKey => ("INVALID_API_KEY", StatusCode::UNAUTHORIZED),
            Self::TenantProviderUnavailable => {
                ("TENANT_PROVIDER_UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Forbidden => ("GENERAL::FORBIDDEN", StatusCode::FORBIDDEN),
            Self::QuotaExceeded => ("SANDBOX::QUOTA_EXCEEDED", StatusCode::FORBIDDEN),
            Self::MissingOrInvalidSecureAccess => {
                ("MISSING_OR_INVALID_SECURE_ACCESS", StatusCode::UNAUTHORIZED)
            }
            Self::InvalidParameter => ("SANDBOX::INVALID_PARAMETER", StatusCode::BAD_REQUEST),
            Self::NotSupported => ("SANDBOX::API_NOT_SUPPORTED", StatusCode::BAD_REQUEST),
            Self::InvalidMetadataLabel => ("SANDBOX::INVALID_METADATA_LABEL", StatusCode::BAD_REQUEST),
            Self::InvalidPatchLabel => ("INVALID_METADATA_LABEL", StatusCode::BAD_REQUEST),
            Self::InvalidMetadataFormat => ("INVALID_METADATA_FORMAT", StatusCode::BAD_REQUEST),
            Self::InvalidExpiration => ("SANDBOX::INVALID_EXPIRATION", StatusCode::BAD_REQUEST),
            Self::InvalidPort => ("SANDBOX::INVALID_PORT", StatusCode::BAD_REQUEST),
            Self::ImagePullFailed => ("SANDBOX::IMAGE_PULL_FAILED", StatusCode::BAD_REQUEST),
            Self::ImageRegistryUnavailable => ("SANDBOX::IMAGE_PULL_FAILED", StatusCode::SERVICE_UNAVAILABLE),
            Self::ImageTimeout => ("SANDBOX::IMAGE_PULL_FAILED", StatusCode::GATEWAY_TIMEOUT),
            Self::ImageNotFound => ("IMAGE::NOT_FOUND", StatusCode::NOT_FOUND),
            Self::ImageInUse => ("IMAGE::IN_USE", StatusCode::CONFLICT),
            Self::StartFailed => ("SANDBOX::START_FAILED", StatusCode::BAD_REQUEST),
            Self::SandboxNotFound => ("SANDBOX::NOT_FOUND", StatusCode::NOT_FOUND),
            Self::NotReachable => ("SANDBOX::NOT_REACHABLE", StatusCode::NOT_FOUND),
            Self::NoNetworkPolicy => ("SANDBOX::NO_NETWORK_POLICY", StatusCode::NOT_FOUND),
            Self::SidecarUnavailable => ("SANDBOX::EGRESS_UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
            Self::InvalidState => ("SANDBOX::INVALID_STATE", StatusCode::CONFLICT),
            Self::NotSaved => ("SANDBOX::MEMORY_NOT_KEPT", StatusCode::CONFLICT),
            Self::Volume(code) => (code, StatusCode::BAD_REQUEST),
            Self::VolumeFailed(code) => (code, StatusCode::INTERNAL_SERVER_ERROR),
            Self::SnapshotNotFound => ("SNAPSHOT::NOT_FOUND", StatusCode::NOT_FOUND),
            Self::SnapshotNotReady => ("SNAPSHOT::NOT_READY", StatusCode::CONFLICT),
            Self::SnapshotNotRestorable => ("SNAPSHOT::INVALID_RESTORE_CONFIG", StatusCode::CONFLICT),
            Self::SnapshotInvalidState => ("SNAPSHOT::INVALID_STATE", StatusCode::CONFLICT),
            Self::SnapshotInvalidSource => ("SNAPSHOT::INVALID_SOURCE_STATE", StatusCode::CONFLICT),
            Self::SnapshotCreateConflict => ("SNAPSHOT::RUNTIME_CREATE_CONFLICT", StatusCode::CONFLICT),
            Self::SnapshotInUse => ("SNAPSHOT::DELETE_CONFLICT", StatusCode::CONFLICT),
            Self::NeverExpires => ("SANDBOX::INVALID_EXPIRATION", StatusCode::CONFLICT),
            Self::CapacityExhausted => ("SANDBOX::CAPACITY_EXHAUSTED", StatusCode::TOO_MANY_REQUESTS),
            Self::PoolNotFound => ("SANDBOX::POOL_NOT_FOUND", StatusCode::NOT_FOUND),
            Self::PoolExists => ("SANDBOX::POOL_ALREADY_EXISTS", StatusCode::CONFLICT),
            Self::PoolExhausted => ("SANDBOX::POOL_CAPACITY_EXHAUSTED", StatusCode::TOO_MANY_REQUESTS),
            Self::TemplateNotFound => ("SANDBOX::TEMPLATE_NOT_FOUND", StatusCode::NOT_FOUND),
            Self::IdempotencyConflict => ("SANDBOX::IDEMPOTENCY_CONFLICT", StatusCode::CONFLICT),
            Self::RouteNotFound => ("GENERAL::NOT_FOUND", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("GENERAL::METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED),
            Self::PayloadTooLarge => ("GENERAL::PAYLOAD_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE),
            Self::RequestTimeout => ("GENERAL::REQUEST_TIMEOUT", StatusCode::REQUEST_TIMEOUT),
            Self::TooManyRequests => ("GENERAL::TOO_MANY_REQUESTS", StatusCode::SERVICE_UNAVAILABLE),
            Self::ShuttingDown => ("GENERAL::SHUTTING_DOWN", StatusCode::SERVICE_UNAVAILABLE),
            Self::StoreUnavailable => ("GENERAL::STORE_UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
            Self::ReadOnly => ("GENERAL::READ_ONLY", StatusCode::SERVICE_UNAVAILABLE),
            Self::ServerAway => ("GENERAL::SERVER_UNREACHABLE", StatusCode::SERVICE_UNAVAILABLE),
            Self::DiagnosticsScopeUnsupported => ("DIAGNOSTICS_SCOPE_UNSUPPORTED", StatusCode::BAD_REQUEST),
            Self::NotImplemented => ("SANDBOX::API_NOT_SUPPORTED", StatusCode::NOT_IMPLEMENTED),
            Self::BackendConnectionFailed => ("BACKEND_CONNECTION_FAILED", StatusCode::BAD_GATEWAY),
            Self::BackendTimeout => ("BACKEND_TIMEOUT", StatusCode::GATEWAY_TIMEOUT),
            Self::BackendResponseFailed => ("BACKEND_RESPONSE_FAILED", StatusCode::BAD_GATEWAY),
            Self::Internal => ("SANDBOX::INTERNAL_ERROR", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Whether waiting may help by itself.
    fn passes(self) -> bool {
        matches!(
            self,
            Self::CapacityExhausted
                | Self::PoolExhausted
                | Self::StoreUnavailable
                | Self::TenantProviderUnavailable
                | Self::TooManyRequests
                | Self::ShuttingDown
                | Self::ServerAway
        )
    }
}

/// A refusal on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub code: Code,
    /// What is wrong and where, for people.
    pub message: String,
}

impl ApiError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A value in the request is wrong; `place` is its path in the body, or a parameter's name.
    pub fn invalid(place: impl Display, problem: impl Display) -> Self {
        Self::new(Code::InvalidParameter, format!("{place}: {problem}"))
    }

    /// The request asks for something this server doesn't do.
    pub fn not_supported(place: impl Display, problem: impl Display) -> Self {
        Self::new(Code::NotSupported, format!("{place}: {problem}"))
    }

    /// Our own failure: the cause goes to the log, the caller learns only that it was not his fault.
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(error = %cause, "request failed");
        Self::new(Code::Internal, "the server failed to do this; its log says why")
    }

    /// A disk of the host has no room; which and for what is for the log.
    fn disk_full(cause: impl Display) -> Self {
        tracing::warn!(error = %cause, "request refused: no space left");
        Self::new(Code::CapacityExhausted, "the server's disk is full; delete something, or try again later")
    }

    pub fn status(&self) -> StatusCode {
        self.code.entry().1
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, status) = self.code.entry();
        let body = ErrorResponse { code: code.to_owned(), message: self.message };
        let mut response = (status, Json(body)).into_response();
        if self.code.passes() {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let code = match error {
            ServiceError::NotFound(_) => Code::SandboxNotFound,
            ServiceError::Denied(_) | ServiceError::Cancelled(_) | ServiceError::Interrupted(_) => {
                Code::InvalidState
            }
            ServiceError::NeverExpires(_) => Code::NeverExpires,
            ServiceError::InvalidExpiration(_) => Code::InvalidExpiration,
            ServiceError::TooMuchMetadata { .. } => Code::InvalidPatchLabel,
            ServiceError::Quota(_) => Code::QuotaExceeded,
            ServiceError::PoolNotFound(_) => Code::PoolNotFound,
            ServiceError::PoolExists(_) => Code::PoolExists,
            ServiceError::PoolExhausted { .. } => Code::PoolExhausted,
            ServiceError::TemplateNotFound(_) => Code::TemplateNotFound,
            ServiceError::NoRoom(_) => Code::CapacityExhausted,
            ServiceError::ReadOnly => Code::ReadOnly,
            ServiceError::IdempotencyConflict(_) | ServiceError::Repeated(_) => Code::IdempotencyConflict,
            ServiceError::ServerAway { .. } => Code::ServerAway,
            ServiceError::ShuttingDown => Code::ShuttingDown,
            ServiceError::Image(problem) => return problem.into(),
            ServiceError::Volume(error) => return error.into(),
            ServiceError::Runtime(error) => return error.into(),
            ServiceError::Store(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<SnapshotError> for ApiError {
    fn from(error: SnapshotError) -> Self {
        let code = match error {
            SnapshotError::NotFound(_) => Code::SnapshotNotFound,
            SnapshotError::NotReady { .. } => Code::SnapshotNotReady,
            SnapshotError::InvalidState { .. } => Code::SnapshotInvalidState,
            SnapshotError::MissingImage(_) => Code::SnapshotNotRestorable,
            SnapshotError::InUse(_) => Code::SnapshotInUse,
            SnapshotError::TooMany(_) => Code::SnapshotCreateConflict,
            SnapshotError::InvalidSource(_) => Code::SnapshotInvalidSource,
            SnapshotError::ShuttingDown => Code::ShuttingDown,
            SnapshotError::Sandbox(error) => return error.into(),
            SnapshotError::Image(error) => return error.into(),
            SnapshotError::Store(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_full() {
            return Self::disk_full(error);
        }
        // Where the database is, and why it fails, is for the log.
        if error.is_damage() {
            tracing::error!(%error, "request refused: the database is damaged");
            return Self::new(
                Code::ReadOnly,
                "the database that keeps the records is damaged, and what this needs of it cannot be read or written; \
                 sandboxes go on, and its operator has to put a sound copy in its place",
            );
        }
        let StoreError::Unavailable { .. } = error else { return Self::internal(error) };
        tracing::warn!(%error, "request refused");
        Self::new(
            Code::StoreUnavailable,
            "the database that keeps the records cannot be used now; sandboxes go on, try again later",
        )
    }
}

impl From<VolumeError> for ApiError {
    fn from(error: VolumeError) -> Self {
        let code = match error.problem {
            VolumeProblem::InvalidSubPath => Code::Volume("VOLUME::INVALID_SUB_PATH"),
            VolumeProblem::HostPathNotAllowed => Code::Volume("VOLUME::HOST_PATH_NOT_ALLOWED"),
            VolumeProblem::HostPathNotFound => Code::Volume("VOLUME::HOST_PATH_NOT_FOUND"),
            VolumeProblem::HostPathCreateFailed => Code::VolumeFailed("VOLUME::HOST_PATH_CREATE_FAILED"),
            VolumeProblem::NamedNotFound => Code::Volume("VOLUME::PVC_NOT_FOUND"),
            VolumeProblem::MountFailed => Code::Volume("VOLUME::OSSFS_MOUNT_FAILED"),
            VolumeProblem::Unsupported => Code::Volume("VOLUME::UNSUPPORTED_BACKEND"),
            VolumeProblem::BucketPathNotFound => Code::Volume("VOLUME::OSSFS_PATH_NOT_FOUND"),
            VolumeProblem::Internal => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<ImageProblem> for ApiError {
    fn from(problem: ImageProblem) -> Self {
        let code = match problem.kind {
            ProblemKind::InvalidReference | ProblemKind::Refused => Code::InvalidParameter,
            ProblemKind::NotFound | ProblemKind::Unauthorized | ProblemKind::Unusable => {
                Code::ImagePullFailed
            }
            ProblemKind::Unreachable => Code::ImageRegistryUnavailable,
            ProblemKind::TimedOut => Code::ImageTimeout,
            ProblemKind::DiskFull => Code::CapacityExhausted,
            ProblemKind::Internal => return Self::internal(problem),
        };
        Self::new(code, format!("image: {problem}"))
    }
}

impl From<RuntimeError> for ApiError {
    fn from(error: RuntimeError) -> Self {
        let code = match error {
            RuntimeError::Invalid(_) => Code::InvalidParameter,
            RuntimeError::Exhausted(_) => Code::CapacityExhausted,
            RuntimeError::StartFailed(_) => Code::StartFailed,
            RuntimeError::NotSaved(_) => Code::NotSaved,
            RuntimeError::NotFound(_) => Code::SandboxNotFound,
            RuntimeError::Os { .. } if error.is_full() => return Self::disk_full(error),
            RuntimeError::Os { .. } => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}
