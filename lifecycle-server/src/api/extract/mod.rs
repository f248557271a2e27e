//! Extractors whose refusals say what is wrong and where.

mod json;
mod path;
mod query;

pub use json::Json;
pub use path::{Port, SandboxId};
pub use query::Query;
