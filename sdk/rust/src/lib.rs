//! Rust SDK for the Sandkeep sandbox platform.
//!
//! A [`Client`] speaks to a lifecycle-server, a [`Sandbox`] is one sandbox on it, and [`Execd`] is the
//! daemon inside: commands, code, files and metrics.
//!
//! ```no_run
//! # async fn example() -> Result<(), sandkeep::Error> {
//! use sandkeep::{Client, CreateOptions, Sandbox};
//!
//! let client = Client::from_env()?;
//! let sandbox = Sandbox::create(&client, CreateOptions::image("sandkeep/base:latest")).await?;
//! let hello = sandbox.commands().run("echo hello").await?;
//! assert_eq!(hello.stdout, "hello\n");
//! sandbox.delete().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing waits for ever: every wait has a limit in [`Timeouts`]. A request that starts something is
//! never repeated behind the caller's back.
#![forbid(unsafe_code)]

mod client;
mod diagnostics;
mod error;
mod execd;
mod images;
mod options;
mod policy;
mod pools;
mod sandbox;
mod sandbox_events;
mod snapshots;
mod templates;
mod transport;
mod tunnel;
mod vault;

pub use client::{Client, ClientBuilder, ListQuery};
pub use diagnostics::LogQuery;
pub use error::Error;
pub use execd::{
    ByteStream, Code, Command, Commands, EventStream, Execd, Execution, FileSource, Files, Isolated,
    IsolatedRun, IsolatedSession, Logs, MetricsStream, Pty, PtyAttach, PtyEvent, SessionRun, Sessions,
    WatchStream,
};
pub use images::Images;
pub use options::CreateOptions;
pub use pools::Pools;
pub use sandbox::Sandbox;
pub use sandbox_events::{EventQuery, SandboxEvents};
pub use sandkeep_specs as specs;
pub use snapshots::SnapshotQuery;
pub use templates::Templates;
pub use transport::Timeouts;
pub use tunnel::Tunnel;
pub use vault::{
    Auth, Binding, Changes, Credential, Header, Substitution, Vault, VaultChanges, VaultContents,
};

pub use reqwest::{Body, Method, RequestBuilder, Response};

/// What every operation of this crate answers.
pub type Result<T> = std::result::Result<T, Error>;
