//! Isolated sessions: shells in namespaces of their own, with a private view of the sandbox's files.
//!
//! Each session is served from inside by an agent, a process of this same binary that has walled itself in. Runs and
//! file operations are passed on to it, so they see exactly what the session's code sees, and the kernel decides what
//! they may do.

pub mod agent;
pub mod api;
mod busy;
mod changes;
mod commit;
mod diff;
mod directory;
mod environment;
mod error;
mod files_api;
mod forward;
mod launch;
mod plan;
mod probe;
mod registry;
mod request;
mod runs;
mod session;

pub use error::IsolatedError;
pub use registry::IsolatedSessions;
