//! What can be wrong with a vault or a change of it.

/// Why a vault was not created, read or changed. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A value is not acceptable; says which and why.
    #[error("{0}")]
    Invalid(String),
    /// There is no vault.
    #[error("credential vault not found")]
    NotFound,
    /// There is no credential of this name.
    #[error("credential {0:?} not found")]
    NoSuchCredential(String),
    /// There is no binding of this name.
    #[error("credential binding {0:?} not found")]
    NoSuchBinding(String),
    /// There is a vault already.
    #[error("credential vault already exists")]
    Exists,
    /// The vault has changed since the caller looked at it.
    #[error("credential vault is at revision {current}, not {expected}")]
    Revision { current: i64, expected: i64 },
}

impl VaultError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}
