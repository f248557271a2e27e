//! Servers: one on this machine, and those that have names.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Port to listen on, at 127.0.0.1 [default: that of the last such server, else 8080]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Image archive to import first
    #[arg(long, value_name = "FILE")]
    pub(crate) import: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Port it listens on [default: that of the last such server, else 8080]
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// List the servers
    Ls,
    /// Name a server; the first one becomes the current
    Set {
        name: String,
        #[arg(long = "server")]
        server: String,
        /// The key is read from this file [default: standard input]
        #[arg(long)]
        key_file: Option<PathBuf>,
    },
    /// Choose a server
    Use { name: String },
    /// Forget a server
    Rm { name: String },
}
