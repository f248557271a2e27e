//! The Credential Vault: secrets that are added to requests outside the sandbox.
//!
//! Pure logic and one lock. Secrets are held in `secret::Secret`, which can neither be printed nor serialised; what
//! they pass through on their way in and out is heap memory, which this program overwrites when it gives it back
//! (see [`crate::memory`]).

pub mod active;
mod binding;
mod change;
mod error;
mod host;
mod paths;
pub mod redact;
mod secret;
pub mod select;
pub mod store;
pub mod substitute;

pub use error::VaultError;
pub use host::HostPattern;
