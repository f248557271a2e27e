//! Why a volume cannot be mounted.

use std::io;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeProblem {
    InvalidSubPath,
    HostPathNotAllowed,
    HostPathNotFound,
    HostPathCreateFailed,
    NamedNotFound,
    /// A bucket could not be mounted.
    MountFailed,
    /// This host has no program for it.
    Unsupported,
    /// A bucket has no such path.
    BucketPathNotFound,
    /// Our own failure.
    Internal,
}

#[derive(Debug, thiserror::Error)]
#[error("volume {volume}: {message}")]
pub struct VolumeError {
    /// Name of the volume in the request.
    pub volume: String,
    pub problem: VolumeProblem,
    pub message: String,
}

impl VolumeError {
    pub(super) fn new(volume: &str, problem: VolumeProblem, message: impl Into<String>) -> Self {
        Self { volume: volume.to_owned(), problem, message: message.into() }
    }

    pub(super) fn io(volume: &str, doing: &str, error: io::Error) -> Self {
        Self::new(volume, VolumeProblem::Internal, format!("{doing}: {error}"))
    }
}
