//! What sandboxes are made from.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Make one of a sandbox and print its id
    Create {
        sandbox: String,
        #[arg(long)]
        name: Option<String>,
    },
    /// List them
    Ls,
    /// Remove some
    Rm {
        #[arg(required = true)]
        snapshots: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List them
    Ls,
    /// Fetch one from its registry
    Pull {
        reference: String,
        /// User at the registry; the password is read from SANDKEEP_REGISTRY_PASSWORD
        #[arg(long)]
        username: Option<String>,
    },
    /// Take one from a docker or OCI archive
    Import {
        file: PathBuf,
        /// Name to give it [default: those in the archive]
        #[arg(long)]
        name: Vec<String>,
    },
    /// Remove some
    Rm {
        #[arg(required = true)]
        references: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Pool {
    /// Make one
    Create {
        name: String,
        /// Image of its sandboxes
        #[arg(long)]
        image: String,
        /// Sandboxes that wait for an owner
        #[arg(long, default_value_t = 2)]
        size: u32,
        /// Most sandboxes, those with an owner included
        #[arg(long, default_value_t = 100)]
        max: u32,
    },
    /// List them
    Ls,
    /// Remove some
    Rm {
        #[arg(required = true)]
        pools: Vec<String>,
    },
}
