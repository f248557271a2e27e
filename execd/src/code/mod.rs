//! Code contexts: interpreters that keep what is run in them.

mod adapt;
pub mod api;
pub mod compat;
mod contexts;
mod error;
mod frame;
mod go;
mod interpreter;
mod java;
mod language;
mod node;
mod output;
mod python;
mod shell;
mod spares;
mod start;
mod worker;

pub use contexts::Contexts;
pub use spares::Prestart;
