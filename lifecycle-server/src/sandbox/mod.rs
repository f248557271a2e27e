//! The domain: what a sandbox is, which changes are legal, and the service that makes them.

mod access;
mod activity;
mod book;
mod creation;
mod error;
mod expiry;
mod files;
mod idle;
pub mod images;
mod journal;
mod launch;
mod limits;
mod list;
mod note;
mod owner;
mod pause;
mod record;
mod recovery;
mod removal;
pub(crate) mod secrets;
mod service;
pub mod state;
mod stop;

pub use access::{Openness, PUBLIC_PORTS, Target, parse_ports};
pub use activity::Visit;
pub use error::ServiceError;
pub use idle::{AUTOPAUSE, AUTORESUME, IDLE_SECONDS, idle_seconds};
pub use images::{Credentials, ImageProblem, ImageRequest, Images, PreparedImage, ProblemKind};
pub use journal::Subscription;
pub use list::{Filter, Page, PageRequest};
pub use note::{Note, NoteKind, Noted};
pub use owner::{Owner, Quota, QuotaProblem, Scope};
pub use record::{CreateSpec, Hooks, Platform, Record, Status};
pub use service::{Service, ServiceOptions};
pub use state::{Denial, State};

#[cfg(test)]
pub(crate) use record::record_for_tests;
