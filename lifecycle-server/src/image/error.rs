use std::io;

/// Why an operation on images failed. Texts name the image or layer and never hold credentials.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The caller's reference, name or owner is not well formed.
    #[error("invalid image reference \"{reference}\": {reason}")]
    InvalidReference { reference: String, reason: String },
    /// No such image: in the store, or (while pulling) no such repository, tag or platform in the registry.
    #[error("{0}")]
    NotFound(String),
    /// The registry wants credentials, or refuses those that were given.
    #[error("{0}")]
    Unauthorized(String),
    /// The registry cannot be reached, or fails on its own side.
    #[error("{0}")]
    RegistryUnreachable(String),
    /// It is, or leads, where no registry may be.
    #[error("{0}")]
    Refused(String),
    /// Nothing arrived for longer than the configured limit.
    #[error("{0}")]
    Stalled(String),
    /// Content is not what its digest says.
    #[error("{what}: expected {expected}, got {actual}")]
    DigestMismatch { what: String, expected: String, actual: String },
    /// An archive, manifest or layer is damaged or contradicts itself.
    #[error("{0}")]
    Corrupt(String),
    /// Well formed, but of a kind this store does not handle, or beyond its limits.
    #[error("{0}")]
    Unsupported(String),
    /// A layer names a path that leads out of it.
    #[error("layer entry \"{path}\" is refused: {reason}")]
    UnsafePath { path: String, reason: String },
    /// No room left, or less than the configured reserve.
    #[error("{0}")]
    DiskFull(String),
    /// A sandbox uses the image.
    #[error("{0}")]
    InUse(String),
    /// The caller gave up while work was under way.
    #[error("cancelled")]
    Cancelled,
    #[error("{context}: {source}")]
    Io { context: String, source: io::Error },
}

/// What others wrote is repeated to the caller up to this length.
const MAX_TEXT: usize = 300;

/// Foreign text as it may stand in a message: short, and without control characters.
pub(super) fn clipped(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

impl ImageError {
    /// Wraps an operating-system error, telling a full disk apart.
    pub(super) fn io(context: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let (context, source) = (context.into(), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull(format!("{context}: no space left on the image store's disk"))
            }
            _ => Self::Io { context, source },
        }
    }

    pub(super) fn reference(reference: &str, reason: impl Into<String>) -> Self {
        let reference = reference.chars().take(MAX_TEXT).collect();
        Self::InvalidReference { reference, reason: reason.into() }
    }

    /// Says which layer or image the error is about.
    pub(super) fn within(self, what: &str) -> Self {
        let add = |text: String| format!("{what}: {text}");
        match self {
            Self::NotFound(t) => Self::NotFound(add(t)),
            Self::Unauthorized(t) => Self::Unauthorized(add(t)),
            Self::RegistryUnreachable(t) => Self::RegistryUnreachable(add(t)),
            Self::Refused(t) => Self::Refused(add(t)),
            Self::Stalled(t) => Self::Stalled(add(t)),
            Self::Corrupt(t) => Self::Corrupt(add(t)),
            Self::Unsupported(t) => Self::Unsupported(add(t)),
            Self::DiskFull(t) => Self::DiskFull(add(t)),
            Self::DigestMismatch { what: inner, expected, actual } => {
                Self::DigestMismatch { what: add(inner), expected, actual }
            }
            Self::Io { context, source } => Self::Io { context: add(context), source },
            Self::UnsafePath { path, reason } => {
                Self::UnsafePath { path, reason: format!("{reason} ({what})") }
            }
            other => other,
        }
    }
}

/// Adds what was being done to an operating-system error.
pub(super) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, ImageError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, ImageError> {
        self.map_err(|source| ImageError::io(what(), source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_its_own_kind_and_keeps_the_context() {
        let full = ImageError::io("writing layer x", rustix::io::Errno::NOSPC).within("image y");
        assert!(matches!(&full, ImageError::DiskFull(text) if text.contains("image y: writing layer x")));
        let other = ImageError::io("writing", rustix::io::Errno::ACCESS);
        assert!(matches!(other, ImageError::Io { .. }));
    }

    #[test]
    fn long_references_are_cut_in_messages() {
        assert!(ImageError::reference(&"x".repeat(100_000), "bad").to_string().len() < 500);
    }
}
