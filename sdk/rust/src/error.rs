//! What can go wrong, from the caller's point of view.

use std::time::Duration;

/// Failure of a request.
///
/// Any call can fail with [`Error::Transport`], [`Error::Timeout`], [`Error::Decode`], or an [`Error::Api`] of status 401
/// (the key is missing or wrong), 403 (the key may not do this), 500 or 503. What else a call can fail with, its
/// documentation tells under "Errors"; a number there is the status of an [`Error::Api`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused the request and said why.
    #[error("{code}: {message} (HTTP {status}{})", request_id.as_deref().map(|id| format!(", request {id}")).unwrap_or_default())]
    Api {
        /// HTTP status.
        status: u16,
        /// Stable identifier of the kind of error.
        code: String,
        /// The same for people.
        message: String,
        /// Names the request in the server's log.
        request_id: Option<String>,
    },
    /// The request could not be sent or the answer could not be received.
    #[error("the exchange with {url} failed: {}", root_cause(source))]
    Transport {
        /// Where the request went, without query and credentials.
        url: String,
        /// What the HTTP client reported.
        source: reqwest::Error,
    },
    /// A wait came to its limit.
    #[error("{what} took longer than {} s", limit.as_secs_f64())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// The limit, from [`crate::Timeouts`] or the call's own.
        limit: Duration,
    },
    /// The answer is not what the API promises.
    #[error("{what} cannot be understood: {detail}")]
    Decode {
        /// Which answer.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// An event stream ended before the event that closes it.
    #[error("the event stream ended before its last event")]
    Incomplete,
    /// A snapshot was not made.
    #[error("snapshot {id} is {state}: {message}")]
    Snapshot {
        /// The snapshot, which stays as it is until it is deleted.
        id: String,
        /// What it is instead of ready.
        state: String,
        /// Why, as the server says it.
        message: String,
    },
    /// A setting of the client is unusable.
    #[error("{0}")]
    Config(String),
    /// A local file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system reported.
        source: std::io::Error,
    },
}

impl Error {
    /// HTTP status of a refused request.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Stable identifier of a refused request's kind of error.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Api { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The request's name in the server's log, where the server gave one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Api { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }

    /// Whether the server said that the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}

/// The innermost reason, which says more than "error sending request".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_as_one_line_and_names_the_request() {
        let error = Error::Api {
            status: 404,
            code: "SANDBOX::NOT_FOUND".into(),
            message: "there is no sandbox x".into(),
            request_id: Some("abc".into()),
        };
        assert_eq!(error.to_string(), "SANDBOX::NOT_FOUND: there is no sandbox x (HTTP 404, request abc)");
        assert!(error.is_not_found());
        assert_eq!((error.code(), error.request_id()), (Some("SANDBOX::NOT_FOUND"), Some("abc")));
    }
}
