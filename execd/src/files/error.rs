//! What can go wrong with files, before it becomes an HTTP answer.

use std::fmt::Display;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use thiserror::Error;

/// Failure of a file operation.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// A required query parameter is absent.
    #[error("query parameter {0:?} is missing")]
    MissingQuery(&'static str),
    /// The request asks for something impossible.
    #[error("{0}")]
    Invalid(String),
    /// An upload's parts do not pair up, or its body is not multipart.
    #[error("{0}")]
    BadUpload(String),
    /// An upload's `metadata` part is missing or wrong.
    #[error("{0}")]
    BadMetadata(String),
    /// An upload has no usable `file` part.
    #[error("{0}")]
    BadContent(String),
    /// Nothing is there.
    #[error("{0} does not exist")]
    Missing(String),
    /// The file system refuses.
    #[error("{0}")]
    Denied(String),
    /// The range lies outside the file, whose size in bytes is given, or is not a range.
    #[error("the requested range cannot be served: the file has {size} bytes")]
    Range { size: u64 },
    /// A limit is reached.
    #[error("{0}")]
    Busy(String),
    /// The machine failed.
    #[error("{0}")]
    Io(String),
}

impl FileError {
    /// Sorts an operating system error on `path` into the client's mistakes and the machine's failures.
    pub(crate) fn io(path: &Path, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        let path = path.display();
        let text = format!("{path}: {}", describe(&error));
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) => Self::Missing(path.to_string()),
            // A component of the path is a file, so nothing can be below it.
            Some(Errno::NOTDIR) => Self::Missing(text),
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Self::Denied(text),
            Some(
                Errno::NAMETOOLONG
                | Errno::LOOP
                | Errno::INVAL
                | Errno::ISDIR
                | Errno::EXIST
                | Errno::NOTEMPTY
                | Errno::NXIO,
            ) => Self::Invalid(text),
            _ => Self::Io(text),
        }
    }

    /// A client's mistake about `path`.
    pub(crate) fn invalid(path: &Path, what: impl Display) -> Self {
        Self::Invalid(format!("{}: {what}", path.display()))
    }
}

/// The system's own words, without Rust's "(os error N)".
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: Errno) -> FileError {
        FileError::io(Path::new("/p"), errno)
    }

    #[test]
    fn sorts_system_errors() {
        assert!(matches!(of(Errno::NOENT), FileError::Missing(_)));
        assert!(matches!(of(Errno::NOTDIR), FileError::Missing(_)));
        assert!(matches!(of(Errno::ROFS), FileError::Denied(_)));
        assert!(matches!(of(Errno::NAMETOOLONG), FileError::Invalid(_)));
        assert!(matches!(of(Errno::NOSPC), FileError::Io(_)));
        assert_eq!(of(Errno::NOSPC).to_string(), "/p: no space left on device");
    }
}
