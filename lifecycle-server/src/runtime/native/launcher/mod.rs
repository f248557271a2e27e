//! The launcher: who starts sandboxes, and how the server talks to it.

pub(crate) mod child;
mod client;
pub(crate) mod criu;
pub(crate) mod plan;
mod process;
mod protocol;

pub(crate) use client::{Launched, Launcher};

/// Hidden first argument that turns a binary into the launcher.
const ARGUMENT: &str = "__launcher";

/// Becomes the launcher process if this program was started as one, and does not return then. Every binary that makes
/// a [`super::NativeRuntime`] calls this first thing in `main`, before it starts threads.
pub fn run_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT) {
        let code = match process::run() {
            Ok(()) => 0,
            Err(error) => {
                // Standard error is the server's own.
                let _ = std::io::Write::write_fmt(
                    &mut std::io::stderr(),
                    format_args!("sandkeep launcher: {error}\n"),
                );
                1
            }
        };
        std::process::exit(code);
    }
}
