//! The HTTP surface: a handler extracts, calls the domain and maps. Wire types stop here.

mod access;
mod auth;
mod docs;
mod document;
pub mod error;
mod execd_document;
mod extract;
mod gateway;
mod layers;
mod map;
mod read_only;
mod relay;
mod renew;
mod report;
mod router;
mod routes;
mod state;
mod telemetry;
mod tenancy;
mod validate;

pub use auth::Keys;
pub use document::{diagnostics_document, document};
pub use router::{gateway_router, router};
pub use state::ApiState;
