//! Starting and waiting for child processes.
//!
//! Every child of execd is started here: the start path is fast at any memory size, and the table of own children
//! is what lets execd as PID 1 reap strangers without stealing a status that somebody waits for.

mod child;
mod clone;
mod group;
mod input;
mod program;
mod table;

pub use child::{Child, ExitStatus};
pub use clone::{Identity, StartError, remember_nofile};
pub use group::Group;
pub use input::null_input;
pub use program::{Program, find_in_path};
pub use table::reap_orphans;
