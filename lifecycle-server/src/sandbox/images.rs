//! What the domain needs of an image store.

use std::{fmt, path::PathBuf};

use async_trait::async_trait;

use super::record::Platform;

/// An image as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRequest {
    pub reference: String,
    /// Exactly this image, whatever the reference means by now.
    pub id: Option<String>,
    pub credentials: Option<Credentials>,
    pub platform: Option<Platform>,
    /// Who asks; `None` may use whatever is here.
    pub tenant: Option<String>,
}

/// Registry user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(..)")
    }
}

/// An image that is unpacked on this host and kept for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedImage {
    /// Names the image for good.
    pub id: String,
    /// Unpacked layers, topmost first.
    pub layers: Vec<PathBuf>,
    /// `NAME=VALUE` pairs of the image's configuration.
    pub env: Vec<(String, String)>,
    /// Empty means `/`.
    pub working_dir: String,
    /// `user[:group]`; `None` is root.
    pub user: Option<String>,
}

/// Who is to blame that an image is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The reference cannot be read.
    InvalidReference,
    /// It leads where no registry may be.
    Refused,
    /// No such image, tag or platform.
    NotFound,
    /// The registry wants other credentials.
    Unauthorized,
    /// The registry does not answer, or not in time.
    Unreachable,
    TimedOut,
    /// What the registry sent is not what it promised, or not an image we can use.
    Unusable,
    /// No room on this host.
    DiskFull,
    Internal,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ImageProblem {
    pub kind: ProblemKind,
    pub message: String,
}

/// Where images come from.
#[async_trait]
pub trait Images: Send + Sync + 'static {
    /// Brings the image onto this host if it is not there, and keeps it for `owner` until
    /// [`release`](Self::release); asking again for the same owner is fine.
    async fn acquire(&self, request: &ImageRequest, owner: &str) -> Result<PreparedImage, ImageProblem>;

    /// Ends what `owner` keeps. Unknown owners are fine.
    async fn release(&self, owner: &str) -> Result<(), ImageProblem>;

    /// Everyone who keeps an image, over all earlier lives of the server.
    async fn owners(&self) -> Result<Vec<String>, ImageProblem>;
}
