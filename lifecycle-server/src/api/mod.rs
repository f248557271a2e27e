//! The HTTP surface: a handler extracts, calls the domain and maps. Wire types stop here.

pub mod error;
pub mod validate;
