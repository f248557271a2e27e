//! Why something about a session could not be done.

/// Refusals and failures of sessions and terminals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The request makes no sense; the text says what and where.
    #[error("{0}")]
    Invalid(String),
    /// No session has this id.
    #[error("session {0} is not known")]
    Unknown(String),
    /// There are as many sessions as there may be.
    #[error("there are {0} {1} already; delete one first")]
    TooMany(usize, &'static str),
    /// The session has as many runs waiting as it may have.
    #[error("{0} runs are waiting in this session already")]
    QueueFull(usize),
    /// Another client is attached to the terminal.
    #[error("another client is attached to session {0}; takeover=1 replaces it")]
    Attached(String),
    /// The system does not let us.
    #[error("{0}")]
    System(String),
}
