//! `sb mcp`.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Mcp {
    /// Serve the tools until the client leaves, or until Ctrl-C
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// How clients talk to it
    #[arg(long, value_enum, default_value_t = Transport::Stdio)]
    pub(crate) transport: Transport,
    /// Address of this machine to listen on, with HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port to listen on, with HTTP; 0 takes any free one
    #[arg(long, default_value_t = 8090)]
    pub(crate) port: u16,
    /// The token that HTTP callers show is read from this file [default: SANDKEEP_MCP_TOKEN, else one is made]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Web pages of this origin may call, such as http://localhost:6274; others are refused
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
}

/// How MCP clients talk to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Over standard input and output: the client starts it
    Stdio,
    /// Streamable HTTP on this machine
    Http,
}
