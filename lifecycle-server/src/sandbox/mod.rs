//! The domain: what a sandbox is, which changes are legal, and the service that makes them.

mod access;
mod activity;
mod admission;
mod book;
mod creation;
mod egress;
mod error;
mod expiry;
mod files;
mod idempotency;
mod idle;
pub mod images;
mod journal;
mod launch;
mod limits;
mod list;
mod note;
mod owner;
mod pause;
mod pool;
mod quota;
mod recipe;
mod record;
mod recovery;
mod removal;
mod replicas;
pub(crate) mod secrets;
mod service;
pub mod state;
mod stop;
mod stored;
mod template;

pub use access::{Openness, PUBLIC_PORTS, Target, parse_ports};
pub use activity::Visit;
pub use admission::CommittedMemory;
pub use egress::{
    Collector, Egress, EgressOptions, EgressWish, INTERCEPTION_VARIABLE, SIDECAR_PORT, UpstreamProxy,
};
pub use error::ServiceError;
pub use idempotency::{IdempotencyKey, fingerprint};
pub use idle::{AUTOPAUSE, AUTORESUME, IDLE_SECONDS, idle_seconds};
pub use images::{Credentials, ImageProblem, ImageRequest, Images, PreparedImage, ProblemKind};
pub use journal::Subscription;
pub use list::{Filter, Page, PageRequest};
pub use note::{Note, NoteKind, Noted};
pub use owner::{Owner, Quota, QuotaProblem, Scope};
pub(crate) use pool::Member;
pub use pool::{Capacity, NewPool, PoolView};
pub use recipe::{Probe, Readiness, Recipe};
pub use record::{CreateSpec, Hooks, Origin, Platform, PoolOrigin, Record, Status, check_metadata};
pub use replicas::Place;
pub use service::{Service, ServiceOptions};
pub use state::{Denial, State};
pub use template::{NewTemplate, Phase, Template, TemplateFilter, TemplatePage};

#[cfg(test)]
pub(crate) use record::record_for_tests;
