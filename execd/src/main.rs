//! execd: the daemon inside every sandbox.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use execd::{
    api,
    cli::{Action, Cli},
    daemon,
};

/// Exit status when the document cannot be printed.
const PRINT_FAILED: u8 = 1;

fn main() -> ExitCode {
    keep_memory_small();
    if let Some(status) = execd::isolated::agent::entry() {
        return status;
    }
    let cli = Cli::parse();
    match cli.action {
        Some(Action::Openapi) => print_document(),
        None => match daemon::start(cli) {
            Ok(status) => ExitCode::from(status),
            Err(failure) => {
                // Nothing is left to do should even this fail.
                let _ = writeln!(io::stderr(), "execd: {failure}");
                ExitCode::from(failure.status)
            }
        },
    }
}

fn print_document() -> ExitCode {
    let printed = api::api().1.to_yaml().map_err(io::Error::other);
    match printed.and_then(|yaml| io::stdout().write_all(yaml.as_bytes())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(PRINT_FAILED),
    }
}

/// One heap, given back to the system early: several heaps and late returns would multiply what a sandbox costs.
#[cfg(target_env = "gnu")]
fn keep_memory_small() {
    const BLOCK_OF_ITS_OWN: libc::c_int = 256 * 1024;
    const KEPT_FREE: libc::c_int = 512 * 1024;
    // SAFETY: sets parameters of the allocator while no other thread exists.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCK_OF_ITS_OWN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE);
    }
}

#[cfg(not(target_env = "gnu"))]
fn keep_memory_small() {}
